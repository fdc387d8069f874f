// Where each record lies and how it is written: "cinder/<kind>/<id>", JSON with `v: 1`. The whole table of
// docs/design/0004-cinder-records.md is here. Ids may come from a URL, so that any string must make a valid key.

import { createHash } from "node:crypto";
import { AndironError } from "../common/errors.ts";
import type { Tx } from "../registry/atomic.ts";
import type { Attachment, Message, QuotaRecord, QuotaUsage, ServiceRecord, Snapshot, Volume, VolumeType } from "./model.ts";

/** A kind of record. `shared` names the text fields that many records have in common: the index keeps each text once. */
export interface Kind<T extends { readonly v: 1 }> {
  readonly prefix: string;
  readonly shared: readonly string[];
  /** Never set: ties the kind to its record type. */
  readonly sample?: T;
}

/** Type names are unique: the record is at the hash of the name. */
export interface TypeName {
  readonly v: 1;
  readonly typeId: string;
}

const owned = ["projectId", "userId", "typeId", "host", "availabilityZone", "status", "attachStatus"];

export const rootPrefix = "cinder/";
/** Written by every transaction of this folder, read by none: its revision is that of our key space. */
export const markerKey = "cinder/revision";

export const volumeKind: Kind<Volume> = { prefix: "cinder/volume/", shared: owned };
export const snapshotKind: Kind<Snapshot> = { prefix: "cinder/snapshot/", shared: [...owned, "volumeId", "progress"] };
export const attachmentKind: Kind<Attachment> = {
  prefix: "cinder/attachment/",
  shared: ["projectId", "userId", "volumeId", "status", "attachedHost", "mountpoint"],
};
export const typeKind: Kind<VolumeType> = { prefix: "cinder/type/", shared: [] };
export const typeNameKind: Kind<TypeName> = { prefix: "cinder/type-name/", shared: [] };
export const quotaKind: Kind<QuotaRecord> = { prefix: "cinder/quota/", shared: [] };
export const quotaClassKind: Kind<QuotaRecord> = { prefix: "cinder/quota-class/", shared: [] };
export const quotaUsageKind: Kind<QuotaUsage> = { prefix: "cinder/quota-usage/", shared: ["projectId"] };
export const serviceKind: Kind<ServiceRecord> = { prefix: "cinder/service/", shared: [] };
export const messageKind: Kind<Message> = { prefix: "cinder/message/", shared: ["projectId", "eventId", "userMessage"] };

/** `id` as a part of a key: itself when it is plain, escaped when it is not, hashed when that gets long. */
export function encodeId(id: string): string {
  const escaped = encodeURIComponent(id.toWellFormed());
  return escaped.length <= 200 ? escaped : `~${createHash("sha256").update(id).digest("hex")}`;
}

export function keyOf<T extends { readonly v: 1 }>(kind: Kind<T>, id: string): string {
  return kind.prefix + encodeId(id);
}

/** Throws record_damaged for text that is no record of version 1. */
export function parseRecord<T extends { readonly v: 1 }>(_kind: Kind<T>, key: string, text: string): T {
  let record: T;
  try {
    record = JSON.parse(text) as T;
  } catch (cause) {
    throw new AndironError("record_damaged", `the record ${key} is not JSON`, { cause });
  }
  if (record.v !== 1) {
    throw new AndironError("record_damaged", `the record ${key} has version ${String(record.v)}, this build reads 1`);
  }
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
