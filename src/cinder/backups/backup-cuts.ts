// The snapshots of the engine that backups stand on. Nobody sees them, and no quota has them.
//
//   request ──► cut, id of the backup ──► backup available ──► kept as the volume's base, in place of the one before
//          └──► copy of the parent's cut, id of the job ──► gone with the job
//
// - A base belongs to its volume's record (`backupBaseId`), and goes with it, with its backup, or when the volume gets another
//   disk. There is one at most: an incremental backup of anything but the newest writes all of the volume anew.
// - What the parent's cut is may change while a job reads it: so the job has a copy of its own.

import { AndironError } from "../../common/errors.ts";
import type { Control } from "../../engine/control.ts";
import type { Tx } from "../../registry/atomic.ts";
import type { Volume } from "../model.ts";
import { readRecord, volumeKind, writeRecord } from "../records.ts";
import type { Backup } from "./backup.ts";

/** No error when it is gone already. */
export async function dropCut(control: Control, tx: Tx, id: string): Promise<void> {
  await control.deleteSnapshot(tx, id).catch((error: unknown) => {
    if (!(error instanceof AndironError) || error.code !== "snapshot_not_found") throw error;
  });
}

/** The volume's disk goes, or is replaced: its base with it. */
export async function dropBase(control: Control, tx: Tx, volume: Volume): Promise<void> {
  if (volume.backupBaseId !== undefined) await dropCut(control, tx, volume.backupBaseId);
}

/** The backup goes: if its cut is the base of its volume, that one too. */
export async function dropBaseOf(control: Control, tx: Tx, backup: Pick<Backup, "id" | "volumeId">): Promise<void> {
  const volume = await readRecord(tx, volumeKind, backup.volumeId);
  if (volume?.backupBaseId !== backup.id) return;
  const { backupBaseId: _gone, ...rest } = volume;
  await dropBase(control, tx, volume);
  writeRecord(tx, volumeKind, volume.id, rest);
}
