// The states of volumes and snapshots: which verb is allowed when, and the sentence of each refusal. Pure functions.
//
//                         create                                            reserve
//   (nothing) ──────────► creating ──────► available ─────────────────────► attaching/reserved
//                            │               ▲  │  ▲                              │ attach, complete
//                            ▼               │  │  └───────── unreserve ──────────┤
//                          error ◄───────────┘  │                                 ▼
//                            │  (reset_status)  │         last detach          in-use ◄── roll_detaching ──┐
//                            │                  │  ◄──────────────────────────── │                        │
//                            ▼                  ▼                                └── begin_detaching ► detaching
//                         deleting ◄─────── deleting (only seen while a cascade runs) ──► gone
//
//   snapshots:  (nothing) ──► creating ──► available ──► gone        creating ──► error ──► gone
//
// What jobs enter and leave (downloading, uploading) is drawn where they are. What the API knows beside these (backing-up, ...)
// is entered by later verbs or by reset_status only, and refused here wherever the tables do not name it.

import { conflict, invalid, invalidInput, invalidSnapshot, invalidVolume } from "./faults.ts";
import { attachStatuses, cinderLimits, snapshotStatuses } from "./model.ts";
import type { Attachment, AttachStatus, Snapshot, SnapshotStatus, Volume, VolumeStatus } from "./model.ts";

export function isErrorStatus(status: string): boolean {
  return status.includes("error");
}

/** A migration that has not come to its end. */
export function isMigrating(volume: Volume): boolean {
  return volume.migrationStatus !== null && !["none", "success", "error", "deleting"].includes(volume.migrationStatus);
}

/** A job copies it to another pool: what would change it, or let others change it, is refused. */
export function checkNotMoving(volume: Volume): void {
  if (volume.move === undefined) return;
  throw invalidVolume(`Volume ${volume.id} is being migrated to ${volume.move.host}.`);
}

/** `qosAllows`: a host that uses the volume need not know of the change. */
export function checkRetype(volume: Volume, newTypeId: string, qosAllows: boolean): void {
  const settled = volume.status === "available" || (volume.status === "in-use" && qosAllows);
  if (settled && isAtRest(volume) && volume.typeId !== newTypeId) return;
  throw invalidVolume(
    "Retype needs volume to be in available or in-use state, not be part of an active migration or a consistency group, " +
      "requested type has to be different that the one from the volume, and for in-use volumes " +
      "front-end qos specs cannot change.",
  );
}

export function checkMigrate(volume: Volume, host: string): void {
  const settled = volume.status === "available" || volume.status === "in-use";
  if (settled && isAtRest(volume) && volume.host !== null && volume.host !== host && volume.snapshotCount === 0) return;
  throw invalidVolume(
    `Volume ${volume.id} status must be available or in-use, must not be migrating, have snapshots, be replicated, ` +
      "be part of a group and destination host/cluster must be different than the current one",
  );
}

/** No migration and no other job is under way. */
function isAtRest(volume: Volume): boolean {
  return !isMigrating(volume) && volume.groupId === null && volume.jobId === undefined;
}

const deletable: readonly VolumeStatus[] = ["available", "error", "error_restoring", "error_extending", "error_managing"];

/** Delete and force delete. `attached`: some attachment is. A volume that never had a pool is always deletable. */
export function checkDelete(volume: Volume, attached: boolean, options: { cascade: boolean; force: boolean }): void {
  if (volume.host === null) return;
  const statusAllows = options.force || deletable.includes(volume.status);
  const free = !attached && !isMigrating(volume) && volume.groupId === null;
  if (statusAllows && free && (options.cascade || volume.snapshotCount === 0)) return;
  throw deleteRefusal(options.force);
}

export function deleteRefusal(force: boolean): Error {
  const statuses = force ? "" : `status must be ${deletable.join(" or ")} and`;
  return invalidVolume(
    `Volume ${statuses} must not be migrating, attached, belong to a group, have snapshots, awaiting a transfer, ` +
      "or be disassociated from snapshots after volume transfer.",
  );
}

/** PUT and os-set_bootable. */
export function checkUpdate(volume: Volume): void {
  if (volume.status === "maintenance") throw invalidVolume("The volume cannot be updated during maintenance.");
}

export function checkMetadataUpdate(volume: Volume, verb: "Updating" | "Deleting" = "Updating"): void {
  if (volume.status === "maintenance" || volume.status === "uploading") {
    throw invalidVolume(`${verb} volume metadata is not allowed for volumes in ${volume.status} status.`);
  }
}

export function checkReadOnlyUpdate(volume: Volume): void {
  if (volume.status === "available") return;
  throw invalidVolume(
    `Volume ${volume.id} status must be available to update readonly flag, but current status is: ${volume.status}.`,
  );
}

export function checkExtend(volume: Volume, newSizeGib: number, allowInUse: boolean): void {
  checkNotMoving(volume);
  if (volume.status !== "available" && !(allowInUse && volume.status === "in-use")) {
    throw invalidVolume(`Volume ${volume.id} status must be '{'status': 'available'}' to extend, currently ${volume.status}.`);
  }
  if (newSizeGib <= volume.sizeGib) {
    throw invalidInput(
      `New size for extend must be greater than current size. (current: ${volume.sizeGib}, extended: ${newSizeGib}).`,
    );
  }
  if (newSizeGib > cinderLimits.volumeGibMax) throw invalidInput(volumeTooLarge(newSizeGib));
}

/** The reason for a size beyond volumeGibMax. */
export function volumeTooLarge(sizeGib: number): string {
  return `Volume size ${sizeGib}G is larger than the largest possible, ${cinderLimits.volumeGibMax}G.`;
}

export function checkReserve(volume: Volume): void {
  checkNotMoving(volume);
  if (volume.status === "available" || (volume.multiattach && volume.status === "in-use")) return;
  throw invalidVolume(`Volume status must be available to reserve, but the status is ${volume.status}.`);
}

export function checkBeginDetaching(volume: Volume): void {
  if (volume.status === "in-use" && volume.attachStatus === "attached" && !isMigrating(volume)) return;
  throw invalidVolume("Unable to detach volume. Volume status must be 'in-use' and attach_status must be 'attached' to detach.");
}

export function checkSnapshotSource(volume: Volume, allowInUse: boolean): void {
  if (volume.status === "maintenance")
    throw invalidVolume("The snapshot cannot be created when the volume is in maintenance mode.");
  if (isMigrating(volume)) throw invalidVolume("Snapshot cannot be created while volume is migrating.");
  checkNotMoving(volume);
  if (volume.status === "error") throw invalidVolume("The snapshot cannot be created when the volume is in error status.");
  if (volume.status === "available" || (allowInUse && volume.status === "in-use")) return;
  const wanted = allowInUse ? "available, in-use" : "available";
  throw invalidVolume(`Volume ${volume.id} status must be ${wanted}, but current status is: ${volume.status}.`);
}

export function checkSnapshotDelete(snapshot: Snapshot): void {
  const free = snapshot.groupSnapshotId === null;
  if (free && (snapshot.status === "available" || snapshot.status === "error")) return;
  throw invalidSnapshot("Snapshot status must be available or error and must not be part of a group.");
}

/** os-volume_upload_image; `force` is false where enable_force_upload is. */
export function checkUpload(volume: Volume, force: boolean): void {
  checkNotMoving(volume);
  if (volume.status === "available" || (force && volume.status === "in-use")) return;
  throw invalidVolume(`Volume ${volume.id} status must be ${force ? "available or in-use" : "available"}`);
}

/** os-reimage; `reserved`: the caller allows it of a volume that a server has reserved. */
export function checkReimage(volume: Volume, reserved: boolean): void {
  checkNotMoving(volume);
  if (volume.attachmentIds.length > 1) {
    throw conflict("Cannot re-image a volume which is attached to more than one server.");
  }
  const settled = volume.status === "available" || volume.status === "error" || (reserved && volume.status === "reserved");
  if (settled && volume.jobId === undefined) return;
  const statuses = reserved ? "available or error or reserved" : "available or error";
  throw invalidVolume(`Volume ${volume.id} status must be ${statuses}, but current status is ${volume.status}.`);
}

/** Sources of a new volume. */
export function checkCloneSource(source: Volume): void {
  if (source.status === "available" || source.status === "in-use") return;
  throw invalidVolume("Originating source volume status must be one of 'available, in-use' values");
}

export function checkSnapshotAsSource(source: Snapshot): void {
  if (source.status === "available") return;
  throw invalidSnapshot("Originating snapshot status must be one of 'available' values");
}

/** The volume as the state machine of revert sees it; `latest` is its newest snapshot. */
export function checkRevert(volume: Volume, snapshotId: string, latest: Snapshot | undefined): Snapshot {
  checkNotMoving(volume);
  if (latest === undefined) throw invalid(`Volume ${volume.id} has no snapshots.`);
  if (latest.id !== snapshotId) {
    throw invalid(`Specified snapshot ${snapshotId} is None or not the latest one of volume ${volume.id}.`);
  }
  const both = `Can't revert volume ${volume.id} to its latest snapshot ${latest.id}.`;
  if (latest.sizeGib !== volume.sizeGib) throw invalid(`${both} The volume size must be equal to the snapshot size.`);
  if (volume.status !== "available") throw conflict(`Invalid volume: ${both} Volume's status must be 'available'.`);
  if (latest.status !== "available") throw conflict(`Invalid snapshot: ${both} Snapshot's status must be 'available'.`);
  return latest;
}

/** As Python shows them. */
export function listed(names: readonly string[]): string {
  const only = names.length === 1 ? "," : "";
  return `(${names.map((name) => `'${name}'`).join(", ")}${only})`;
}

/** In Cinder's order, which its message shows. */
const shownVolumeStatuses: readonly VolumeStatus[] = [
  "creating",
  "available",
  "deleting",
  "error",
  "error_deleting",
  "error_managing",
  "managing",
  "attaching",
  "in-use",
  "detaching",
  "maintenance",
  "restoring-backup",
  "error_restoring",
  "reserved",
  "awaiting-transfer",
  "backing-up",
  "error_backing-up",
  "error_extending",
  "downloading",
  "uploading",
  "retyping",
  "extending",
];

const migrationStatuses = ["migrating", "error", "success", "completing", "none", "starting"];

/** Throws "invalid" for what os-reset_status does not take as a migration_status. */
export function checkMigrationStatus(status: string): void {
  if (migrationStatuses.includes(status)) return;
  throw invalid(`Volume migration status: ${status} is invalid, valid statuses are: ${listed(migrationStatuses)}.`);
}

/** os-reset_status of a volume: the name as a status, or the refusal. `hasAttachments` counts rows of any state. */
export function resetTarget(status: string, hasAttachments: boolean): VolumeStatus {
  const target = shownVolumeStatuses.find((known) => known === status);
  if (target === undefined)
    throw invalid(`Volume status: ${status} is invalid, valid statuses are: ${listed(shownVolumeStatuses)}.`);
  if (target === "deleting") throw invalid("Cannot reset-state to deleting");
  if (target === "in-use" && !hasAttachments) {
    throw invalid("Cannot reset-state to in-use because volume does not have any attachments.");
  }
  return target;
}

export function resetAttachTarget(status: string): AttachStatus {
  const target = attachStatuses.find((known) => known === status && (known === "attached" || known === "detached"));
  if (target === undefined) {
    throw invalid(`Volume attach status: ${status} is invalid, valid statuses are: ['attached', 'detached'].`);
  }
  return target;
}

/** In Cinder's order, which its message shows. */
const shownSnapshotStatuses: readonly SnapshotStatus[] = [
  "error",
  "available",
  "creating",
  "deleting",
  "deleted",
  "updating",
  "error_deleting",
  "unmanaging",
  "backing-up",
  "restoring",
];

export function resetSnapshotTarget(status: string): SnapshotStatus {
  const target = snapshotStatuses.find((known) => known === status);
  if (target === undefined) {
    throw invalid(`Snapshot status: ${status} is invalid, valid statuses are: ${listed(shownSnapshotStatuses)}.`);
  }
  return target;
}

/** os-update_snapshot_status: what a driver may report of a snapshot under way. */
export function updateSnapshotTarget(snapshot: Snapshot, status: string): SnapshotStatus {
  const table: Readonly<Record<string, readonly SnapshotStatus[]>> = {
    creating: ["creating", "available", "error"],
    deleting: ["deleting", "error_deleting"],
  };
  const targets = table[snapshot.status];
  if (targets === undefined) {
    throw invalid(`Snapshot status ${snapshot.status} not allowed for update_snapshot_status`);
  }
  const target = targets.find((known) => known === status);
  if (target === undefined) {
    throw invalid(`Provided snapshot status ${status} not allowed for snapshot with status ${snapshot.status}.`);
  }
  return target;
}

/** What the volume is by the attachments that remain: attached, then attaching, then detaching, then reserved, then none. */
export function statusByAttachments(attachments: readonly Attachment[]): {
  readonly status: VolumeStatus;
  readonly attachStatus: AttachStatus;
} {
  const has = (status: Attachment["status"]): boolean => attachments.some((attachment) => attachment.status === status);
  if (has("attached")) return { status: "in-use", attachStatus: "attached" };
  if (has("attaching")) return { status: "attaching", attachStatus: "attaching" };
  if (has("detaching")) return { status: "detaching", attachStatus: "detaching" };
  if (has("reserved")) return { status: "reserved", attachStatus: "reserved" };
  return { status: "available", attachStatus: "detached" };
}
