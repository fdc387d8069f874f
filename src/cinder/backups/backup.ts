// A backup as it lies in the registry. The record outlives builds, and its volume: docs/design/0004-cinder-records.md has the
// table. `location` is for who writes and reads the bytes; nothing here looks into it.
//
// - A backup whose `parentId` is set is incremental: it restores only with all its ancestors. A new child writes its parent's
//   record anew: whoever deletes reads that record, then asks the index for children, and what it saw there holds.
// - While a job works on it, it bears the job's id; so does the volume that is read or written meanwhile.
//
// Ledger: version 1 is the first. Unknown fields are kept by whoever writes a record anew.

import { AndironError } from "../../common/errors.ts";
import type { Metadata } from "../model.ts";
import { checkFields, isCount, isObject, isText, isTime, oneOf, orNone, orNull, type FieldTests } from "../record-fields.ts";

/** In Cinder's order, which a refusal shows. */
export const backupStatuses = ["error", "error_deleting", "creating", "available", "deleting", "deleted", "restoring"] as const;
export type BackupStatus = (typeof backupStatuses)[number];

/** Plain JSON, at most backupBounds.locationBytesMax. */
export type BackupLocation = Readonly<Record<string, unknown>>;

/** What `service` says of backups that this build can read; a name of the form that clients of Cinder expect. */
export const backupService = "cinder.backup.drivers.andiron.AndironBackupDriver";

export interface Backup {
  readonly v: 1;
  readonly id: string;
  readonly projectId: string;
  readonly userId: string;
  readonly name: string | null;
  readonly description: string | null;
  readonly metadata: Metadata;
  readonly status: BackupStatus;
  readonly failReason: string | null;
  /** The volume may be gone since. */
  readonly volumeId: string;
  /** Where it is of a snapshot. */
  readonly snapshotId: string | null;
  /** What it builds on; null: it is whole. */
  readonly parentId: string | null;
  /** Of the volume, as it was. */
  readonly sizeGib: number;
  /** The instant whose data it has: its own making, or the snapshot's. */
  readonly dataTimestampMs: number;
  readonly service: string | null;
  readonly container: string | null;
  readonly objectCount: number;
  /** Null until the bytes have one. */
  readonly location: BackupLocation | null;
  readonly host: string | null;
  readonly availabilityZone: string | null;
  readonly encryptionKeyId: string | null;
  /** Where it was, or is being, restored to. */
  readonly restoreVolumeId: string | null;
  readonly createdAtMs: number;
  readonly updatedAtMs: number | null;
  /** The job that works on it (jobs/job.ts), until it ends. */
  readonly jobId?: string;
}

export const backupBounds = {
  /** As JSON. */
  locationBytesMax: 4096,
  /** Of `failReason`, which people read. */
  failReasonLengthMax: 255,
} as const;

const fields: FieldTests<Backup> = {
  v: (value) => value === 1,
  id: isText,
  projectId: isText,
  userId: isText,
  name: orNull(isText),
  description: orNull(isText),
  metadata: (value) => isObject(value) && Object.values(value).every(isText),
  status: oneOf(backupStatuses),
  failReason: orNull(isText),
  volumeId: isText,
  snapshotId: orNull(isText),
  parentId: orNull(isText),
  sizeGib: isCount,
  dataTimestampMs: isTime,
  service: orNull(isText),
  container: orNull(isText),
  objectCount: isCount,
  location: orNull(isObject),
  host: orNull(isText),
  availabilityZone: orNull(isText),
  encryptionKeyId: orNull(isText),
  restoreVolumeId: orNull(isText),
  createdAtMs: isTime,
  updatedAtMs: orNull(isTime),
  jobId: orNone(isText),
};

/** Throws record_damaged for what is no backup, or contradicts itself. */
export function checkBackup(key: string, record: Backup): void {
  checkFields(`the backup ${key}`, record, fields);
  if (record.parentId === record.id) throw new AndironError("record_damaged", `the backup ${key} is its own parent`);
}

/** Throws record_too_large for a location beyond its bound. */
export function checkLocation(location: BackupLocation): void {
  const bytes = Buffer.byteLength(JSON.stringify(location));
  if (bytes <= backupBounds.locationBytesMax) return;
  const most = backupBounds.locationBytesMax;
  throw new AndironError("record_too_large", `a backup's location has ${bytes} bytes, the most is ${most}`);
}
