// Groups and group snapshots as the verbs get at them, and what a transaction must do so that a group's record and its members'
// agree: a volume bears `groupId`, and stands in the group's `volumeIds`; a snapshot bears `groupSnapshotId`, and stands in the
// group snapshot's `snapshotIds`.

import type { Tx } from "../../registry/atomic.ts";
import type { RequestContext } from "../context.ts";
import { groupNotFound, groupSnapshotNotFound } from "../faults.ts";
import type { Group, GroupSnapshot, Snapshot, Volume } from "../model.ts";
import { isVisible, type CinderPorts } from "../ports.ts";
import { groupKind, groupSnapshotKind, readRecord, snapshotKind, volumeKind, writeRecord } from "../records.ts";

/** Of the groups that the older API makes, and that the newer one does not touch. */
export const consistencyGroupTypeName = "default_cgsnapshot_type";

export async function readGroup(tx: Tx, context: RequestContext, id: string): Promise<Group> {
  const group = await readRecord(tx, groupKind, id);
  if (group === undefined || !isVisible(context, group)) throw groupNotFound(id);
  return group;
}

export async function readGroupSnapshot(tx: Tx, context: RequestContext, id: string): Promise<GroupSnapshot> {
  const snapshot = await readRecord(tx, groupSnapshotKind, id);
  if (snapshot === undefined || !isVisible(context, snapshot)) throw groupSnapshotNotFound(id);
  return snapshot;
}

/** In the group's order. */
export async function readMembers(tx: Tx, { volumeIds }: Pick<Group, "volumeIds">): Promise<Volume[]> {
  const volumes: Volume[] = [];
  for (const id of volumeIds) {
    const volume = await readRecord(tx, volumeKind, id);
    if (volume !== undefined) volumes.push(volume);
  }
  return volumes;
}

export async function readMemberSnapshots(tx: Tx, { snapshotIds }: Pick<GroupSnapshot, "snapshotIds">): Promise<Snapshot[]> {
  const snapshots: Snapshot[] = [];
  for (const id of snapshotIds) {
    const snapshot = await readRecord(tx, snapshotKind, id);
    if (snapshot !== undefined) snapshots.push(snapshot);
  }
  return snapshots;
}

/** Takes a volume that goes out of its group, if it is in one. */
export async function leaveGroup(tx: Tx, { id, groupId }: Volume): Promise<void> {
  if (groupId === null) return;
  const group = await readRecord(tx, groupKind, groupId);
  if (group === undefined) return;
  writeRecord(tx, groupKind, groupId, { ...group, volumeIds: group.volumeIds.filter((member) => member !== id) });
}

/** From the index: whether the older API made it. */
export function isConsistencyGroup({ index }: Pick<CinderPorts, "index">, group: Pick<Group, "groupTypeId">): boolean {
  return index.groupTypes.get(group.groupTypeId)?.name === consistencyGroupTypeName;
}

/** From the index: something is being made of the group or the group snapshot. */
export function isSourceOfGroup({ index }: Pick<CinderPorts, "index">, id: string): boolean {
  return index.groups.select((one) => one.jobId !== undefined && isMadeOf(one, id) && one.status === "creating").length > 0;
}

const isMadeOf = (group: Group, id: string): boolean => group.groupSnapshotId === id || group.sourceGroupId === id;
