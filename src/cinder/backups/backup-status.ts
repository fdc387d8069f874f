// The states of backups: which verb is allowed when, and the sentence of each refusal. Pure functions.
//
//             create                              restore
//   (nothing) ──────► creating ──────► available ──────► restoring ──► available, whatever came of it
//                        │               │   ▲
//                        ▼               │   │ reset_status
//                      error ────────────┤ ◄─┘
//                                        ▼
//                                     deleting ──► gone     deleting ──► error_deleting ── force delete ──► deleting
//
// A volume is `backing-up` meanwhile and then what it was; or `restoring-backup`, and then available or error_restoring. Of a
// snapshot it is the snapshot that is `backing-up`, and the volume is free.

import { invalidBackup, invalidSnapshot, invalidVolume, invalid } from "../faults.ts";
import type { Snapshot, Volume } from "../model.ts";
import { checkNotMoving } from "../status.ts";
import type { Backup, BackupStatus } from "./backup.ts";

export function checkBackupSource(volume: Volume, snapshot: Snapshot | undefined, force: boolean): void {
  checkUnencrypted(volume);
  if (snapshot !== undefined) {
    if (snapshot.volumeId !== volume.id) {
      throw invalidVolume(`Volume ${volume.id} does not match with snapshot.volume_id ${snapshot.volumeId}.`);
    }
    if (snapshot.status !== "available") {
      throw invalidSnapshot(`Snapshot to be backed up must be available, but the current status is "${snapshot.status}".`);
    }
    return;
  }
  checkNotMoving(volume);
  if (volume.status !== "available" && volume.status !== "in-use") {
    throw invalidVolume(`Volume to be backed up must be available or in-use, but the current status is "${volume.status}".`);
  }
  if (volume.status === "in-use" && !force) throw invalidVolume("Backing up an in-use volume must use the force flag.");
}

/** A backup has no key of its own: its bytes would be of no use without the volume's, or to a volume that has one. */
function checkUnencrypted({ id, encryptionKeyId }: Volume): void {
  if (encryptionKeyId === undefined) return;
  throw invalidVolume(`Volume ${id} is encrypted: it is neither backed up nor restored to.`);
}

/**
 * What an incremental backup builds on: the one with the latest data; of a snapshot, the latest of those older than it.
 * `others`: the volume's backups in the project.
 */
export function chooseParent(others: readonly Backup[], snapshot: Snapshot | undefined): Backup {
  const beforeMs = snapshot?.createdAtMs ?? Number.POSITIVE_INFINITY;
  const latest = others
    .filter((other) => other.dataTimestampMs < beforeMs)
    .reduce<Backup | undefined>((best, other) => {
      return best === undefined || other.dataTimestampMs > best.dataTimestampMs ? other : best;
    }, undefined);
  if (latest === undefined) throw invalidBackup("No backups available to do an incremental backup.");
  if (latest.status === "available") return latest;
  throw invalidBackup("The parent backup must be available for incremental backup.");
}

export function checkBackupDelete(backup: Backup, force: boolean): void {
  if (force || backup.status === "available" || backup.status === "error") return;
  throw invalidBackup("Backup status must be available or error");
}

export function checkNoDependents(dependents: number): void {
  if (dependents > 0) throw invalidBackup("Incremental backups exist for this backup.");
}

export function checkRestorable(backup: Backup): void {
  if (backup.status !== "available") throw invalidBackup("Backup status must be available");
}

export function checkRestoreTarget(volume: Volume, backup: Backup): void {
  if (volume.status !== "available") throw invalidVolume("Volume to be restored to must be available");
  checkUnencrypted(volume);
  checkNotMoving(volume);
  if (volume.sizeGib >= backup.sizeGib) return;
  throw invalidVolume(`volume size ${volume.sizeGib} is too small to restore backup of size ${backup.sizeGib}.`);
}

export function checkExportable(backup: Backup): void {
  if (backup.status !== "available") throw invalidBackup(`Backup status must be available and not ${backup.status}.`);
}

/** os-reset_status: the name as a status, or the refusal. */
export function resetBackupTarget(status: string): BackupStatus {
  const target = (["available", "error"] as const).find((known) => known === status.toLowerCase());
  if (target !== undefined) return target;
  throw invalid(`Backup status: ${status} is invalid, valid statuses are: ['available', 'error'].`);
}
