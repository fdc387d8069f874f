// A backup's record as it goes from cloud to cloud: Cinder's fields as JSON, in base64. Pure functions.
//
// `location` travels as text in `service_metadata`, where Cinder keeps what its drivers note down. What is specific to a cloud
// (host, zone, who owns it) is written, since tools read it, and not taken in.

import { formatUtcTime, parseTime } from "../../common/utc-time.ts";
import { invalidInput } from "../faults.ts";
import { cinderLimits, type Metadata } from "../model.ts";
import { isCount, isObject, isText } from "../record-fields.ts";
import { isUuid } from "../type-reference.ts";
import { backupService, checkLocation, type Backup, type BackupLocation } from "./backup.ts";
import type { ExportedBackup } from "./backup-verbs.ts";

const required = ["display_name", "display_description", "container", "size", "service_metadata", "object_count", "id"] as const;

type Fields = Readonly<Record<string, unknown>>;

export function exportBackup(backup: Backup, dependents: number): ExportedBackup {
  const fields: Fields = {
    id: backup.id,
    user_id: backup.userId,
    project_id: backup.projectId,
    volume_id: backup.volumeId,
    host: backup.host,
    availability_zone: backup.availabilityZone,
    container: backup.container,
    parent_id: backup.parentId,
    status: backup.status,
    fail_reason: backup.failReason,
    size: backup.sizeGib,
    display_name: backup.name,
    display_description: backup.description,
    service_metadata: backup.location === null ? null : JSON.stringify(backup.location),
    service: backup.service,
    object_count: backup.objectCount,
    temp_volume_id: null,
    temp_snapshot_id: null,
    num_dependent_backups: dependents,
    snapshot_id: backup.snapshotId,
    data_timestamp: zuluTime(backup.dataTimestampMs),
    restore_volume_id: backup.restoreVolumeId,
    metadata: backup.metadata,
    encryption_key_id: backup.encryptionKeyId,
    created_at: zuluTime(backup.createdAtMs),
    updated_at: backup.updatedAtMs === null ? null : zuluTime(backup.updatedAtMs),
    deleted: false,
    deleted_at: null,
    driver_info: {},
  };
  return { service: backup.service ?? backupService, url: Buffer.from(JSON.stringify(fields)).toString("base64") };
}

/** What every record must have, or it is refused. */
export interface ImportedRecord {
  readonly id: string;
  readonly sizeGib: number;
  readonly fields: Fields;
}

/** Throws "invalid" with Cinder's sentences. */
export function parseExported(url: string): ImportedRecord {
  let fields: unknown;
  try {
    fields = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(Buffer.from(url, "base64")));
  } catch {
    throw invalidInput("Can't parse backup record.");
  }
  if (!isObject(fields)) throw invalidInput("Can't parse backup record.");
  const { id, size } = fields;
  if (id === undefined) throw invalidInput("Provided backup record is missing an id");
  if (size === undefined) throw invalidInput("Provided backup record is missing size attribute");
  if (typeof id !== "string" || !isUuid(id)) throw invalidInput("The id of the provided backup record is no UUID");
  if (!isCount(size)) throw invalidInput("The size of the provided backup record is no number of gigabytes");
  return { id, sizeGib: size as number, fields };
}

export type ImportedBackup = Pick<
  Backup,
  | "name"
  | "description"
  | "metadata"
  | "volumeId"
  | "snapshotId"
  | "parentId"
  | "dataTimestampMs"
  | "container"
  | "objectCount"
  | "location"
  | "encryptionKeyId"
  | "createdAtMs"
>;

/** What a record says of the backup, or why it is of no use. `nowMs`: for times that it does not tell. */
export function readImported(service: string, { id, fields }: ImportedRecord, nowMs: number): ImportedBackup | string {
  // Cinder takes a part of the name too: drivers were once named by their module.
  if (!backupService.startsWith(service)) {
    return `Import record failed, cannot find backup service to perform the import. Request service ${service}.`;
  }
  const missing = required.filter((name) => fields[name] === undefined);
  if (missing.length > 0) {
    return `Driver successfully decoded imported backup data, but there are missing fields (${missing.join(", ")}).`;
  }
  const location = readLocation(fields["service_metadata"]);
  if (location === undefined) return "The record does not say where the data of the backup are.";
  const parentId = textOf(fields["parent_id"]);
  if (parentId === id) return "The backup is its own parent.";
  return {
    name: textOf(fields["display_name"]),
    description: textOf(fields["display_description"]),
    metadata: readMetadata(fields["metadata"]),
    volumeId: textOf(fields["volume_id"]) ?? unknownVolumeId,
    snapshotId: textOf(fields["snapshot_id"]),
    parentId,
    dataTimestampMs: timeOf(fields["data_timestamp"]) ?? nowMs,
    container: textOf(fields["container"]),
    objectCount: isCount(fields["object_count"]) ? Number(fields["object_count"]) : 0,
    location,
    encryptionKeyId: textOf(fields["encryption_key_id"]),
    createdAtMs: timeOf(fields["created_at"]) ?? nowMs,
  };
}

/** Of what a backup is whose record does not tell. */
export const unknownVolumeId = "00000000-0000-0000-0000-000000000000";

function textOf(value: unknown): string | null {
  return typeof value === "string" ? [...value].slice(0, cinderLimits.nameLengthMax).join("") : null;
}

const zuluTime = (ms: number): string => `${formatUtcTime(ms)}Z`;

function timeOf(value: unknown): number | undefined {
  return typeof value === "string" ? parseTime(value) : undefined;
}

function readMetadata(value: unknown): Metadata {
  const entries = Object.entries(Object(value) as Fields).filter(([, text]) => isText(text));
  return Object.fromEntries(entries.slice(0, cinderLimits.metadataItemsMax).map(([key, text]) => [textOf(key)!, textOf(text)!]));
}

function readLocation(text: unknown): BackupLocation | undefined {
  try {
    const location: unknown = JSON.parse(String(text));
    if (!isObject(location)) return undefined;
    checkLocation(location);
    return location;
  } catch {
    return undefined;
  }
}
