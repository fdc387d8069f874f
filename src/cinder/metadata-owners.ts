// The rules of metadata for volumes and for snapshots.

import type { Tx } from "../registry/atomic.ts";
import type { RequestContext } from "./context.ts";
import { snapshotNotFound } from "./faults.ts";
import type { MetadataOwner } from "./metadata-verbs.ts";
import type { Snapshot, Volume } from "./model.ts";
import { findVolume, isVisible, readSnapshot, readVolume, type CinderPorts } from "./ports.ts";
import { snapshotKind, volumeKind, writeRecord } from "./records.ts";
import { checkMetadataUpdate } from "./status.ts";

export function volumeMetadataOwner(ports: CinderPorts): MetadataOwner<Volume> {
  return {
    noun: "Volume",
    rules: {
      get: "volume:get_volume_metadata",
      create: "volume:create_volume_metadata",
      update: "volume:update_volume_metadata",
      delete: "volume:delete_volume_metadata",
    },
    find: (context, id) => findVolume(ports, context, id),
    read: readVolume,
    write: (tx: Tx, volume) => writeRecord(tx, volumeKind, volume.id, volume),
    checkState: checkMetadataUpdate,
  };
}

export function snapshotMetadataOwner(ports: CinderPorts): MetadataOwner<Snapshot> {
  return {
    noun: "Snapshot",
    rules: {
      get: "volume:get_snapshot_metadata",
      create: "volume:update_snapshot_metadata",
      update: "volume:update_snapshot_metadata",
      delete: "volume:delete_snapshot_metadata",
    },
    find: (context, id) => findSnapshot(ports, context, id),
    read: readSnapshot,
    write: (tx: Tx, snapshot) => writeRecord(tx, snapshotKind, snapshot.id, snapshot),
    checkState: () => undefined,
  };
}

/** From the index; the caller has waited for it to be fresh. */
export function findSnapshot(ports: CinderPorts, context: RequestContext, id: string): Snapshot {
  const snapshot = ports.index.snapshots.get(id);
  if (snapshot === undefined || !isVisible(context, snapshot)) throw snapshotNotFound(id);
  return snapshot;
}
