// The server's side of lease holds: which leases this handle renews, when, and until when they are certain.
//
//   held ──due (a third of ttl since the last)──► renewing ──renewed──► held
//                                                    ├──unavailable──► held, due again in a tenth of ttl
//                                                    └──lease_lost───► gone, "hold-lost" sent
//   held or renewing ──now ≥ until──► gone, "hold-lost" sent
//
// `until` lies in memory shared with the caller's thread: it is the value stored in the database, written here only
// after the COMMIT that renewed it, and -Infinity once the lease is lost.

import type { Renewal } from "./lease-table.ts";
import type { Reply } from "./protocol.ts";

interface Hold {
  readonly leaseId: string;
  readonly until: Float64Array;
  ttlMs: number;
  dueMs: number;
  renewing: boolean;
}

export class Holds {
  readonly #reply: (reply: Reply) => void;
  readonly #holds = new Map<number, Hold>();

  constructor(reply: (reply: Reply) => void) {
    this.#reply = reply;
  }

  /** After the COMMIT of the first renewal. */
  add(holdId: number, leaseId: string, until: Float64Array, renewal: Renewal): void {
    this.#holds.set(holdId, { leaseId, until, ttlMs: renewal.ttlMs, dueMs: 0, renewing: true });
    this.renewed(holdId, renewal);
  }

  renewed(holdId: number, renewal: Renewal): void {
    const hold = this.#holds.get(holdId);
    if (hold === undefined) return;
    hold.until[0] = renewal.expiresMs;
    hold.ttlMs = renewal.ttlMs;
    hold.dueMs = renewal.expiresMs - (renewal.ttlMs * 2) / 3;
    hold.renewing = false;
  }

  notRenewed(holdId: number, nowMs: number): void {
    const hold = this.#holds.get(holdId);
    if (hold === undefined) return;
    hold.renewing = false;
    hold.dueMs = nowMs + hold.ttlMs / 10;
  }

  lose(holdId: number): void {
    const hold = this.#holds.get(holdId);
    if (hold === undefined) return;
    hold.until[0] = -Infinity;
    this.#holds.delete(holdId);
    this.#reply({ kind: "hold-lost", holdId });
  }

  /** When one of them is due, or certain no more; Infinity when there is none. */
  nextMs(): number {
    let nextMs = Infinity;
    for (const { dueMs, renewing, until } of this.#holds.values()) {
      nextMs = Math.min(nextMs, until[0]!, renewing ? Infinity : dueMs);
    }
    return nextMs;
  }

  /** Stops the renewing; what is certain stays certain until its time. */
  release(holdId: number): void {
    this.#holds.delete(holdId);
  }

  /** Those to renew now, marked as renewing. Gives up those whose time is over. */
  takeDue(nowMs: number): { holdId: number; leaseId: string }[] {
    const due = [];
    for (const [holdId, hold] of this.#holds) {
      if (nowMs >= (hold.until[0] ?? -Infinity)) this.lose(holdId);
      else if (!hold.renewing && nowMs >= hold.dueMs) {
        hold.renewing = true;
        due.push({ holdId, leaseId: hold.leaseId });
      }
    }
    return due;
  }
}
