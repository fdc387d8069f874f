// Where each record lies and how it is written: "cinder/<kind>/<id>", JSON with `v: 1`. The whole table of
// docs/design/0004-cinder-records.md is here. Ids may come from a URL, so that any string must make a valid key.

import { createHash } from "node:crypto";
import { AndironError } from "../common/errors.ts";
import type { Tx } from "../registry/atomic.ts";
import { type Backup, checkBackup } from "./backups/backup.ts";
import { checkJob, type Job, type JobRunnerRecord } from "./jobs/job.ts";
import type * as model from "./model.ts";

/**
 * A kind of record. `shared` names the text fields that many records have in common: the index keeps each text once.
 * `filters` names, by the list filter, the text fields that lists are often asked for by: the index has them ready.
 */
export interface Kind<T extends { readonly v: 1 }> {
  readonly prefix: string;
  readonly shared: readonly string[];
  readonly filters?: Readonly<Record<string, string>>;
  /** Throws record_damaged for what the type does not allow; for records that outlive builds. */
  readonly check?: (key: string, record: T) => void;
  /** Never set: ties the kind to its record type. */
  readonly sample?: T;
}

/** Names of volume types, group types and qos specs are unique: a record at the name holds the id. */
export interface TypeName {
  readonly v: 1;
  readonly typeId: string;
}

const owned = ["projectId", "userId", "typeId", "host", "availabilityZone", "status", "attachStatus"];
const byText = { name: "name", status: "status" };

export const rootPrefix = "cinder/";
/** Written by every transaction of this folder, read by none: its revision is that of our key space. */
export const markerKey = "cinder/revision";

export const volumeKind: Kind<model.Volume> = { prefix: "cinder/volume/", shared: owned, filters: byText };
export const snapshotKind: Kind<model.Snapshot> = {
  prefix: "cinder/snapshot/",
  shared: [...owned, "volumeId", "progress"],
  filters: byText,
};
export const attachmentKind: Kind<model.Attachment> = {
  prefix: "cinder/attachment/",
  shared: ["projectId", "userId", "volumeId", "status", "attachedHost", "mountpoint"],
};
export const typeKind: Kind<model.VolumeType> = { prefix: "cinder/type/", shared: [] };
export const typeNameKind: Kind<TypeName> = { prefix: "cinder/type-name/", shared: [] };
export const quotaKind: Kind<model.QuotaRecord> = { prefix: "cinder/quota/", shared: [] };
export const quotaClassKind: Kind<model.QuotaRecord> = { prefix: "cinder/quota-class/", shared: [] };
export const quotaUsageKind: Kind<model.QuotaUsage> = { prefix: "cinder/quota-usage/", shared: ["projectId"] };
export const serviceKind: Kind<model.ServiceRecord> = { prefix: "cinder/service/", shared: [] };
export const qosKind: Kind<model.QosSpecs> = { prefix: "cinder/qos/", shared: [] };
export const qosNameKind: Kind<TypeName> = { prefix: "cinder/qos-name/", shared: [] };
export const groupTypeKind: Kind<model.GroupType> = { prefix: "cinder/group-type/", shared: [] };
export const groupTypeNameKind: Kind<TypeName> = { prefix: "cinder/group-type-name/", shared: [] };
export const groupKind: Kind<model.Group> = { prefix: "cinder/group/", shared: owned, filters: byText };
export const groupSnapshotKind: Kind<model.GroupSnapshot> = {
  prefix: "cinder/group-snapshot/",
  shared: ["projectId", "userId", "groupId", "groupTypeId", "status"],
  filters: { ...byText, group_id: "groupId" },
};
export const defaultTypeKind: Kind<model.DefaultType> = { prefix: "cinder/default-type/", shared: [] };
export const transferKind: Kind<model.Transfer> = { prefix: "cinder/transfer/", shared: ["projectId"] };
export const backupKind: Kind<Backup> = {
  prefix: "cinder/backup/",
  shared: ["projectId", "userId", "volumeId", "host", "availabilityZone", "status", "service", "container"],
  filters: { ...byText, parent_id: "parentId" },
  check: checkBackup,
};
export const messageKind: Kind<model.Message> = { prefix: "cinder/message/", shared: ["projectId", "eventId", "userMessage"] };
export const imageCacheKind: Kind<model.ImageCacheEntry> = { prefix: "cinder/image-cache/", shared: ["pool"] };
export const jobKind: Kind<Job> = {
  prefix: "cinder/job/",
  shared: ["kind", "projectId", "runner"],
  check: checkJob,
};
export const jobRunnerKind: Kind<JobRunnerRecord> = { prefix: "cinder/job-runner/", shared: [] };

/** `id` as a part of a key: itself when it is plain, escaped when it is not, hashed when that gets long. */
export function encodeId(id: string): string {
  const escaped = encodeURIComponent(id.toWellFormed());
  return escaped.length <= 200 ? escaped : `~${createHash("sha256").update(id).digest("hex")}`;
}

export function keyOf<T extends { readonly v: 1 }>(kind: Kind<T>, id: string): string {
  return kind.prefix + encodeId(id);
}

/** Throws record_damaged for text that is no record of version 1. */
export function parseRecord<T extends { readonly v: 1 }>(kind: Kind<T>, key: string, text: string): T {
  let record: T;
  try {
    record = JSON.parse(text) as T;
  } catch (cause) {
    throw new AndironError("record_damaged", `the record ${key} is not JSON`, { cause });
  }
  if (record.v !== 1) {
    throw new AndironError("record_damaged", `the record ${key} has version ${String(record.v)}, this build reads 1`);
  }
  kind.check?.(key, record);
  return record;
}

export async function readRecord<T extends { readonly v: 1 }>(tx: Tx, kind: Kind<T>, id: string): Promise<T | undefined> {
  const key = keyOf(kind, id);
  const text = await tx.get(key);
  return text === undefined ? undefined : parseRecord(kind, key, text);
}

export function writeRecord<T extends { readonly v: 1 }>(tx: Tx, kind: Kind<T>, id: string, record: T): void {
  tx.put(keyOf(kind, id), JSON.stringify(record));
}

export function deleteRecord<T extends { readonly v: 1 }>(tx: Tx, kind: Kind<T>, id: string): void {
  tx.delete(keyOf(kind, id));
}
