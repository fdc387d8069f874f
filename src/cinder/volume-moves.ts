// Another type for a volume (os-retype), and another pool (os-migrate_volume). A retype that the volume's own pool can take is
// one transaction; whatever needs another pool is a job that the request leaves (jobs/volume-migration.ts).
//
//   os-retype          checks, quota ─► own pool takes the type? ── yes ──► the new type, at once
//                                               │ no
//                                               ▼
//                                     may move, some pool takes it? ── yes ──► retyping, starting, jobId
//                                               └── no ──► as it was, and a message
//   os-migrate_volume  checks ─► the pool takes it? ── yes ──► starting (locked: maintenance), jobId
//                                               └── no ──► migration status error, and a message
//
// What Cinder finds out after its answer is found out here before, and told the same way: accepted, and a message says why.

import type { PoolInfo } from "../engine/control.ts";
import type { Tx } from "../registry/atomic.ts";
import type { RequestContext } from "./context.ts";
import { asksFor } from "./extra-specs.ts";
import { invalid, invalidInput, invalidVolume, typeNameNotFound, typeNotFound } from "./faults.ts";
import type { JobQueue } from "./jobs/job-queue.ts";
import { chargeOfType, type VolumeMigration } from "./jobs/volume-migration.ts";
import { cinderLimits, gibBytes, type Snapshot, type Volume, type VolumeMove, type VolumeType } from "./model.ts";
import { findVolume, isPoolDisabled, readVolume, type CinderPorts } from "./ports.ts";
import type { Charge } from "./quota-ledger.ts";
import { qosKind, readRecord, snapshotKind, typeKind, volumeKind, writeRecord } from "./records.ts";
import { backendName, choosePool, poolOfHost, type PoolChoice, type PoolDemand, volumeHost } from "./scheduler.ts";
import { snapshotCharge } from "./snapshot-records.ts";
import { checkMigrate, checkRetype } from "./status.ts";
import { isUuid, readTypeByReference } from "./type-reference.ts";
import { isTypeUsable } from "./type-visibility.ts";
import { isSameEncryption } from "./volume-keys.ts";
import { writeMessage } from "./user-messages.ts";
import type { LegacyAttach, MigrateVolume, VolumeMoves } from "./verbs.ts";

export interface MoveParts {
  readonly queue: JobQueue;
  readonly migration: VolumeMigration;
  readonly attach: LegacyAttach;
}

/** Chosen before the transaction, so that each run of it writes the same. */
interface Ids {
  readonly job: string;
  readonly sourceExport: string;
  readonly message: string;
}

interface Request {
  readonly tx: Tx;
  readonly context: RequestContext;
  readonly pools: readonly PoolInfo[];
  readonly ids: Ids;
}

/** How the request ends when the volume does not become what was asked for; undefined: it does. */
type Refusal = string | undefined;

export class VolumeMoveService implements VolumeMoves {
  readonly #ports: CinderPorts;
  readonly #parts: MoveParts;

  constructor(ports: CinderPorts, parts: MoveParts) {
    this.#ports = ports;
    this.#parts = parts;
  }

  async retype(context: RequestContext, id: string, typeReference: string, mayMigrate: boolean): Promise<void> {
    await this.#commit(context, async (request) => {
      const { tx } = request;
      const volume = await readVolume(tx, context, id);
      this.#ports.policy.enforce(context, "volume:retype", volume);
      const type = await findType(tx, context, typeReference);
      this.#checkMultiattach(context, volume, type);
      const present = volume.typeId === null ? undefined : await readRecord(tx, typeKind, volume.typeId);
      const snapshots = await this.#snapshotsOf(tx, volume);
      const charges = (typeId: string): Charge[] => [
        chargeOfType(volume, typeId),
        ...snapshots.filter(({ consumesQuota }) => consumesQuota).map((one) => this.#chargeOfSnapshot(one, typeId)),
      ];
      for (const charge of summed(charges(type.id))) await this.#ports.ledger.charge(tx, charge);
      checkRetype(volume, type.id, await qosAllows(tx, present, type));
      const refusal = await this.#retype(request, volume, snapshots, present, type, mayMigrate);
      const released = refusal === undefined ? volume.typeId : type.id;
      const isMoving = refusal === undefined && (await readRecord(tx, volumeKind, id))?.move !== undefined;
      // While it moves both types are charged.
      const unused = released === null || isMoving ? [] : summed(charges(released));
      for (const charge of unused) await this.#ports.ledger.release(tx, charge);
      if (refusal !== undefined) this.#tell(request, volume, refusal);
    });
  }

  async migrate(context: RequestContext, id: string, { host, cluster, lock }: MigrateVolume): Promise<void> {
    await this.#commit(context, async (request) => {
      const volume = await readVolume(request.tx, context, id);
      this.#ports.policy.enforce(context, "volume_extension:volume_admin_actions:migrate_volume", volume);
      const pool = host === undefined ? undefined : this.#poolOfBackend(request, host);
      if (host === undefined || pool === undefined) {
        throw invalid(`Invalid host: No available service named '${host ?? cluster ?? ""}'`);
      }
      checkMigrate(volume, host);
      const type = volume.typeId === null ? undefined : await readRecord(request.tx, typeKind, volume.typeId);
      // "host@vpool" and "host@vpool#vpool" mean the same: a backend has one pool.
      const isPool = !host.includes("#") || host === volumeHost(this.#ports.settings, pool.name);
      const choice = isPool ? this.#schedule([pool], volume, type) : { reasons: [`there is no pool ${host}`] };
      const locked: Volume = lock && volume.status === "available" ? { ...volume, status: "maintenance" } : volume;
      const moving: Volume = { ...locked, previousStatus: volume.status };
      const refusal = "pool" in choice ? await this.#startMove(request, moving, choice.pool) : why(choice);
      if (refusal === undefined) return;
      const failed: Volume = { ...volume, previousStatus: volume.status, migrationStatus: "error" };
      writeRecord(request.tx, volumeKind, id, { ...failed, updatedAtMs: this.#ports.clock.wallMs() });
      this.#tell(request, volume, refusal);
    });
  }

  /**
   * For who copied a volume by himself, as Nova's swap does. Our own migrations never wait for it: only two volumes of which
   * none is mid-migration get past it, and the second takes the place of the first in its attachments.
   */
  async completeMigration(context: RequestContext, id: string, newId: string, isFailed: boolean): Promise<string> {
    await this.#ports.index.fresh();
    const volume = findVolume(this.#ports, context, id);
    const rule = "volume_extension:volume_admin_actions:migrate_volume_completion";
    this.#ports.policy.enforce(context, rule, volume);
    const other = findVolume(this.#ports, context, newId);
    if (volume.migrationStatus === null && other.migrationStatus === null) {
      if (!isFailed) await this.#swapAttachments(context, volume, other);
      return other.id;
    }
    if (volume.migrationStatus === null) throw invalidVolume("Source volume not mid-migration.");
    if (other.migrationStatus === null) throw invalidVolume("Destination volume not mid-migration.");
    throw invalidVolume(`Destination has migration_status ${other.migrationStatus}, expected target:${volume.id}.`);
  }

  async #swapAttachments(context: RequestContext, volume: Volume, other: Volume): Promise<void> {
    for (const { id, instanceId, attachedHost, mountpoint } of [...this.#ports.index.attachments.ofVolume(volume.id)]) {
      await this.#parts.attach.detach(context, volume.id, id);
      await this.#parts.attach.attach(context, other.id, {
        ...(instanceId === null ? {} : { instanceId }),
        ...(attachedHost === null ? {} : { hostName: attachedHost }),
        ...(mountpoint === null ? {} : { mountpoint }),
        mode: "rw",
      });
    }
  }

  async #commit(context: RequestContext, body: (request: Request) => Promise<void>): Promise<void> {
    const { random, control, store } = this.#ports;
    const ids = { job: random.uuid(), sourceExport: random.uuid(), message: random.uuid() };
    const pools = await control.pools();
    await store.commit(context.projectId, (tx) => body({ tx, context, pools, ids }));
    this.#parts.queue.wake();
  }

  /** In place, or by a job. */
  async #retype(
    request: Request,
    volume: Volume,
    snapshots: readonly Snapshot[],
    presentType: VolumeType | undefined,
    type: VolumeType,
    mayMigrate: boolean,
  ): Promise<Refusal> {
    const { tx, pools } = request;
    if (!isSameEncryption(presentType, type)) return "the types differ in encryption, which a retype does not change";
    const presentPool = poolOfHost(volume.host ?? "");
    const updatedAtMs = this.#ports.clock.wallMs();
    const [present, others] = [
      pools.filter(({ name }) => name === presentPool),
      pools.filter(({ name }) => name !== presentPool),
    ];
    const stays = this.#schedule(present, volume, type);
    if ("pool" in stays) {
      for (const snapshot of snapshots) writeRecord(tx, snapshotKind, snapshot.id, { ...snapshot, typeId: type.id });
      const multiattach = asksFor(type.extraSpecs["multiattach"]);
      const typed: Volume = { ...volume, typeId: type.id, multiattach, previousStatus: volume.status, updatedAtMs };
      writeRecord(tx, volumeKind, volume.id, typed);
      await this.#ports.notices.volume(tx, request.context, "retype", typed);
      return undefined;
    }
    if (!mayMigrate) return `${why(stays)}, and migration is not allowed`;
    if (snapshots.length > 0) return "it needs another pool, and a volume with snapshots can't be migrated";
    const goes = this.#schedule(others, volume, type);
    if (!("pool" in goes)) return why(goes);
    const moving: Volume = { ...volume, status: "retyping", previousStatus: volume.status };
    return this.#startMove(request, moving, goes.pool, type.id);
  }

  /** Leaves the job, with the vDisk that it copies to. */
  async #startMove(request: Request, volume: Volume, pool: string, typeId?: string): Promise<Refusal> {
    const { tx, context, ids } = request;
    const { control, settings, clock } = this.#ports;
    const presentPool = poolOfHost(volume.host ?? "");
    // Of any number: that of a snapshot which was let go of is not in the volume's record.
    const cuts = await control.snapshots(presentPool, Number.MAX_SAFE_INTEGER);
    const isForeign = (cut: { readonly id: string; readonly vdiskId: string }): boolean =>
      cut.vdiskId === volume.id && cut.id !== volume.backupBaseId;
    if (cuts.some(isForeign)) return "its vDisk has snapshots that are not managed";
    // A volume that grew meanwhile was written, and the transaction is done again.
    const { sizeBytes } = (await control.vdisk(volume.id)) ?? { sizeBytes: volume.sizeGib * gibBytes };
    await control.createVdisk(tx, { id: ids.job, pool, name: `migration-${volume.id}`, sizeBytes });
    const host = volumeHost(settings, pool);
    const move: VolumeMove = { host, ...(typeId === undefined ? {} : { typeId }) };
    const moving: Volume = { ...volume, move, jobId: ids.job, migrationStatus: "starting", updatedAtMs: clock.wallMs() };
    writeRecord(tx, volumeKind, volume.id, moving);
    const { queue, migration } = this.#parts;
    await queue.enqueue(tx, migration, migration.request(moving, ids.job, sizeBytes, ids.sourceExport, context.requestId));
    return undefined;
  }

  /** One of `among`. In its present pool there is room for it already. */
  #schedule(among: readonly PoolInfo[], volume: Volume, type: VolumeType | undefined): PoolChoice {
    const { sizeGib, availabilityZone } = volume;
    const presentPool = poolOfHost(volume.host ?? "");
    const demand: PoolDemand = { sizeGib, availabilityZone, extraSpecs: type?.extraSpecs ?? {}, presentPool };
    return choosePool(this.#ports.settings, among, demand, (pool) => isPoolDisabled(this.#ports, pool));
  }

  /** The backend that serves `host`, "host@vpool" or "host@vpool#vpool"; undefined when there is none, or it is disabled. */
  #poolOfBackend({ pools }: Request, host: string): PoolInfo | undefined {
    const { settings, index } = this.#ports;
    const backend = host.split("#")[0] ?? "";
    if (index.services.get(`cinder-volume/${backend}`)?.disabled === true) return undefined;
    return pools.find(({ name }) => backendName(settings, name) === backend);
  }

  #checkMultiattach(context: RequestContext, volume: Volume, type: VolumeType): void {
    const multiattach = asksFor(type.extraSpecs["multiattach"]);
    if (multiattach !== volume.multiattach) {
      if (volume.status !== "available") {
        throw invalidInput(
          "Invalid volume_type passed, retypes affecting multiattach are only allowed on available volumes, " +
            `the specified volume however currently has a status of: ${volume.status}.`,
        );
      }
      if (multiattach) this.#ports.policy.enforce(context, "volume:multiattach", volume);
    }
    if (multiattach && type.encryption !== undefined) {
      throw invalidInput("Retype requested both encryption and multi-attach, which is not supported.");
    }
  }

  /** Read after the volume's record, which is written whenever a snapshot comes or goes. */
  async #snapshotsOf(tx: Tx, volume: Volume): Promise<Snapshot[]> {
    if (volume.snapshotCount === 0) return [];
    if (volume.snapshotCount > cinderLimits.retypeSnapshotsMax) {
      throw invalidVolume(
        `${volume.snapshotCount} snapshots can't change their type together, at most ${cinderLimits.retypeSnapshotsMax} can.`,
      );
    }
    await this.#ports.index.fresh();
    const snapshots: Snapshot[] = [];
    for (const { id } of this.#ports.index.snapshots.ofVolume(volume.id)) {
      const snapshot = await readRecord(tx, snapshotKind, id);
      if (snapshot !== undefined) snapshots.push(snapshot);
    }
    return snapshots;
  }

  #chargeOfSnapshot(snapshot: Snapshot, typeId: string): Charge {
    return { ...snapshotCharge(this.#ports.settings, { ...snapshot, typeId }), ofTypeOnly: true };
  }

  #tell({ tx, context, ids }: Request, volume: Volume, reason: string): void {
    writeMessage(this.#ports, tx, ids.message, {
      action: "schedule-volume",
      detail: "no-backend",
      resourceType: "VOLUME",
      resourceId: volume.id,
      projectId: volume.projectId,
      requestId: context.requestId,
      reason,
    });
  }
}

async function findType(tx: Tx, context: RequestContext, reference: string): Promise<VolumeType> {
  const type = await readTypeByReference(tx, reference);
  if (type !== undefined && isTypeUsable(context, type)) return type;
  throw isUuid(reference) ? typeNotFound(reference) : typeNameNotFound(reference);
}

/** A volume in use: only its host knows of limits in front, and is not told of others. */
async function qosAllows(tx: Tx, present: VolumeType | undefined, next: VolumeType): Promise<boolean> {
  const [from, to] = [present?.qosSpecsId ?? null, next.qosSpecsId];
  if (from !== null && from === to) return true;
  for (const id of [from, to]) {
    const qos = id === null ? undefined : await readRecord(tx, qosKind, id);
    if (qos !== undefined && qos.consumer !== "back-end") return false;
  }
  return true;
}

/** One charge for each project. */
function summed(charges: readonly Charge[]): Charge[] {
  const sums = new Map<string, Charge>();
  for (const charge of charges) {
    const sum = sums.get(charge.projectId);
    const add = (key: "volumes" | "snapshots" | "gigabytes"): number => (sum?.[key] ?? 0) + (charge[key] ?? 0);
    sums.set(charge.projectId, {
      ...charge,
      volumes: add("volumes"),
      snapshots: add("snapshots"),
      gigabytes: add("gigabytes"),
    });
  }
  return [...sums.values()];
}

function why(choice: { readonly reasons: readonly string[] }): string {
  return choice.reasons.join("; ");
}
