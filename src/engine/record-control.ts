// The verbs of control.ts on the registry's records: works in any process, with or without a router in it.
//
// - What nobody owns is changed here and now, in the caller's transaction; for what is owned a wish is left to the owner, unless
//   the owner is at hand (live-cuts.ts).
// - Pool sums, router lists and settled records come from followers of the registry.

import { AndironError } from "../common/errors.ts";
import type { Clock } from "../common/clock.ts";
import type { Random } from "../common/random.ts";
import type { Tx } from "../registry/atomic.ts";
import { atomically } from "../registry/atomic.ts";
import type { Registry } from "../registry/registry.ts";
import type {
  Control,
  ExportInfo,
  PoolInfo,
  RecordState,
  RouterInfo,
  Settled,
  SnapshotInfo,
  SnapshotRequest,
  SnapshotRow,
  VdiskInfo,
  VdiskName,
  VdiskRow,
  VdiskSource,
} from "./control.ts";
import type { EngineLog } from "./engine-context.ts";
import * as inventory from "./inventory.ts";
import { clusterBytes, diskBytesMax, engineLimits } from "./limits.ts";
import { type LiveCuts, viewNow } from "./live-cuts.ts";
import { moveVdisk } from "./move-edits.ts";
import * as edits from "./record-edits.ts";
import type { ExportRecord, LogRecord, RouterRecord, SnapshotRecord, VdiskRecord, View } from "./records.ts";
import { hashExportName, keys, parseRecord } from "./records.ts";
import { RecordFollowers } from "./record-followers.ts";
import { copySnapshot, requestSnapshot, requestSnapshots } from "./snapshot-requests.ts";

export interface ControlOptions {
  readonly registry: Registry;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: EngineLog;
  /** Free and total bytes of each vPool this process can see. */
  readonly pools: ReadonlyMap<string, () => Promise<{ readonly totalBytes: number; readonly freeBytes: number }>>;
  /** Of the router in this process, if there is one. */
  readonly cuts?: LiveCuts;
}

type CreateExport = Parameters<Control["createExport"]>[1];

const exportNameBytes = 32;
const goneCheckMs = 20;

export class RecordControl implements Control {
  readonly #options: ControlOptions;
  readonly #followers: RecordFollowers;

  constructor(options: ControlOptions) {
    this.#options = options;
    this.#followers = new RecordFollowers(options);
  }

  start(): Promise<void> {
    return this.#followers.start();
  }

  stop(): Promise<void> {
    return this.#followers.stop();
  }

  async createVdisk(
    tx: Tx,
    request: { id: string; pool: string; name: string; sizeBytes: number; source?: VdiskSource },
  ): Promise<RecordState> {
    const { id, pool, sizeBytes, source } = request;
    checkSize(sizeBytes);
    if (!this.#options.pools.has(pool)) throw new AndironError("invalid_request", `there is no vPool named ${pool}`);
    if ((await tx.get(keys.vdisk(id))) !== undefined) throw new AndironError("vdisk_exists", `vDisk ${id} exists`);
    const name = await edits.takeName(tx, pool, request.name, id);
    const log = this.#options.random.uuid();
    let state: RecordState = "ready";
    const origin = await this.#origin(tx, pool, source);
    if (origin.sizeBytes > sizeBytes)
      throw new AndironError("invalid_request", `a clone of ${origin.sizeBytes} bytes cannot be of ${sizeBytes}`);
    if (origin.owned === undefined) {
      await edits.createLog(tx, { id: log, pool, vdisk: id, parent: origin.view, parentPending: false });
    } else {
      state = "pending";
      await edits.createLog(tx, { id: log, pool, vdisk: id, parent: null, parentPending: true });
      edits.addWish(tx, origin.owned, "clone", log);
    }
    edits.putVdisk(tx, { v: 1, id, pool, name, sizeBytes, log, state, exports: [] });
    return state;
  }

  async renameVdisk(tx: Tx, vdiskId: string, name: string): Promise<void> {
    const vdisk = await edits.getVdisk(tx, vdiskId);
    const taken = await edits.takeName(tx, vdisk.pool, name, vdiskId);
    if (taken === vdisk.name) return;
    tx.delete(keys.name(vdisk.pool, vdisk.name));
    edits.putVdisk(tx, { ...vdisk, name: taken });
  }

  async growVdisk(tx: Tx, vdiskId: string, sizeBytes: number): Promise<void> {
    checkSize(sizeBytes);
    const vdisk = await edits.getVdisk(tx, vdiskId);
    if (sizeBytes < vdisk.sizeBytes) throw new AndironError("invalid_request", "a vDisk only grows");
    edits.putVdisk(tx, { ...vdisk, sizeBytes });
  }

  async deleteVdisk(tx: Tx, vdiskId: string): Promise<void> {
    const vdisk = await edits.getVdisk(tx, vdiskId);
    refuseExported(vdisk);
    const log = await edits.getLog(tx, vdisk.log);
    tx.delete(keys.vdisk(vdiskId));
    tx.delete(keys.name(vdisk.pool, vdisk.name));
    edits.putLog(tx, { ...log, vdisk: null });
  }

  createSnapshot(tx: Tx, request: SnapshotRequest): Promise<RecordState> {
    return requestSnapshot(tx, request, this.#options.cuts);
  }

  createSnapshots(tx: Tx, id: string, requests: readonly SnapshotRequest[]): Promise<RecordState> {
    return requestSnapshots(tx, id, requests);
  }

  copySnapshot(tx: Tx, request: { id: string; snapshotId: string; name: string }): Promise<void> {
    return copySnapshot(tx, request);
  }

  async deleteSnapshot(tx: Tx, snapshotId: string): Promise<void> {
    const snapshot = await edits.getSnapshot(tx, snapshotId);
    tx.delete(keys.snapshot(snapshotId));
    if (snapshot.view !== null) edits.removeCut(tx, snapshot.view, snapshotId);
    else tx.delete(keys.wish(snapshot.log, snapshotId));
  }

  async revertVdisk(tx: Tx, vdiskId: string, snapshotId: string): Promise<void> {
    const vdisk = await edits.getVdisk(tx, vdiskId);
    const snapshot = await edits.getSnapshot(tx, snapshotId);
    refuseExported(vdisk);
    edits.refuseUnready(vdisk);
    if (snapshot.vdisk !== vdiskId)
      throw new AndironError("invalid_request", `snapshot ${snapshotId} is not of vDisk ${vdiskId}`);
    if (snapshot.state !== "ready") throw new AndironError("vdisk_busy", `snapshot ${snapshotId} is not ready`);
    refuseOtherPool(snapshot.pool, vdisk.pool);
    const id = this.#options.random.uuid();
    const old = await edits.getLog(tx, vdisk.log);
    edits.putLog(tx, { ...old, vdisk: null });
    await edits.createLog(tx, { id, pool: vdisk.pool, vdisk: vdiskId, parent: snapshot.view, parentPending: false });
    edits.putVdisk(tx, { ...vdisk, log: id, sizeBytes: snapshot.sizeBytes });
  }

  async createExport(tx: Tx, request: CreateExport): Promise<ExportInfo> {
    const { id, vdiskId, readOnly, limits } = request;
    const vdisk = await edits.getVdisk(tx, vdiskId);
    edits.refuseUnready(vdisk);
    if (vdisk.exports.length >= engineLimits.exportsPerVdiskMax)
      throw new AndironError("limit_exceeded", `vDisk ${vdiskId} has too many exports`);
    if ((await tx.get(keys.export(id))) !== undefined) throw new AndironError("vdisk_busy", `export ${id} exists`);
    const router = await this.#routerFor(tx, vdisk.pool);
    const exportName = this.#options.random.bytes(exportNameBytes).toString("base64url");
    const nameHash = hashExportName(exportName);
    const record: ExportRecord = { v: 1, id, vdisk: vdiskId, nameHash, readOnly, state: "live", router: router.id, limits };
    tx.put(keys.export(id), JSON.stringify(record));
    tx.put(keys.exportName(nameHash), JSON.stringify({ v: 1, export: id }));
    edits.putVdisk(tx, { ...vdisk, exports: [...vdisk.exports, id] });
    return { id, vdiskId, exportName, hosts: router.nbdHosts, ports: router.nbdHosts.map(() => router.nbdPort), readOnly };
  }

  async revokeExport(tx: Tx, exportId: string): Promise<void> {
    const text = await tx.get(keys.export(exportId));
    if (text === undefined) return;
    const record = parseRecord<ExportRecord>(keys.export(exportId), text);
    if (record.state === "revoked") return;
    tx.put(keys.export(exportId), JSON.stringify({ ...record, state: "revoked" } satisfies ExportRecord));
    tx.delete(keys.exportName(record.nameHash));
    const vdisk = await edits.getVdisk(tx, record.vdisk);
    edits.putVdisk(tx, { ...vdisk, exports: vdisk.exports.filter((id) => id !== exportId) });
  }

  async exportGone(exportId: string): Promise<void> {
    const key = keys.export(exportId);
    for (;;) {
      const entry = await this.#options.registry.get(key);
      if (entry === undefined) return;
      const record = parseRecord<ExportRecord>(key, entry.value);
      if ((await this.#options.registry.get(keys.router(record.router))) === undefined) {
        await atomically(this.#options.registry, this.#options, async (tx) => {
          if ((await tx.get(key)) !== undefined && (await tx.get(keys.router(record.router))) === undefined) tx.delete(key);
        });
        continue;
      }
      await this.#followers.changeOf(key, goneCheckMs);
    }
  }

  findVdisk(tx: Tx, pool: string, called: VdiskName): Promise<VdiskRow> {
    return inventory.findVdisk(tx, pool, called);
  }

  rekeyVdisk(tx: Tx, vdiskId: string, newId: string): Promise<void> {
    return inventory.rekeyVdisk(tx, this.#options.registry, vdiskId, newId);
  }

  moveVdisk(tx: Tx, vdiskId: string, copyId: string, name: string): Promise<void> {
    return moveVdisk(tx, vdiskId, copyId, name);
  }

  async findSnapshot(tx: Tx, snapshotId: string): Promise<SnapshotRow> {
    const { id, vdisk, name, sizeBytes, state } = await edits.getSnapshot(tx, snapshotId);
    return { id, vdiskId: vdisk, name, sizeBytes, state };
  }

  vdisks(pool: string, countMax: number): Promise<VdiskRow[]> {
    return inventory.listVdisks(this.#options.registry, pool, countMax);
  }

  snapshots(pool: string, countMax: number): Promise<SnapshotRow[]> {
    return inventory.listSnapshots(this.#options.registry, pool, countMax);
  }

  async vdisk(vdiskId: string): Promise<VdiskInfo | undefined> {
    const entry = await this.#options.registry.get(keys.vdisk(vdiskId));
    if (entry === undefined) return undefined;
    const record = parseRecord<VdiskRecord>(entry.key, entry.value);
    const { id, pool, name, sizeBytes, state, message } = record;
    const logEntry = await this.#options.registry.get(keys.log(record.log));
    const log = logEntry === undefined ? undefined : parseRecord<LogRecord>(logEntry.key, logEntry.value);
    const info = { id, pool, name, sizeBytes, state, epoch: log?.epoch ?? 0 };
    return { ...info, ...(message === undefined ? {} : { message }), ...(log?.owner == null ? {} : { owner: log.owner }) };
  }

  async snapshot(snapshotId: string): Promise<SnapshotInfo | undefined> {
    const entry = await this.#options.registry.get(keys.snapshot(snapshotId));
    if (entry === undefined) return undefined;
    const { id, vdisk, sizeBytes, state, message } = parseRecord<SnapshotRecord>(entry.key, entry.value);
    return { id, vdiskId: vdisk, sizeBytes, state, ...(message === undefined ? {} : { message }) };
  }

  async pools(): Promise<PoolInfo[]> {
    const pools: PoolInfo[] = [];
    for (const [name, capacity] of this.#options.pools) {
      const { totalBytes, freeBytes } = await capacity();
      const { provisionedBytes, vdiskCount } = this.#followers.poolUsage(name);
      pools.push({ name, protocol: "nbd", totalBytes, freeBytes, provisionedBytes, vdiskCount });
    }
    return pools;
  }

  async routers(): Promise<RouterInfo[]> {
    return this.#followers.routers().map((router) => ({
      id: router.id,
      host: router.host,
      pools: router.pools,
      alive: true,
      reportedAtMs: router.reportedAtMs,
    }));
  }

  onSettled(listener: (settled: Settled) => void): () => void {
    return this.#followers.onSettled(listener);
  }

  async #origin(
    tx: Tx,
    pool: string,
    source: VdiskSource | undefined,
  ): Promise<{ view: View | null; sizeBytes: number; owned?: LogRecord }> {
    if (source === undefined) return { view: null, sizeBytes: 0 };
    if (source.kind === "snapshot") {
      const snapshot = await edits.getSnapshot(tx, source.snapshotId);
      if (snapshot.state !== "ready") throw new AndironError("vdisk_busy", `snapshot ${snapshot.id} is not ready`);
      refuseOtherPool(snapshot.pool, pool);
      return { view: snapshot.view, sizeBytes: snapshot.sizeBytes };
    }
    const vdisk = await edits.getVdisk(tx, source.vdiskId);
    edits.refuseUnready(vdisk);
    refuseOtherPool(vdisk.pool, pool);
    const log = await edits.getLog(tx, vdisk.log);
    const view = await viewNow(log, this.#options.cuts);
    const { sizeBytes } = vdisk;
    return view === undefined ? { view: null, sizeBytes, owned: log } : { view, sizeBytes };
  }

  async #routerFor(tx: Tx, pool: string): Promise<RouterRecord> {
    const { entries } = await tx.range({ prefix: keys.routers });
    const routers = entries
      .map((entry) => parseRecord<RouterRecord>(entry.key, entry.value))
      .filter((router) => router.pools.includes(pool));
    const router = routers[this.#options.random.below(Math.max(routers.length, 1))];
    if (router === undefined) throw new AndironError("owner_unreachable", `no storage router serves vPool ${pool}`);
    return router;
  }
}

function checkSize(sizeBytes: number): void {
  if (Number.isInteger(sizeBytes) && sizeBytes > 0 && sizeBytes % clusterBytes === 0 && sizeBytes <= diskBytesMax) return;
  throw new AndironError("invalid_request", `a vDisk has 4096 bytes to ${diskBytesMax}, in multiples of 4096, not ${sizeBytes}`);
}

function refuseExported(vdisk: VdiskRecord): void {
  if (vdisk.exports.length > 0) throw new AndironError("vdisk_busy", `vDisk ${vdisk.id} is exported`);
}

function refuseOtherPool(sourcePool: string, pool: string): void {
  if (sourcePool !== pool) throw new AndironError("invalid_request", `what is in vPool ${sourcePool} can't be used in ${pool}`);
}
