// An engine of records alone, for tests of what stands above it: it keeps the contract of engine/control.ts (states,
// refusals, one transaction) and has no disk behind it. `holdBack` makes new records pending until settle() is called.
// Used by test files only.

import { AndironError } from "../common/errors.ts";
import type { Random } from "../common/random.ts";
import type {
  Control,
  ExportInfo,
  PoolInfo,
  RecordState,
  RouterInfo,
  Settled,
  SettledState,
  SnapshotInfo,
  SnapshotRow,
  VdiskInfo,
  VdiskName,
  VdiskRow,
} from "../engine/control.ts";
import { atomically, type AtomicOptions, type Tx } from "../registry/atomic.ts";
import type { Registry } from "../registry/registry.ts";

interface VdiskRecord {
  readonly id: string;
  readonly pool: string;
  readonly name: string;
  readonly sizeBytes: number;
  readonly state: RecordState;
  readonly message?: string;
  readonly exports: readonly string[];
}

type CreateVdisk = Parameters<Control["createVdisk"]>[1];
type CreateSnapshot = Parameters<Control["createSnapshot"]>[1];
type CreateExport = Parameters<Control["createExport"]>[1];

const vdiskKey = (id: string): string => `vdisk/${id}`;
const snapshotKey = (id: string): string => `snapshot/${id}`;
const exportKey = (id: string): string => `export/${id}`;

export class RecordControl implements Control {
  /** New vDisks and snapshots start as pending. */
  holdBack = false;
  /** What pools() and routers() report. */
  poolRows: PoolInfo[] = [
    { name: "p1", protocol: "nbd", totalBytes: 2 ** 50, freeBytes: 2 ** 49, provisionedBytes: 0, vdiskCount: 0 },
  ];
  routerRows: RouterInfo[] = [{ id: "r1", host: "h1", pools: ["p1"], alive: true, reportedAtMs: 1_700_000_000_000 }];
  /** Exports whose end was waited for. */
  readonly awaited: string[] = [];
  readonly #registry: Registry;
  readonly #options: AtomicOptions & { readonly random: Random };
  readonly #listeners = new Set<(settled: Settled) => void>();

  constructor(registry: Registry, options: AtomicOptions) {
    this.#registry = registry;
    this.#options = options;
  }

  async createVdisk(tx: Tx, request: CreateVdisk): Promise<RecordState> {
    const { id, pool, name, sizeBytes, source } = request;
    if (source?.kind === "vdisk") await this.#vdisk(tx, source.vdiskId);
    if (source?.kind === "snapshot") await this.#snapshot(tx, source.snapshotId);
    const state = this.holdBack ? "pending" : "ready";
    this.#put(tx, { id, pool, name, sizeBytes, state, exports: [] });
    return state;
  }

  async renameVdisk(tx: Tx, vdiskId: string, name: string): Promise<void> {
    this.#put(tx, { ...(await this.#vdisk(tx, vdiskId)), name });
  }

  async growVdisk(tx: Tx, vdiskId: string, sizeBytes: number): Promise<void> {
    this.#put(tx, { ...(await this.#vdisk(tx, vdiskId)), sizeBytes });
  }

  async deleteVdisk(tx: Tx, vdiskId: string): Promise<void> {
    await this.#idleVdisk(tx, vdiskId);
    tx.delete(vdiskKey(vdiskId));
  }

  async createSnapshot(tx: Tx, request: CreateSnapshot): Promise<RecordState> {
    const { sizeBytes } = await this.#vdisk(tx, request.vdiskId);
    const state = this.holdBack ? "pending" : "ready";
    const info: SnapshotInfo = { id: request.id, vdiskId: request.vdiskId, sizeBytes, state };
    tx.put(snapshotKey(request.id), JSON.stringify(info));
    return state;
  }

  async createSnapshots(tx: Tx, _id: string, requests: readonly CreateSnapshot[]): Promise<RecordState> {
    for (const request of requests) await this.createSnapshot(tx, request);
    return this.holdBack ? "pending" : "ready";
  }

  async copySnapshot(tx: Tx, { id, snapshotId }: Parameters<Control["copySnapshot"]>[1]): Promise<void> {
    tx.put(snapshotKey(id), JSON.stringify({ ...(await this.#snapshot(tx, snapshotId)), id }));
  }

  async deleteSnapshot(tx: Tx, snapshotId: string): Promise<void> {
    await this.#snapshot(tx, snapshotId);
    tx.delete(snapshotKey(snapshotId));
  }

  async revertVdisk(tx: Tx, vdiskId: string, snapshotId: string): Promise<void> {
    const vdisk = await this.#idleVdisk(tx, vdiskId);
    const { sizeBytes } = await this.#snapshot(tx, snapshotId);
    this.#put(tx, { ...vdisk, sizeBytes });
  }

  async createExport(tx: Tx, request: CreateExport): Promise<ExportInfo> {
    const vdisk = await this.#vdisk(tx, request.vdiskId);
    const info: ExportInfo = {
      ...request,
      exportName: this.#options.random.bytes(32).toString("base64url"),
      hosts: ["127.0.0.1"],
      ports: [10809],
    };
    tx.put(exportKey(request.id), JSON.stringify(info));
    this.#put(tx, { ...vdisk, exports: [...vdisk.exports, request.id] });
    return info;
  }

  async revokeExport(tx: Tx, exportId: string): Promise<void> {
    const text = await tx.get(exportKey(exportId));
    if (text === undefined) return;
    const { vdiskId } = JSON.parse(text) as ExportInfo;
    const vdisk = await this.#vdisk(tx, vdiskId);
    this.#put(tx, { ...vdisk, exports: vdisk.exports.filter((id) => id !== exportId) });
    tx.delete(exportKey(exportId));
  }

  async exportGone(exportId: string): Promise<void> {
    if ((await this.#registry.get(exportKey(exportId))) !== undefined) {
      throw new AndironError("internal", `export ${exportId} was not revoked`);
    }
    this.awaited.push(exportId);
  }

  async findVdisk(tx: Tx, pool: string, called: VdiskName): Promise<VdiskRow> {
    const rows = await this.vdisks(pool, 1000);
    const found = rows.find((row) => ("id" in called ? row.id === called.id : row.name === called.name));
    if (found === undefined) throw new AndironError("vdisk_not_found", "no such vDisk");
    await this.#idleVdisk(tx, found.id);
    return found;
  }

  async rekeyVdisk(tx: Tx, vdiskId: string, newId: string): Promise<void> {
    const vdisk = await this.#idleVdisk(tx, vdiskId);
    for (const { id, vdiskId: of } of await this.snapshots(vdisk.pool, 1000)) {
      if (of === vdiskId) tx.put(snapshotKey(id), JSON.stringify({ ...(await this.#snapshot(tx, id)), vdiskId: newId }));
    }
    tx.delete(vdiskKey(vdiskId));
    this.#put(tx, { ...vdisk, id: newId });
  }

  /** Every move is permitted. */
  async moveVdisk(tx: Tx, vdiskId: string, copyId: string, name: string): Promise<void> {
    const { pool } = await this.#idleVdisk(tx, copyId);
    const vdisk = await this.#vdisk(tx, vdiskId);
    tx.delete(vdiskKey(copyId));
    this.#put(tx, { ...vdisk, pool, name });
  }

  async findSnapshot(tx: Tx, snapshotId: string): Promise<SnapshotRow> {
    return { name: `snapshot-${snapshotId}`, ...(await this.#snapshot(tx, snapshotId)) };
  }

  async vdisks(pool: string, countMax: number): Promise<VdiskRow[]> {
    const { entries } = await this.#registry.range({ prefix: vdiskKey("") });
    const records = entries.map((entry) => JSON.parse(entry.value) as VdiskRecord);
    const rows = records.filter((record) => record.pool === pool).slice(0, countMax);
    return rows.map((record) => ({ ...record, exported: record.exports.length > 0 }));
  }

  async snapshots(_pool: string, countMax: number): Promise<SnapshotRow[]> {
    const { entries } = await this.#registry.range({ prefix: snapshotKey("") });
    const records = entries.slice(0, countMax).map((entry) => JSON.parse(entry.value) as SnapshotInfo);
    return records.map((record) => ({ name: `snapshot-${record.id}`, ...record }));
  }

  async vdisk(vdiskId: string): Promise<VdiskInfo | undefined> {
    const entry = await this.#registry.get(vdiskKey(vdiskId));
    return entry === undefined ? undefined : { ...(JSON.parse(entry.value) as VdiskRecord), epoch: 1 };
  }

  async snapshot(snapshotId: string): Promise<SnapshotInfo | undefined> {
    const entry = await this.#registry.get(snapshotKey(snapshotId));
    return entry === undefined ? undefined : (JSON.parse(entry.value) as SnapshotInfo);
  }

  pools(): Promise<PoolInfo[]> {
    return Promise.resolve(this.poolRows);
  }

  routers(): Promise<RouterInfo[]> {
    return Promise.resolve(this.routerRows);
  }

  onSettled(listener: (settled: Settled) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** What an owner does: ends what is pending, unless it is gone. `silently`: nobody is told. */
  async settle(kind: "vdisk" | "snapshot", id: string, state: SettledState, silently = false): Promise<void> {
    const key = kind === "vdisk" ? vdiskKey(id) : snapshotKey(id);
    await atomically(this.#registry, this.#options, async (tx) => {
      const text = await tx.get(key);
      if (text === undefined) return;
      const record = JSON.parse(text) as VdiskRecord;
      tx.put(key, JSON.stringify(state === "error" ? { ...record, state, message: "the log is lost" } : { ...record, state }));
    });
    const message = state === "error" ? { message: "the log is lost" } : {};
    if (!silently) for (const listener of this.#listeners) listener({ kind, id, state, ...message });
  }

  async #vdisk(tx: Tx, id: string): Promise<VdiskRecord> {
    const text = await tx.get(vdiskKey(id));
    if (text === undefined) throw new AndironError("vdisk_not_found", `no vDisk ${id}`);
    return JSON.parse(text) as VdiskRecord;
  }

  async #idleVdisk(tx: Tx, id: string): Promise<VdiskRecord> {
    const vdisk = await this.#vdisk(tx, id);
    if (vdisk.exports.length > 0) throw new AndironError("vdisk_busy", `vDisk ${id} is exported`);
    return vdisk;
  }

  async #snapshot(tx: Tx, id: string): Promise<SnapshotInfo> {
    const text = await tx.get(snapshotKey(id));
    if (text === undefined) throw new AndironError("snapshot_not_found", `no snapshot ${id}`);
    return JSON.parse(text) as SnapshotInfo;
  }

  #put(tx: Tx, vdisk: VdiskRecord): void {
    tx.put(vdiskKey(vdisk.id), JSON.stringify(vdisk));
  }
}
