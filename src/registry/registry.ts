// The Object Registry: the only truth about who owns what, and every record of the API. One interface, one contract
// suite (contract.ts), implementations in this folder: SQLite embedded (sqlite/, the default), etcd (with the grid).
//
// Contract, the same for every implementation:
// - Keys are 1..512 bytes of printable ASCII without space, compared bytewise; values are UTF-8 text of at most
//   registryLimits.valueBytesMax (records are JSON with a version field `v`).
// - Every committed transaction that writes gets one revision, a positive integer that only grows. All its writes bear it.
//   An empty store is at revision 0. Deleting a key that does not exist writes nothing.
// - transact() is atomic and durable when it resolves (power loss included). All compares hold at one instant, or the
//   `failure` operations are done instead (default none). No key occurs twice in `success`, nor in `failure`.
// - A rejected transact() with code registry_unavailable may or may not have been done; any other rejection did nothing.
// - get() and range() see every transaction that was acknowledged before they were called, by any process.
// - watch() delivers every change from a revision on, in order, each transaction in one batch, none twice, none left out;
//   when the asked-for history is gone it rejects with watch_compacted and the caller reads anew.
// - A lease lives `ttlMs` after its last keepalive, on a clock that does not go back, and ends with the boot of the
//   machine. When it ends, the keys bound to it are deleted in one transaction, seen by watchers like any other. A key is
//   bound to the lease its last put named, or to none; a put that names a lease which has ended rejects with lease_lost.
// - A request outside registryLimits, or malformed, is refused before anything is done: invalid_request,
//   record_too_large, transaction_too_large, limit_exceeded; too many waiting requests: registry_unavailable.
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
  /** At most this many, 1 or more; default and maximum registryLimits.rangeEntriesMax. */
  readonly limit?: number;
}

/** In ascending order of keys. Fewer than `limit` when the values together reach registryLimits.rangeBytesMax: see `more`. */
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
  /** What one transaction changed below the prefix; empty only in a progress mark (see WatchRequest.progress). */
  readonly events: readonly WatchEvent[];
}

export interface WatchRequest {
  readonly prefix: string;
  /** First revision to deliver (one more than the revision of the range() it continues). */
  readonly fromRevision: number;
  /**
   * Also deliver batches without events, which say: everything up to `revision` has been delivered. With it, a reader of
   * one prefix can wait for the store's revision() although the last transactions touched other prefixes.
   */
  readonly progress?: boolean;
}

/** A reader that is slow is held up, not cut: it falls behind in the history, and gets watch_compacted once that is gone. */
export interface Watch extends AsyncIterable<WatchBatch> {
  /** Ends the iteration. So does leaving a `for await`, and closing the registry. */
  close(): void;
}

/**
 * A lease that is renewed off the caller's thread: a blocked event loop neither loses it nor pretends to hold it.
 *
 *   held ──renewed (every ttl/3)──► held ──ended, or not renewed in time──► lost
 *     └────────────────────────────release()───────────────────────────► released (onLost stays silent)
 */
export interface LeaseHold {
  readonly leaseId: string;
  /** Clock.monotonicMs() at which the lease ends unless renewed; read from memory shared with the renewing thread. */
  heldUntilMs(): number;
  /** True when the lease is certainly ours at `nowMonotonicMs`. Ask after the work, before answering for it. */
  isHeld(nowMonotonicMs: number): boolean;
  /** Calls `listener` once when the lease is lost, soon after now if it is lost already. */
  onLost(listener: () => void): void;
  /** Stops the renewing, and isHeld() is false from now on. The lease then ends by itself, or by revokeLease(). */
  release(): void;
}

export interface Registry {
  get(key: string): Promise<Entry | undefined>;
  range(request: RangeRequest): Promise<RangeResult>;
  transact(transaction: Transaction): Promise<TransactionResult>;
  watch(request: WatchRequest): Watch;
  /** Revision of the last transaction that wrote; 0 in an empty store. */
  revision(): Promise<number>;
  /** A new lease of `ttlMs` (an integer); its id never comes back. */
  grantLease(ttlMs: number): Promise<string>;
  /** Renews; rejects with lease_lost when it has ended. */
  keepLeaseAlive(leaseId: string): Promise<void>;
  /** Renews now and from then on, off the caller's thread; rejects with lease_lost when it has ended. */
  holdLease(leaseId: string): Promise<LeaseHold>;
  /**
   * Ends it at once and deletes its keys; no error when it has ended. Releases the holds of this handle. A hold of another
   * one learns of it with its next renewal only: who must not act any more is fenced by a record's epoch, not by this.
   */
  revokeLease(leaseId: string): Promise<void>;
  /** Forgets the history (not the data) below `revision`, at most the current one. No error when it is gone already. */
  compact(revision: number): Promise<void>;
  /** Finishes what was asked, ends watches and holds (leases live on until their time). Then every call: shutting_down. */
  close(): Promise<void>;
}

/** What a tool needs to look at a registry that others are writing to. */
export type RegistryReader = Pick<Registry, "get" | "range" | "revision" | "close">;

export const registryLimits = {
  keyBytesMax: 512,
  valueBytesMax: 256 * 1024,
  operationsMax: 128, // of compares, of success and of failure, each
  transactionBytesMax: 1024 * 1024,
  rangeEntriesMax: 1000,
  rangeBytesMax: 4 * 1024 * 1024, // an answer ends with the value that reaches this
  leaseTtlMsMin: 100,
  leaseTtlMsMax: 3_600_000,
  leasesMax: 10_000,
  leaseKeysMax: 1000, // keys bound to one lease: they go in one transaction
  pendingTransactionsMax: 10_000, // requests of one handle that wait for their answer
  pendingBytesMax: 64 * 1024 * 1024,
  watchesMax: 1000, // of one handle
  watchBacklogBatchesMax: 1000, // delivered to this process and not yet taken by the reader
  watchBacklogBytesMax: 8 * 1024 * 1024,
} as const;
