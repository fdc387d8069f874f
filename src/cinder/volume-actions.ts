// The actions that concern a volume alone. Each is one transaction over the volume's record, the quota and the vDisk.

import type { Tx } from "../registry/atomic.ts";
import { dropAttachments } from "./attachment-records.ts";
import type { RequestContext } from "./context.ts";
import { invalidVolume, notFound, type CinderFault } from "./faults.ts";
import { checkMetadata, withoutKey } from "./metadata-rules.ts";
import { gibBytes, type Attachment, type Metadata, type Volume } from "./model.ts";
import type { PolicyRule } from "./policy.ts";
import { findVolume, readAttachments, readVolume, type CinderPorts } from "./ports.ts";
import { volumeKind, writeRecord } from "./records.ts";
import {
  checkExtend,
  checkMetadataUpdate,
  checkMigrationStatus,
  checkReadOnlyUpdate,
  checkRevert,
  checkUpdate,
  resetAttachTarget,
  resetTarget,
} from "./status.ts";
import type { StatusReset, VolumeActions } from "./verbs.ts";
import type { VolumeDeletion } from "./volume-delete.ts";

export class VolumeActionService implements VolumeActions {
  readonly #ports: CinderPorts;
  readonly #deletion: VolumeDeletion;

  constructor(ports: CinderPorts, deletion: VolumeDeletion) {
    this.#ports = ports;
    this.#deletion = deletion;
  }

  async extend(context: RequestContext, id: string, newSizeGib: number, allowInUse: boolean): Promise<void> {
    let servers: readonly string[] = [];
    await this.#change(context, id, "volume:extend", async (volume, tx) => {
      if (volume.status === "in-use") this.#ports.policy.enforce(context, "volume:extend_attached_volume", volume);
      checkExtend(volume, newSizeGib, allowInUse);
      const { projectId, typeId } = volume;
      await this.#ports.ledger.checkVolumeSize(tx, projectId, newSizeGib);
      if (volume.consumesQuota) {
        await this.#ports.ledger.charge(tx, { projectId, typeId, gigabytes: newSizeGib - volume.sizeGib });
      }
      await this.#ports.control.growVdisk(tx, id, newSizeGib * gibBytes);
      servers = serversOf(await readAttachments(tx, volume));
      const grown = { ...volume, sizeGib: newSizeGib };
      await this.#ports.notices.volume(tx, context, "extend", volume, grown);
      return grown;
    });
    if (servers.length === 0) return;
    // Nobody waits for it: the volume has grown, and Nova, which may be away, works on it after its answer anyway.
    this.#ports.servers.volumeExtended(context, servers, id).catch((error: unknown) => {
      this.#ports.onTrouble(`Nova could not be told that volume ${id} has grown; its servers see it when attached anew`, error);
    });
  }

  async completeExtension(context: RequestContext, id: string): Promise<never> {
    await this.#ports.index.fresh();
    const volume = findVolume(this.#ports, context, id);
    this.#ports.policy.enforce(context, "volume_extension:volume_admin_actions:extend_volume_completion", volume);
    throw invalidVolume("Volume is not being extended.");
  }

  /** attach_status "detached" ends the attachments too, so that a volume is never freed with a host still connected. */
  async resetStatus(context: RequestContext, id: string, reset: StatusReset): Promise<void> {
    const revoked: string[] = [];
    await this.#change(context, id, "volume_extension:volume_admin_actions:reset_status", async (volume, tx) => {
      await this.#ports.notices.volume(tx, context, "resetStatusBegins", volume);
      let next = volume;
      if (reset.status !== undefined) {
        next = { ...next, status: resetTarget(reset.status, volume.attachmentIds.length > 0) };
      }
      if (reset.migrationStatus !== undefined) {
        checkMigrationStatus(reset.migrationStatus);
        next = { ...next, migrationStatus: reset.migrationStatus === "none" ? null : reset.migrationStatus };
      }
      if (reset.attachStatus !== undefined) {
        next = { ...next, attachStatus: resetAttachTarget(reset.attachStatus) };
        if (next.attachStatus === "detached") {
          revoked.splice(0, revoked.length, ...(await dropAttachments(this.#ports, tx, volume)));
          next = { ...next, attachmentIds: [], adminMetadata: withoutKey(next.adminMetadata, "attached_mode") };
        }
      }
      await this.#ports.notices.volume(tx, context, "resetStatusEnds", next);
      return next;
    });
    for (const attachmentId of revoked) await this.#ports.control.exportGone(attachmentId);
  }

  async setReadOnly(context: RequestContext, id: string, readOnly: boolean): Promise<void> {
    await this.#change(context, id, "volume:update_readonly_flag", (volume) => {
      checkReadOnlyUpdate(volume);
      return { ...volume, adminMetadata: { ...volume.adminMetadata, readonly: readOnly ? "True" : "False" } };
    });
  }

  async setBootable(context: RequestContext, id: string, bootable: boolean): Promise<void> {
    await this.#change(context, id, "volume:update", (volume) => {
      checkUpdate(volume);
      return { ...volume, bootable };
    });
  }

  async revert(context: RequestContext, id: string, snapshotId: string): Promise<void> {
    await this.#change(context, id, "volume:revert_to_snapshot", async (volume, tx) => {
      // Read after the volume's record, which every change of its snapshots writes: the newest seen is the newest there is.
      await this.#ports.index.fresh();
      const snapshots = this.#ports.index.snapshots.ofVolume(id);
      const snapshot = checkRevert(volume, snapshotId, snapshots.at(snapshots.size - 1));
      await this.#ports.control.revertVdisk(tx, id, snapshot.id);
      await this.#ports.notices.volume(tx, context, "revert", volume);
      await this.#ports.notices.snapshot(tx, context, "revert", snapshot);
      return volume;
    });
  }

  forceDelete(context: RequestContext, id: string): Promise<void> {
    const rules = ["volume_extension:volume_admin_actions:force_delete"] as const;
    return this.#deletion.delete(context, id, { cascade: false, force: true, rules });
  }

  async showImageMetadata(context: RequestContext, id: string): Promise<Metadata> {
    await this.#ports.index.fresh();
    const volume = findVolume(this.#ports, context, id);
    this.#ports.policy.enforce(context, "volume:get_volume_metadata", volume);
    if (Object.keys(volume.imageMetadata).length === 0) throw imageMetadataNotFound(id);
    return volume.imageMetadata;
  }

  async setImageMetadata(context: RequestContext, id: string, metadata: Metadata): Promise<Metadata> {
    const rule = "volume_extension:volume_image_metadata:set";
    const volume = await this.#change(context, id, rule, (present) => {
      checkMetadataUpdate(present);
      const imageMetadata = { ...present.imageMetadata, ...metadata };
      checkMetadata(imageMetadata);
      return { ...present, imageMetadata };
    });
    return volume.imageMetadata;
  }

  async unsetImageMetadata(context: RequestContext, id: string, key: string): Promise<void> {
    await this.#change(context, id, "volume_extension:volume_image_metadata:remove", (volume) => {
      if (!Object.hasOwn(volume.imageMetadata, key)) throw imageMetadataNotFound(id);
      checkMetadataUpdate(volume, "Deleting");
      return { ...volume, imageMetadata: withoutKey(volume.imageMetadata, key) };
    });
  }

  #change(
    context: RequestContext,
    id: string,
    rule: PolicyRule,
    change: (volume: Volume, tx: Tx) => Volume | Promise<Volume>,
  ): Promise<Volume> {
    return this.#ports.store.commit(context.projectId, async (tx) => {
      const volume = await readVolume(tx, context, id);
      this.#ports.policy.enforce(context, rule, volume);
      const next = { ...(await change(volume, tx)), updatedAtMs: this.#ports.clock.wallMs() };
      writeRecord(tx, volumeKind, id, next);
      return next;
    });
  }
}

function imageMetadataNotFound(id: string): CinderFault {
  return notFound(`Glance metadata for volume/snapshot ${id} cannot be found.`);
}

/** The servers that have the volume as a disk. */
function serversOf(attachments: readonly Attachment[]): string[] {
  const attached = attachments.filter(({ status }) => status === "attached");
  return [...new Set(attached.flatMap(({ instanceId }) => instanceId ?? []))];
}
