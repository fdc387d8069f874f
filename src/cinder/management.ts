// Taking vDisks and snapshots of the engine in as volumes and snapshots, and letting them go without deleting them.
//
//   vDisk, no volume ── manage ──► available volume ── unmanage ──► vDisk, no volume
//
// A volume's vDisk has the volume's id, so that "managed" means: there is a volume of that id. A volume is never the one that
// was let go before: taking a vDisk in gives it the new volume's id. A snapshot keeps its own. What is taken in is read by the
// transaction that makes the volume: it can't vanish, be exported or be taken twice meanwhile.

import type { SnapshotRow, VdiskName, VdiskRow } from "../engine/control.ts";
import type { Tx } from "../registry/atomic.ts";
import { AndironError } from "../common/errors.ts";
import type { RequestContext } from "./context.ts";
import { asksFor } from "./extra-specs.ts";
import { invalid, invalidInput, invalidSnapshot, serviceNotFound } from "./faults.ts";
import { checkMetadata, checkTexts } from "./metadata-rules.ts";
import { gibBytes, cinderLimits, type Snapshot, type Volume, type VolumeType } from "./model.ts";
import type { Management, ManageableRow, ManageSnapshot, ManageVolume, Reference } from "./operator-verbs.ts";
import { ownTarget } from "./policy.ts";
import { readSnapshot, readVolume, type CinderPorts } from "./ports.ts";
import { readRecord, snapshotKind, volumeKind, writeRecord } from "./records.ts";
import { backendName, volumeHost } from "./scheduler.ts";
import { forgetSnapshot, snapshotCharge } from "./snapshot-records.ts";
import { checkNotMoving, checkSnapshotDelete } from "./status.ts";
import { isUuid, readDefaultType, readTypeByReference } from "./type-reference.ts";
import { isTypeUsable } from "./type-visibility.ts";
import type { VolumeDetail } from "./verbs.ts";
import { vdiskName } from "./volume-create.ts";
import type { VolumeDeletion } from "./volume-delete.ts";

export class ManagementService implements Management {
  readonly #ports: CinderPorts;
  readonly #deletion: VolumeDeletion;

  constructor(ports: CinderPorts, deletion: VolumeDeletion) {
    this.#ports = ports;
    this.#deletion = deletion;
  }

  async manageableVolumes(context: RequestContext, host: string): Promise<readonly ManageableRow[]> {
    this.#ports.policy.enforce(context, "volume_extension:list_manageable", ownTarget(context));
    const pool = await this.#findPool(host);
    await this.#ports.index.fresh();
    const rows = await this.#ports.control.vdisks(pool, cinderLimits.manageableMax);
    return rows
      .filter((row) => !this.#isOurOwn(row.id))
      .map((row) => {
        const isManaged = this.#ports.index.volumes.get(row.id) !== undefined;
        return {
          name: row.name,
          sizeGib: gibOf(row.sizeBytes),
          ...(isManaged ? { managedId: row.id, reasonNotSafe: "already managed" } : reasonOfVdisk(row)),
        };
      });
  }

  async manageableSnapshots(context: RequestContext, host: string): Promise<readonly ManageableRow[]> {
    this.#ports.policy.enforce(context, "snapshot_extension:list_manageable", ownTarget(context));
    const pool = await this.#findPool(host);
    await this.#ports.index.fresh();
    const { volumes, snapshots } = this.#ports.index;
    const vdisks = new Map(
      (await this.#ports.control.vdisks(pool, cinderLimits.manageableMax)).map(({ id, name }) => [id, name]),
    );
    const all = await this.#ports.control.snapshots(pool, cinderLimits.manageableMax);
    const rows = all.filter(({ id }) => !this.#isOurOwnCut(id));
    return rows.map((row) => {
      const isManaged = snapshots.get(row.id) !== undefined;
      const reason =
        volumes.get(row.vdiskId) === undefined ? { reasonNotSafe: "its volume is not managed" } : reasonOfState(row.state);
      return {
        name: `snapshot-${row.id}`,
        sizeGib: gibOf(row.sizeBytes),
        sourceName: vdisks.get(row.vdiskId) ?? `volume-${row.vdiskId}`,
        ...(isManaged ? { managedId: row.id, reasonNotSafe: "already managed" } : reason),
      };
    });
  }

  async manageVolume(context: RequestContext, request: ManageVolume): Promise<VolumeDetail> {
    this.#ports.policy.enforce(context, "volume_extension:volume_manage", ownTarget(context));
    checkTexts(request);
    checkMetadata(request.metadata ?? {});
    const pool = await this.#findPool(request.host, (host) => invalid(`Host '${host}' not found`));
    const zone = request.availabilityZone ?? this.#ports.settings.availabilityZone;
    if (zone !== this.#ports.settings.availabilityZone) throw invalid(`Availability zone '${zone}' is invalid.`);
    return this.#ports.store.commit(context.projectId, async (tx) => {
      const type = await this.#chooseType(tx, context, request.volumeType);
      if (type.encryption !== undefined) {
        throw invalid("Invalid volume type: Managing to an encrypted volume type is not supported.");
      }
      const vdisk = await this.#findVdisk(tx, pool, request.reference);
      // What is ours alone is there since a record says so: after the look at the vDisk the index knows.
      await this.#ports.index.fresh();
      if (this.#isOurOwn(vdisk.id)) throw invalidReference("volume", request.reference, `pool ${pool} has no such vDisk`);
      if ((await readRecord(tx, volumeKind, vdisk.id)) !== undefined) {
        throw invalid(`Unable to manage existing volume. Volume ${vdisk.id} already managed.`);
      }
      const id = this.#ports.random.uuid();
      const volume = this.#adopted(context, request, { ...vdisk, id }, type, volumeHost(this.#ports.settings, pool));
      const { projectId, typeId, sizeGib } = volume;
      await this.#ports.ledger.charge(tx, { projectId, typeId, volumes: 1, gigabytes: sizeGib });
      await this.#ports.control.rekeyVdisk(tx, vdisk.id, id);
      await this.#ports.control.renameVdisk(tx, id, vdiskName(id, volume.name));
      writeRecord(tx, volumeKind, volume.id, volume);
      await this.#ports.notices.volume(tx, context, "manage", volume);
      return { volume, typeName: type.name, attachments: [] };
    });
  }

  async manageSnapshot(context: RequestContext, request: ManageSnapshot): Promise<Snapshot> {
    checkTexts(request);
    checkMetadata(request.metadata ?? {});
    return this.#ports.store.commit(context.projectId, async (tx) => {
      const volume = await readVolume(tx, context, request.volumeId);
      this.#ports.policy.enforce(context, "snapshot_extension:snapshot_manage", volume);
      checkNotMoving(volume);
      const cut = await this.#findCut(tx, request.reference);
      await this.#ports.index.fresh();
      if (this.#isOurOwnCut(cut.id)) throw invalidReference("snapshot", request.reference, "there is no such snapshot");
      if ((await readRecord(tx, snapshotKind, cut.id)) !== undefined) {
        throw invalid(`Unable to manage existing snapshot. Snapshot ${cut.id} already managed.`);
      }
      if (cut.vdiskId !== volume.id) throw invalidReference("snapshot", request.reference, `it is not of volume ${volume.id}`);
      if (cut.state !== "ready") throw invalidSnapshot(`${cut.id} is ${cut.state}`);
      const snapshot: Snapshot = {
        v: 1,
        id: cut.id,
        projectId: volume.projectId,
        userId: context.userId,
        volumeId: volume.id,
        typeId: volume.typeId,
        name: request.name ?? null,
        description: request.description ?? null,
        sizeGib: gibOf(cut.sizeBytes),
        status: "available",
        progress: "100%",
        createdAtMs: this.#ports.clock.wallMs(),
        updatedAtMs: null,
        groupSnapshotId: null,
        consumesQuota: true,
        availabilityZone: volume.availabilityZone,
        metadata: request.metadata ?? {},
        ...(volume.encryptionKeyId === undefined ? {} : { encryptionKeyId: volume.encryptionKeyId }),
      };
      await this.#ports.ledger.charge(tx, snapshotCharge(this.#ports.settings, snapshot));
      writeRecord(tx, snapshotKind, cut.id, snapshot);
      writeRecord(tx, volumeKind, volume.id, { ...volume, snapshotCount: volume.snapshotCount + 1 });
      await this.#ports.notices.snapshot(tx, context, "manage", snapshot);
      return snapshot;
    });
  }

  unmanageVolume(context: RequestContext, id: string): Promise<void> {
    return this.#deletion.unmanage(context, id);
  }

  async unmanageSnapshot(context: RequestContext, id: string): Promise<void> {
    await this.#ports.store.commit(context.projectId, async (tx) => {
      const snapshot = await readSnapshot(tx, context, id);
      this.#ports.policy.enforce(context, "snapshot_extension:snapshot_unmanage", snapshot);
      checkSnapshotDelete(snapshot);
      await this.#ports.notices.snapshot(tx, context, "unmanage", snapshot);
      await forgetSnapshot(this.#ports, tx, snapshot);
    });
  }

  /** A vDisk or a cut that a job made for itself under its own id, one of the cache of images, or the cut of a backup. */
  #isOurOwn(id: string): boolean {
    const { jobs, backups, imageCache } = this.#ports.index;
    if (jobs.get(id) !== undefined || backups.get(id) !== undefined) return true;
    return imageCache.select((entry) => entry.id === id).length > 0;
  }

  /** A group that is made of another has cuts of its own too, with the ids of its volumes. */
  #isOurOwnCut(id: string): boolean {
    return this.#isOurOwn(id) || this.#ports.index.volumes.get(id) !== undefined;
  }

  #adopted(context: RequestContext, request: ManageVolume, vdisk: VdiskRow, type: VolumeType, host: string): Volume {
    return {
      v: 1,
      id: vdisk.id,
      projectId: context.projectId,
      userId: context.userId,
      name: request.name ?? null,
      description: request.description ?? null,
      sizeGib: gibOf(vdisk.sizeBytes),
      status: "available",
      attachStatus: "detached",
      migrationStatus: null,
      previousStatus: null,
      typeId: type.id,
      host,
      availabilityZone: this.#ports.settings.availabilityZone,
      createdAtMs: this.#ports.clock.wallMs(),
      updatedAtMs: null,
      bootable: request.bootable,
      multiattach: asksFor(type.extraSpecs["multiattach"]),
      snapshotId: null,
      sourceVolumeId: null,
      groupId: null,
      consumesQuota: true,
      metadata: request.metadata ?? {},
      adminMetadata: {},
      imageMetadata: {},
      snapshotCount: 0,
      attachmentIds: [],
    };
  }

  async #chooseType(tx: Tx, context: RequestContext, reference: string | undefined): Promise<VolumeType> {
    if (reference === undefined) return readDefaultType(tx, this.#ports.settings, context.projectId);
    const type = await readTypeByReference(tx, reference);
    if (type === undefined || !isTypeUsable(context, type)) {
      throw invalid(`Invalid volume type: Cannot find requested '${reference}' volume type`);
    }
    return type;
  }

  /** By the vDisk's own name, by the name that drivers give ("volume-<id>"), or by id. */
  async #findVdisk(tx: Tx, pool: string, reference: Reference): Promise<VdiskRow> {
    const { sourceName, sourceId } = reference;
    const ids = [sourceId, sourceName?.replace(/^volume-/, "")].filter((id) => id !== undefined && isUuid(id));
    const ways: VdiskName[] = [...(sourceName === undefined ? [] : [{ name: sourceName }]), ...ids.map((id) => ({ id: id! }))];
    for (const called of ways) {
      try {
        return await this.#ports.control.findVdisk(tx, pool, called);
      } catch (error) {
        if (!(error instanceof AndironError) || error.code !== "vdisk_not_found") throw error;
      }
    }
    throw invalidReference("volume", reference, `pool ${pool} has no such vDisk`);
  }

  /** By the name that drivers give ("snapshot-<id>", with or without a line before it), or by id. */
  async #findCut(tx: Tx, { sourceName, sourceId }: Reference): Promise<SnapshotRow> {
    const id = sourceId ?? sourceName?.replace(/^_?snapshot-/, "") ?? "";
    const reference = { ...(sourceName === undefined ? {} : { sourceName }), ...(sourceId === undefined ? {} : { sourceId }) };
    if (!isUuid(id)) throw invalidReference("snapshot", reference, "it names no snapshot");
    try {
      return await this.#ports.control.findSnapshot(tx, id);
    } catch (error) {
      if (!(error instanceof AndironError) || error.code !== "snapshot_not_found") throw error;
      throw invalidReference("snapshot", reference, "there is no such snapshot");
    }
  }

  async #findPool(host: string, missing = (name: string) => serviceNotFound("cinder-volume", name)): Promise<string> {
    const pools = await this.#ports.control.pools();
    const { settings } = this.#ports;
    const found = pools.find(({ name }) => host === volumeHost(settings, name) || host === backendName(settings, name));
    if (found === undefined) throw missing(host);
    return found.name;
  }
}

function reasonOfVdisk({ state, exported }: VdiskRow): { readonly reasonNotSafe?: string } {
  return exported ? { reasonNotSafe: "volume in use" } : reasonOfState(state);
}

function reasonOfState(state: string): { readonly reasonNotSafe?: string } {
  return state === "ready" ? {} : { reasonNotSafe: `it is ${state}` };
}

function invalidReference(what: "volume" | "snapshot", { sourceName, sourceId }: Reference, reason: string): Error {
  const called = sourceName ?? sourceId;
  if (called === undefined) return invalidInput("ref must have a 'source-name' or a 'source-id'.");
  return invalid(`Manage existing ${what} failed due to invalid backend reference ${called}: ${reason}.`);
}

function gibOf(sizeBytes: number): number {
  return Math.max(1, Math.ceil(sizeBytes / gibBytes));
}
