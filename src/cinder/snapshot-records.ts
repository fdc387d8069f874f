// What making and deleting a snapshot is in the records, alone or with others: its own, its volume's count, its quota. Steps of
// somebody's transaction.

import type { Tx } from "../registry/atomic.ts";
import type { RequestContext } from "./context.ts";
import type { Snapshot, Volume } from "./model.ts";
import type { CinderPorts } from "./ports.ts";
import type { Charge } from "./quota-ledger.ts";
import { deleteRecord, readRecord, snapshotKind, volumeKind, writeRecord } from "./records.ts";
import type { CinderSettings } from "./settings.ts";
import type { CreateSnapshot } from "./verbs.ts";

/** What a snapshot counts for in the quota of its project. */
export function snapshotCharge(settings: CinderSettings, snapshot: Pick<Snapshot, "projectId" | "typeId" | "sizeGib">): Charge {
  const { projectId, typeId, sizeGib } = snapshot;
  return { projectId, typeId, snapshots: 1, gigabytes: settings.snapshotsCountGigabytes ? sizeGib : 0 };
}

/** After all other snapshots of the volume, whatever the clock says: revert asks for the newest. */
export async function nextSnapshotTimeMs({ index, clock }: CinderPorts, volume: Volume): Promise<number> {
  await index.fresh();
  const others = index.snapshots.ofVolume(volume.id);
  const lastMs = others.at(others.size - 1)?.createdAtMs ?? 0;
  return Math.max(clock.wallMs(), lastMs + 1);
}

export function newSnapshot(
  context: RequestContext,
  volume: Volume,
  request: Pick<CreateSnapshot, "name" | "description" | "metadata">,
  id: string,
  createdAtMs: number,
): Omit<Snapshot, "status" | "progress"> {
  return {
    v: 1,
    id,
    projectId: volume.projectId,
    userId: context.userId,
    volumeId: volume.id,
    typeId: volume.typeId,
    name: request.name ?? null,
    description: request.description ?? null,
    sizeGib: volume.sizeGib,
    createdAtMs,
    updatedAtMs: null,
    groupSnapshotId: null,
    consumesQuota: true,
    availabilityZone: volume.availabilityZone,
    metadata: request.metadata ?? {},
    ...(volume.encryptionKeyId === undefined ? {} : { encryptionKeyId: volume.encryptionKeyId }),
  };
}

export async function removeSnapshot(ports: CinderPorts, tx: Tx, snapshot: Snapshot): Promise<void> {
  await ports.control.deleteSnapshot(tx, snapshot.id);
  await forgetSnapshot(ports, tx, snapshot);
}

/** Its records and its quota; the cut stays. */
export async function forgetSnapshot(ports: CinderPorts, tx: Tx, snapshot: Snapshot): Promise<void> {
  deleteRecord(tx, snapshotKind, snapshot.id);
  const volume = await readRecord(tx, volumeKind, snapshot.volumeId);
  if (volume !== undefined) {
    writeRecord(tx, volumeKind, volume.id, { ...volume, snapshotCount: volume.snapshotCount - 1 });
  }
  if (snapshot.consumesQuota) await ports.ledger.release(tx, snapshotCharge(ports.settings, snapshot));
}
