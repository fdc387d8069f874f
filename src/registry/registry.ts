// The Object Registry: the only truth about who owns what, and every record of the API. One interface, one contract
// suite (contract.ts), implementations in this folder: SQLite embedded (default), etcd (with the grid).
//
// Contract, the same for every implementation:
// - Keys are 1..512 bytes of printable ASCII without space, compared bytewise; values are UTF-8 text of at most
//   registryLimits.valueBytesMax (records are JSON with a version field `v`).
// - Every committed transaction that writes gets one revision, a positive integer that only grows. All its writes bear it.
// - transact() is atomic and durable when it resolves (power loss included). All compares hold at one instant, or the
//   `failure` operations are done instead (default none).
// - A rejected transact() with code registry_unavailable may or may not have been done; any other rejection did nothing.
// - get() and range() see every transaction that was acknowledged before they were called, by any process.
// - watch() delivers every change from a revision on, in order, each transaction in one batch, none twice, none left out;
//   when the asked-for history is gone it rejects with watch_compacted and the caller reads anew.
// - A lease lives `ttlMs` after its last keepalive, on a clock that does not go back, and ends with the boot of the
//   machine. When it ends, the keys bound to it are deleted in one transaction, seen by watchers like any other.
// It does not know what the records mean.

export interface Entry {
  readonly key: string;
  readonly value: string;
  /** Revision of the transaction that created the key (since it last did not exist). */
  readonly createRevision: number;
  /** Revision of the transaction that last wrote it. */
  readonly modRevision: number;
  readonly leaseId?: string;
}

export interface RangeRequest {
  /** All keys that begin with this. */
  readonly prefix: string;
  /** Only keys strictly greater than this one (for paging). */
  readonly after?: string;
  /** At most this many; default and maximum registryLimits.rangeEntriesMax. */
  readonly limit?: number;
}

export interface RangeResult {
  readonly entries: readonly Entry[];
  /** True when keys beyond the last entry match too. */
  readonly more: boolean;
  /** The store's revision that this answer shows. */
  readonly revision: number;
}

/** Holds when the key's modRevision is exactly this; 0 means the key does not exist. */
export interface Compare {
  readonly key: string;
  readonly modRevision: number;
}

export type Operation =
  | { readonly kind: "put"; readonly key: string; readonly value: string; readonly leaseId?: string }
  | { readonly kind: "delete"; readonly key: string };

export interface Transaction {
  readonly compares: readonly Compare[];
  readonly success: readonly Operation[];
  readonly failure?: readonly Operation[];
}

export interface TransactionResult {
  readonly succeeded: boolean;
  /** The revision of the writes; when nothing was written, the store's revision at that instant. */
  readonly revision: number;
}

export interface WatchEvent {
  readonly kind: "put" | "delete";
  readonly key: string;
  /** Absent for a delete. */
  readonly entry?: Entry;
}

export interface WatchBatch {
  readonly revision: number;
  readonly events: readonly WatchEvent[];
}

export interface WatchRequest {
  readonly prefix: string;
  /** First revision to deliver (one more than the revision of the range() it continues). */
  readonly fromRevision: number;
}

export interface Watch extends AsyncIterable<WatchBatch> {
  /** Ends the iteration. */
  close(): void;
}

export interface Registry {
  get(key: string): Promise<Entry | undefined>;
  range(request: RangeRequest): Promise<RangeResult>;
  transact(transaction: Transaction): Promise<TransactionResult>;
  watch(request: WatchRequest): Watch;
  /** Current revision of the store. */
  revision(): Promise<number>;
  /** A new lease of `ttlMs`; its id never comes back. */
  grantLease(ttlMs: number): Promise<string>;
  /** Renews; rejects with lease_lost when it has ended. */
  keepLeaseAlive(leaseId: string): Promise<void>;
  /** Ends it at once and deletes its keys; no error when it has ended. */
  revokeLease(leaseId: string): Promise<void>;
  /** Forgets the history (not the data) below `revision`. */
  compact(revision: number): Promise<void>;
  close(): Promise<void>;
}

export const registryLimits = {
  keyBytesMax: 512,
  valueBytesMax: 256 * 1024,
  operationsMax: 100, // compares + success + failure together
  transactionBytesMax: 1024 * 1024,
  rangeEntriesMax: 1000,
  leaseTtlMsMin: 100,
  leaseTtlMsMax: 3_600_000,
  pendingTransactionsMax: 10_000,
  watchBacklogBatchesMax: 10_000,
} as const;
