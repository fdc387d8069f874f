// The verbs that cinder/ and nova-hooks/ have over the engine. No bytes pass here, and no tenant: only ids and sizes.
//
// - Verbs that take a `tx` (registry/atomic.ts) only read records and add writes to it, so that the caller's own records
//   (volume, quota usage, ...) change in the same transaction. They throw AndironError and then the tx must be given up.
// - A vDisk that no router owns is changed at once. When an owner holds a log whose cut is needed (snapshot or clone of a
//   live disk), the record starts as "pending"; the owner cuts, makes it durable and turns it "ready" in milliseconds.
//   A pending record survives any crash: whoever owns the log next carries it out.
// - Deleting is always allowed, in any order, while clones and snapshots exist; only a live export forbids it.
// - Ids are chosen by the caller (UUIDs) and are immutable; names are wishes: made safe and unique in the pool.

import type { Tx } from "../registry/atomic.ts";

export type SettledState = "ready" | "error";
export type RecordState = "pending" | SettledState;

export type VdiskSource =
  | { readonly kind: "snapshot"; readonly snapshotId: string }
  | { readonly kind: "vdisk"; readonly vdiskId: string };

export interface VdiskInfo {
  readonly id: string;
  readonly pool: string;
  /** The safe, unique name it got. */
  readonly name: string;
  readonly sizeBytes: number;
  readonly state: RecordState;
  /** Set when state is "error": a sentence for people. */
  readonly message?: string;
  /** The router that owns it now, if any. */
  readonly owner?: string;
  readonly epoch: number;
}

export interface SnapshotInfo {
  readonly id: string;
  readonly vdiskId: string;
  readonly sizeBytes: number;
  readonly state: RecordState;
  readonly message?: string;
}

export interface SnapshotRequest {
  readonly id: string;
  readonly vdiskId: string;
  readonly name: string;
}

export type RequestKind = "read" | "write";

/** One limit of a vDisk's requests. Rates are above zero. */
export interface RateLimit {
  readonly of: RequestKind | "total";
  readonly unit: "requests" | "bytes";
  readonly perSecond: number;
  /** A higher rate for some seconds, earned again by going slower. */
  readonly burst?: { readonly perSecond: number; readonly seconds: number };
}

export interface IoLimits {
  readonly rates: readonly RateLimit[];
  /** Above zero: a request of more bytes counts as several. */
  readonly requestBytes?: number;
}

export interface ExportInfo {
  readonly id: string;
  readonly vdiskId: string;
  /** The NBD export name: a secret of 256 bits that dies with the export. */
  readonly exportName: string;
  readonly hosts: readonly string[];
  readonly ports: readonly number[];
  readonly readOnly: boolean;
}

/** A vDisk as a pool's inventory shows it. */
export interface VdiskRow {
  readonly id: string;
  readonly name: string;
  readonly sizeBytes: number;
  readonly state: RecordState;
  readonly exported: boolean;
}

export interface SnapshotRow {
  readonly id: string;
  readonly vdiskId: string;
  /** As it was given; not unique. */
  readonly name: string;
  readonly sizeBytes: number;
  readonly state: RecordState;
}

export type VdiskName = { readonly id: string } | { readonly name: string };

export interface PoolInfo {
  /** Name of the vPool. */
  readonly name: string;
  /** "nbd". */
  readonly protocol: string;
  readonly totalBytes: number;
  readonly freeBytes: number;
  /** Sum of the sizes of all vDisks in it. */
  readonly provisionedBytes: number;
  readonly vdiskCount: number;
}

export interface RouterInfo {
  readonly id: string;
  /** Name of the host it runs on. */
  readonly host: string;
  readonly pools: readonly string[];
  readonly alive: boolean;
  /** Milliseconds since the Unix epoch of its last report. */
  readonly reportedAtMs: number;
}

export interface Settled {
  readonly kind: "vdisk" | "snapshot";
  readonly id: string;
  readonly state: SettledState;
  readonly message?: string;
}

export interface Control {
  /** The state it starts in. Without a source the disk reads as zeroes. sizeBytes: a multiple of 4096, not below the source's. */
  createVdisk(
    tx: Tx,
    request: {
      readonly id: string;
      readonly pool: string;
      readonly name: string;
      readonly sizeBytes: number;
      readonly source?: VdiskSource;
    },
  ): Promise<RecordState>;
  renameVdisk(tx: Tx, vdiskId: string, name: string): Promise<void>;
  /** A running export keeps its old size for clients that are connected; new connections see the new one. */
  growVdisk(tx: Tx, vdiskId: string, sizeBytes: number): Promise<void>;
  /** vdisk_busy while an export exists. Snapshots and clones live on. */
  deleteVdisk(tx: Tx, vdiskId: string): Promise<void>;
  createSnapshot(tx: Tx, request: SnapshotRequest): Promise<RecordState>;
  /**
   * Snapshots of several vDisks at one instant: a write that was issued after another was acknowledged, to whichever of the
   * disks, is in only when that one is in. Ready all together, or all in error. `id` names the act, and is used once. At most
   * engineLimits.snapshotsTogetherMax, of different vDisks.
   */
  createSnapshots(tx: Tx, id: string, requests: readonly SnapshotRequest[]): Promise<RecordState>;
  /** Another snapshot of the same cut, with a life of its own. vdisk_busy unless the first is ready. */
  copySnapshot(tx: Tx, request: { readonly id: string; readonly snapshotId: string; readonly name: string }): Promise<void>;
  deleteSnapshot(tx: Tx, snapshotId: string): Promise<void>;
  /** Makes the disk what it was at the snapshot, size included. vdisk_busy while an export exists. */
  revertVdisk(tx: Tx, vdiskId: string, snapshotId: string): Promise<void>;
  /** `id` is the attachment's. A vDisk may have several exports at once (live migration, multiattach). */
  createExport(
    tx: Tx,
    request: {
      readonly id: string;
      readonly vdiskId: string;
      readonly readOnly: boolean;
      readonly limits?: IoLimits | undefined;
    },
  ): Promise<ExportInfo>;
  /** From the commit on no new connection is let in; cutting the present ones follows (see exportGone). No error if unknown. */
  revokeExport(tx: Tx, exportId: string): Promise<void>;
  /** Resolves when the connections of a revoked export are cut at the owner, or the owner is dead. */
  exportGone(exportId: string): Promise<void>;

  /** For who takes in a vDisk that others made; the tx guards it. vdisk_not_found; vdisk_busy unless ready and not exported. */
  findVdisk(tx: Tx, pool: string, called: VdiskName): Promise<VdiskRow>;
  /** The same for a snapshot, of any state. snapshot_not_found. */
  findSnapshot(tx: Tx, snapshotId: string): Promise<SnapshotRow>;
  /** Gives a vDisk that no router has open another id, and its snapshots with it. vdisk_busy, vdisk_exists. */
  rekeyVdisk(tx: Tx, vdiskId: string, newId: string): Promise<void>;
  /**
   * The vDisk gets log and pool of its copy, which is gone then, and the name; connections go along. vdisk_busy unless the router
   * that has both open has just permitted it (device.ts, DiskMove), and while the copy is exported.
   */
  moveVdisk(tx: Tx, vdiskId: string, copyId: string, name: string): Promise<void>;
  /** At most `countMax` of the pool, by id. Costs a look at all records. */
  vdisks(pool: string, countMax: number): Promise<VdiskRow[]>;
  snapshots(pool: string, countMax: number): Promise<SnapshotRow[]>;
  vdisk(vdiskId: string): Promise<VdiskInfo | undefined>;
  snapshot(snapshotId: string): Promise<SnapshotInfo | undefined>;
  pools(): Promise<PoolInfo[]>;
  routers(): Promise<RouterInfo[]>;
  /** Calls back, in this process, for every pending record that settles, whoever did it. Returns the unsubscribe. */
  onSettled(listener: (settled: Settled) => void): () => void;
}
