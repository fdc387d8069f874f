// What goes with a volume: its records, its place in a group, its quota, its vDisk, its key. Steps of somebody's transaction.

import type { Tx } from "../registry/atomic.ts";
import { dropBase } from "./backups/backup-cuts.ts";
import { leaveGroup } from "./groups/group-records.ts";
import type { Attachment, Volume } from "./model.ts";
import type { CinderPorts } from "./ports.ts";
import { deleteKeyLater } from "./volume-keys.ts";
import { attachmentKind, deleteRecord, transferKind, volumeKind } from "./records.ts";

export async function removeVolume(
  ports: CinderPorts,
  tx: Tx,
  volume: Volume,
  attachments: readonly Attachment[],
  requestId: string,
): Promise<void> {
  await forgetVolume(ports, tx, volume, attachments);
  deleteKeyLater(ports, tx, volume.encryptionKeyId, volume, requestId);
  if (volume.host !== null) await ports.control.deleteVdisk(tx, volume.id);
}

/** The volume's records, with what is left of attachments that never came to be, its quota, and the base of its backups. */
export async function forgetVolume(
  ports: CinderPorts,
  tx: Tx,
  volume: Volume,
  attachments: readonly Attachment[],
): Promise<void> {
  for (const attachment of attachments) {
    if (attachment.connectionInfo !== null) await ports.control.revokeExport(tx, attachment.id);
    deleteRecord(tx, attachmentKind, attachment.id);
  }
  await dropBase(ports.control, tx, volume);
  if (volume.transferId !== undefined) deleteRecord(tx, transferKind, volume.transferId);
  await leaveGroup(tx, volume);
  deleteRecord(tx, volumeKind, volume.id);
  if (!volume.consumesQuota) return;
  const { projectId, typeId, sizeGib, move } = volume;
  await ports.ledger.release(tx, { projectId, typeId, volumes: 1, gigabytes: sizeGib });
  if (move?.typeId === undefined) return;
  await ports.ledger.release(tx, { projectId, typeId: move.typeId, volumes: 1, gigabytes: sizeGib, ofTypeOnly: true });
}
