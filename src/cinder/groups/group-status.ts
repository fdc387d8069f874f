// The states of groups and group snapshots: which verb is allowed when, and the sentence of each refusal. Pure functions.
//
//   group     (nothing) ──► available | error (no pool)      of a source: creating ──► available | error
//             available | error | creating ── delete ──► gone, or deleting ──► gone | error_deleting
//   snapshot  (nothing) ──► available | creating ──► available | error      available | error ── delete ──► gone
//
// Members are checked here as members; what else may be done to them stands in status.ts.

import { invalid, invalidGroup, invalidGroupSnapshot, invalidSnapshot, invalidVolume } from "../faults.ts";
import { cinderLimits } from "../model.ts";
import type { Group, GroupSnapshot, GroupSnapshotStatus, GroupStatus, Snapshot, Volume, VolumeStatus } from "../model.ts";
import { backendOfHost } from "../scheduler.ts";
import { isMigrating, listed } from "../status.ts";

const addable: readonly VolumeStatus[] = ["available", "in-use"];
const removable: readonly VolumeStatus[] = ["available", "in-use", "error", "error_deleting"];
/** Disks that are there and are nobody's to rewrite. */
const snapshottable: readonly VolumeStatus[] = [
  "available",
  "in-use",
  "attaching",
  "detaching",
  "reserved",
  "awaiting-transfer",
  "uploading",
  "backing-up",
];

/** A new volume in the group. */
export function checkJoinAtCreation(group: Group, projectId: string, type: { readonly id: string; readonly name: string }): void {
  if (!isAtRest(group)) throw invalidGroup("Originating group status must be one of 'available' values");
  if (!group.volumeTypeIds.includes(type.id)) {
    throw invalid(
      `Invalid input received: Invalid volume_type provided: ${type.name} (requested type must be supported by this group).`,
    );
  }
  if (group.projectId !== projectId) throw invalidGroup(`Group ${group.id} belongs to another project.`);
  checkRoom(group, 1);
}

/** Whatever an administrator says of it: what joins while a job deletes its volumes would go with them. */
function isAtRest({ status, jobId }: Group): boolean {
  return status === "available" && jobId === undefined;
}

/** `added` volumes more. */
export function checkRoom(group: Group, added: number): void {
  if (group.volumeIds.length + added <= cinderLimits.groupVolumesMax) return;
  throw invalidGroup(
    `A group has at most ${cinderLimits.groupVolumesMax} volumes; group ${group.id} has ${group.volumeIds.length} already.`,
  );
}

/** `volume`: undefined when the caller sees none. */
export function checkAdd(group: Group, volumeId: string, volume: Volume | undefined): Volume {
  const refusal = `Cannot add volume ${volumeId} to group ${group.id}`;
  if (volume === undefined) throw invalidVolume(`${refusal} because volume cannot be found.`);
  if (volume.groupId !== null) throw invalidVolume(`${refusal} because it is already in group ${volume.groupId}.`);
  if (volume.projectId !== group.projectId) throw invalidVolume(`${refusal} as they belong to different projects.`);
  if (volume.typeId === null) throw invalidVolume(`${refusal} because it has no volume type.`);
  if (!group.volumeTypeIds.includes(volume.typeId)) {
    throw invalidVolume(`${refusal} because volume type ${volume.typeId} is not supported by the group.`);
  }
  checkMember(refusal, volume, addable);
  const isLocal = volume.host !== null && group.host !== null && backendOfHost(volume.host) === backendOfHost(group.host);
  if (!isLocal) throw invalidVolume("Volume is not local to this node.");
  if (isMigrating(volume) || volume.jobId !== undefined) throw invalidVolume(`${refusal} because something works on it.`);
  return volume;
}

export function checkRemove(group: Group, volume: Volume): void {
  checkMember(`Cannot remove volume ${volume.id} from group ${group.id}`, volume, removable);
}

function checkMember(refusal: string, { status }: Volume, valid: readonly VolumeStatus[]): void {
  if (valid.includes(status)) return;
  throw invalidVolume(`${refusal} because volume is in an invalid state: ${status}. Valid states are: ${listed(valid)}.`);
}

export function checkMembersChange(group: Group): void {
  if (!isAtRest(group)) throw invalidGroup("Group status must be available.");
}

/** Delete of a group that has a pool; its volumes are checked one by one. */
export function checkGroupDelete(group: Group, withVolumes: boolean): void {
  if (!withVolumes && group.status !== "available" && group.status !== "error") {
    throw invalidGroup(`Group status must be available or error, but current status is: ${group.status}`);
  }
  if (group.snapshotCount > 0) throw invalidGroup("Group has existing snapshots.");
  if (group.volumeIds.length === 0 || withVolumes) return;
  throw invalidGroup(`Group ${group.id} still contains volumes. The delete-volumes flag is required to delete it.`);
}

export function checkMemberDelete(group: Group, volume: Volume): void {
  if (volume.attachStatus === "attached") {
    throw invalidGroup(`Volume in group ${group.id} is attached. Need to detach first.`);
  }
  if (volume.snapshotCount > 0) throw invalidGroup("Volume in group still has dependent snapshots.");
}

/** Something else is made of it at this time. */
export function isSourceRefusal(group: Group): Error {
  return invalidGroup(
    `Cannot delete group ${group.id}. Group status must be available or error and must not have dependent group snapshots, ` +
      "and it cannot be the source for an ongoing group or group snapshot creation.",
  );
}

/** A member of a group that is to be snapshot. */
export function checkMemberSnapshot(volume: Volume): void {
  if (volume.host === null) {
    throw invalidVolume("The snapshot cannot be created because volume has not been scheduled to any host.");
  }
  if (volume.status === "maintenance") {
    throw invalidVolume("The snapshot cannot be created when the volume is in maintenance mode.");
  }
  if (isMigrating(volume) || volume.move !== undefined) {
    throw invalidVolume("Snapshot cannot be created while volume is migrating.");
  }
  if (volume.status === "error") throw invalidVolume("The snapshot cannot be created when the volume is in error status.");
  if (snapshottable.includes(volume.status)) return;
  throw invalidVolume(`Volume ${volume.id} status must be ${snapshottable.join(", ")}, but current status is: ${volume.status}.`);
}

export function checkGroupSnapshotDelete(snapshot: GroupSnapshot, isSource: boolean): void {
  const isSettled = snapshot.status === "available" || snapshot.status === "error";
  if (isSettled && !isSource) return;
  throw invalidGroupSnapshot(
    "GroupSnapshot status must be available or error, and no Group can be currently using it as source for its creation.",
  );
}

/** Sources of a new group's volumes. */
export function checkSnapshotOfSource(groupId: string, snapshot: Snapshot): void {
  if (snapshot.status === "available") return;
  throw invalidSource(groupId, `snapshot ${snapshot.id}`, ["available"]);
}

export function checkVolumeOfSource(groupId: string, volume: Volume): void {
  if (!addable.includes(volume.status)) throw invalidSource(groupId, `source volume ${volume.id}`, addable);
  if (volume.move !== undefined) throw invalidVolume(`Volume ${volume.id} is being migrated to ${volume.move.host}.`);
}

function invalidSource(groupId: string, what: string, valid: readonly string[]): Error {
  return invalidGroup(
    `Cannot create group ${groupId} because ${what} is not in a valid state. Valid states are: ${listed(valid)}.`,
  );
}

/** Force delete goes past the status, never past the group. */
export function checkNotInGroupSnapshot(snapshot: Snapshot): void {
  if (snapshot.groupSnapshotId !== null) throw invalidSnapshot("Snapshot  must not be part of a group.");
}

export function checkTransferable(volume: Volume): void {
  if (volume.groupId !== null) throw invalidVolume(`Volume ${volume.id} must not be part of a consistency group.`);
}

/** In Cinder's order, which its messages show. */
const shownGroupSnapshotStatuses: readonly GroupSnapshotStatus[] = [
  "error",
  "available",
  "creating",
  "deleting",
  "deleted",
  "updating",
  "error_deleting",
];
const shownGroupStatuses: readonly GroupStatus[] = [
  "error",
  "available",
  "creating",
  "deleting",
  "deleted",
  "updating",
  "in-use",
  "error_deleting",
];

/** reset_status, in any case of letters. Cinder shows in-use among the valid ones, and refuses it. */
export function resetGroupTarget(status: string): GroupStatus {
  const target = shownGroupStatuses.find((known) => known === status.toLowerCase());
  if (target !== undefined && target !== "in-use") return target;
  throw invalidStatus(
    "Group Status",
    status,
    `Group status: ${status} is invalid, valid status are: ${listed(shownGroupStatuses)}.`,
  );
}

export function resetGroupSnapshotTarget(status: string): GroupSnapshotStatus {
  const target = shownGroupSnapshotStatuses.find((known) => known === status.toLowerCase());
  if (target !== undefined) return target;
  const valid = listed(shownGroupSnapshotStatuses);
  throw invalidStatus(
    "GroupSnapshot Status",
    status,
    `Group snapshot status: ${status} is invalid, valid statuses are: ${valid}.`,
  );
}

function invalidStatus(what: string, status: string, reason: string): Error {
  return invalid(`Invalid ${what}: ${status.trim() === "" ? "The 'status' can not be empty." : reason}`);
}

/** The newer API on what the older one made. `what`: "group" or "group snapshots", as it is called in the sentence. */
export function reserved(groupTypeId: string, what = "group"): Error {
  const api = what === "group" ? "CG" : "CG snapshot";
  return invalid(
    `Group_type ${groupTypeId} is reserved for migrating CGs to groups. Migrated ${what} can only be operated by ${api} APIs.`,
  );
}
