// Leases as rows: id, time to live, the boot they belong to, and when they end on that boot's monotonic clock.
//
// - Alive means: same boot id, and ending later than now. A lease that is not alive never becomes alive again, although
//   its row stays until some process collects it.
// - Renewing writes no revision: watchers see leases only through the keys that go with them.
// All methods but nextExpiryMs() run within a write transaction. Deleting the keys is the store's part.

import type { DatabaseSync, StatementSync } from "node:sqlite";
import { AndironError } from "../../common/errors.ts";
import { registryLimits } from "../registry.ts";

export interface Renewal {
  readonly ttlMs: number;
  /** On the monotonic clock. */
  readonly expiresMs: number;
}

export class LeaseTable {
  readonly #bootId: string;
  readonly #insert: StatementSync;
  readonly #count: StatementSync;
  readonly #alive: StatementSync;
  readonly #renew: StatementSync;
  readonly #remove: StatementSync;
  readonly #ended: StatementSync;
  readonly #next: StatementSync;

  constructor(database: DatabaseSync, bootId: string) {
    this.#bootId = bootId;
    this.#insert = database.prepare("INSERT INTO leases VALUES (?, ?, ?, ?)");
    this.#count = database.prepare("SELECT count(*) AS count FROM leases");
    this.#alive = database.prepare("SELECT ttl_ms FROM leases WHERE id = ? AND boot_id = ? AND expires_ms > ?");
    this.#renew = database.prepare("UPDATE leases SET expires_ms = ? WHERE id = ?");
    this.#remove = database.prepare("DELETE FROM leases WHERE id = ?");
    this.#ended = database.prepare("SELECT id FROM leases WHERE boot_id <> ? OR expires_ms <= ? ORDER BY expires_ms LIMIT 100");
    this.#next = database.prepare("SELECT min(CASE WHEN boot_id = ? THEN expires_ms ELSE 0 END) AS next FROM leases");
  }

  grant(leaseId: string, ttlMs: number, nowMs: number): void {
    if (Number(this.#count.get()?.["count"]) >= registryLimits.leasesMax) {
      throw new AndironError("limit_exceeded", `there are ${registryLimits.leasesMax} leases already`);
    }
    this.#insert.run(leaseId, ttlMs, this.#bootId, nowMs + ttlMs);
  }

  /** Its time to live in ms; throws lease_lost unless it is alive. */
  requireAlive(leaseId: string, nowMs: number): number {
    const ttlMs = this.#alive.get(leaseId, this.#bootId, nowMs)?.["ttl_ms"];
    if (typeof ttlMs !== "number") throw new AndironError("lease_lost", `lease ${leaseId} has ended`);
    return ttlMs;
  }

  /** Throws lease_lost unless it is alive. */
  renew(leaseId: string, nowMs: number): Renewal {
    const ttlMs = this.requireAlive(leaseId, nowMs);
    const expiresMs = nowMs + ttlMs;
    this.#renew.run(expiresMs, leaseId);
    return { ttlMs, expiresMs };
  }

  remove(leaseId: string): void {
    this.#remove.run(leaseId);
  }

  /** Ids of leases that are not alive, at most 100. */
  ended(nowMs: number): string[] {
    return this.#ended.all(this.#bootId, nowMs).map((row) => String(row["id"]));
  }

  /** When the next lease ends, on the monotonic clock; Infinity when there is none. */
  nextExpiryMs(): number {
    const next = this.#next.get(this.#bootId)?.["next"];
    return typeof next === "number" ? next : Infinity;
  }
}
