// The store: registry verbs on one SQLite connection, all synchronous. It runs wherever its server runs it: in the
// worker thread, or in the caller's for simulation. Group commit: between tryBegin() and commit() any number of verbs are
// done, each transaction with its own revision, all made durable by one fsync.
//
//   idle ──tryBegin()──► open ──transact, grant, renew, ...──► open ──commit()──► idle, durable
//    ▲                    │
//    └────rollback()──────┘ nothing happened
//
// - A verb that throws AndironError has written nothing, so the group goes on without it. Anything else that is
//   thrown spoils the group: rollback().
// - Revisions are dense and handed out under SQLite's write lock: their order is the order of commits, across processes.

import type { DatabaseSync, StatementSync } from "node:sqlite";
import { assert } from "../../common/assert.ts";
import type { Clock } from "../../common/clock.ts";
import { AndironError } from "../../common/errors.ts";
import { registryLimits } from "../registry.ts";
import type { Entry, Operation, RangeRequest, RangeResult, Transaction, TransactionResult, WatchEvent } from "../registry.ts";
import { EntryTable } from "./entry-table.ts";
import { History } from "./history.ts";
import type { HistoryLimits, State, StoredBatch } from "./history.ts";
import { LeaseTable } from "./lease-table.ts";
import type { Renewal } from "./lease-table.ts";
import { checkVersion, isBusy } from "./schema.ts";

export interface StoreOptions {
  readonly path: string;
  readonly bootId: string;
  readonly clock: Clock;
  readonly history: HistoryLimits;
}

export class Store {
  readonly #database: DatabaseSync;
  readonly #path: string;
  readonly #clock: Clock;
  readonly #entries: EntryTable;
  readonly #history: History;
  readonly #leases: LeaseTable;
  readonly #readState: StatementSync;
  readonly #writeState: StatementSync;
  readonly #modRevision: StatementSync;
  readonly #put: StatementSync;
  readonly #delete: StatementSync;
  readonly #leaseOf: StatementSync;
  readonly #countOfLease: StatementSync;
  readonly #keysOfLease: StatementSync;
  readonly #dataVersion: StatementSync;
  /** Set between tryBegin() and commit() or rollback(). */
  #state: State | undefined;

  constructor(database: DatabaseSync, options: StoreOptions) {
    this.#database = database;
    this.#path = options.path;
    this.#clock = options.clock;
    this.#entries = new EntryTable(database);
    this.#history = new History(database, options.history);
    this.#leases = new LeaseTable(database, options.bootId);
    this.#readState = database.prepare("SELECT revision, first_revision, history_bytes FROM state");
    this.#writeState = database.prepare("UPDATE state SET revision = ?, first_revision = ?, history_bytes = ?");
    this.#modRevision = database.prepare("SELECT mod_revision FROM entries WHERE key = ?");
    this.#put = database.prepare(
      `INSERT INTO entries VALUES (?1, ?2, ?3, ?3, ?4) ON CONFLICT (key) DO UPDATE
       SET value = excluded.value, mod_revision = excluded.mod_revision, lease_id = excluded.lease_id
       RETURNING create_revision`,
    );
    this.#delete = database.prepare("DELETE FROM entries WHERE key = ?");
    this.#leaseOf = database.prepare("SELECT lease_id FROM entries WHERE key = ?");
    this.#countOfLease = database.prepare("SELECT count(*) AS count FROM entries WHERE lease_id = ?");
    this.#keysOfLease = database.prepare("SELECT key FROM entries WHERE lease_id = ? ORDER BY key");
    this.#dataVersion = database.prepare("PRAGMA data_version");
  }

  get(key: string): Entry | undefined {
    return this.#entries.get(key);
  }

  range(request: RangeRequest): RangeResult {
    return this.#entries.range(request);
  }

  revision(): number {
    return this.#entries.revision();
  }

  /** Oldest revision whose changes can still be read. */
  firstRevision(): number {
    return this.#stored().first_revision;
  }

  changesAt(revision: number): StoredBatch | undefined {
    return this.#history.read(revision);
  }

  /** A number that changes when another connection, in any process, has committed. Touches only shared memory. */
  dataVersion(): number {
    return Number(this.#dataVersion.get()?.["data_version"]);
  }

  nextExpiryMs(): number {
    return this.#leases.nextExpiryMs();
  }

  /** False when another process holds the write lock; never waits for it. */
  tryBegin(): boolean {
    this.#database.exec("PRAGMA busy_timeout = 0");
    try {
      this.#database.exec("BEGIN IMMEDIATE");
    } catch (error) {
      if (isBusy(error)) return false;
      throw error;
    } finally {
      this.#database.exec("PRAGMA busy_timeout = 1000");
    }
    checkVersion(this.#database, this.#path);
    this.#state = this.#stored();
    return true;
  }

  commit(): void {
    const state = this.#open();
    this.#history.trim(state);
    const before = this.#stored();
    const same = before.revision === state.revision && before.first_revision === state.first_revision;
    if (!same) this.#writeState.run(state.revision, state.first_revision, state.history_bytes);
    this.#database.exec("COMMIT");
    this.#state = undefined;
    this.#history.publish();
  }

  rollback(): void {
    this.#state = undefined;
    this.#history.discard();
    if (this.#database.isTransaction) this.#database.exec("ROLLBACK");
  }

  /** Throws lease_lost, limit_exceeded. */
  transact(transaction: Transaction): TransactionResult {
    const state = this.#open();
    const succeeded = transaction.compares.every(({ key, modRevision }) => {
      return Number(this.#modRevision.get(key)?.["mod_revision"] ?? 0) === modRevision;
    });
    const operations = succeeded ? transaction.success : (transaction.failure ?? []);
    this.#checkLeases(operations);
    this.#apply(operations);
    return { succeeded, revision: state.revision };
  }

  grantLease(leaseId: string, ttlMs: number): void {
    this.#open();
    this.#leases.grant(leaseId, ttlMs, this.#clock.monotonicMs());
  }

  renewLease(leaseId: string): Renewal {
    this.#open();
    return this.#leases.renew(leaseId, this.#clock.monotonicMs());
  }

  /** Removes a lease, alive or not, and its keys, as one revision if there are any. */
  endLease(leaseId: string): void {
    this.#open();
    const keys = this.#keysOfLease.all(leaseId).map((row) => String(row["key"]));
    this.#apply(keys.map((key) => ({ kind: "delete", key })));
    this.#leases.remove(leaseId);
  }

  endExpiredLeases(): void {
    for (const leaseId of this.#leases.ended(this.#clock.monotonicMs())) this.endLease(leaseId);
  }

  /** Throws invalid_request when `revision` is in the future. */
  compact(revision: number): void {
    const state = this.#open();
    if (revision > Math.max(state.revision, 1)) {
      throw new AndironError("invalid_request", `cannot compact at revision ${revision}, the store is at ${state.revision}`);
    }
    this.#history.compact(state, revision);
  }

  close(): void {
    this.#database.close();
  }

  #open(): State {
    assert(this.#state !== undefined, "a write outside a transaction");
    return this.#state;
  }

  #stored(): State {
    const row = this.#readState.get() as unknown as State;
    return { revision: row.revision, first_revision: row.first_revision, history_bytes: row.history_bytes };
  }

  /** Every lease that is named must be alive, and have room for the keys that are new to it. */
  #checkLeases(operations: readonly Operation[]): void {
    const added = new Map<string, number>();
    for (const operation of operations) {
      if (operation.kind === "delete" || operation.leaseId === undefined) continue;
      const { key, leaseId } = operation;
      if (!added.has(leaseId)) {
        this.#leases.requireAlive(leaseId, this.#clock.monotonicMs());
        added.set(leaseId, Number(this.#countOfLease.get(leaseId)?.["count"]));
      }
      const isNew = this.#leaseOf.get(key)?.["lease_id"] !== leaseId;
      const count = (added.get(leaseId) ?? 0) + (isNew ? 1 : 0);
      if (count > registryLimits.leaseKeysMax) throw new AndironError("limit_exceeded", `lease ${leaseId} has too many keys`);
      added.set(leaseId, count);
    }
  }

  #apply(operations: readonly Operation[]): void {
    const state = this.#open();
    const revision = state.revision + 1;
    const events: WatchEvent[] = [];
    for (const operation of operations) {
      const { key } = operation;
      if (operation.kind === "delete") {
        if (this.#delete.run(key).changes !== 0) events.push({ kind: "delete", key });
        continue;
      }
      const { value, leaseId } = operation;
      const createRevision = Number(this.#put.get(key, value, revision, leaseId ?? null)?.["create_revision"]);
      const entry = { key, value, createRevision, modRevision: revision };
      events.push({ kind: "put", key, entry: leaseId === undefined ? entry : { ...entry, leaseId } });
    }
    if (events.length > 0) this.#history.append(state, revision, events);
  }
}
