// The router's presence in the registry: a record bound to a lease. While the lease is held, its logs are its own.
//
//     absent ──register──► held ──lost (slow registry, paused process)──► lost ──► everything is let go, then register anew
//
// The lease is renewed off the event loop. isHeld is asked after the work and before the answer: what was done while the
// lease may have been lost is not acknowledged.

import type { Clock, Timer } from "../common/clock.ts";
import { AndironError } from "../common/errors.ts";
import type { LeaseHold, Registry } from "../registry/registry.ts";
import type { EngineLog } from "./engine-context.ts";
import type { RouterRecord } from "./records.ts";
import { keys } from "./records.ts";

interface RouterLeaseOptions {
  readonly registry: Registry;
  readonly clock: Clock;
  readonly log: EngineLog;
  readonly leaseTtlMs: number;
  readonly describe: () => Omit<RouterRecord, "v" | "reportedAtMs">;
  /** Lets go of everything; then the router registers anew. */
  readonly onLost: () => Promise<void>;
}

const reportIntervalMs = 10_000;
const retryMs = 500;

export class RouterLease {
  readonly #options: RouterLeaseOptions;
  #hold: LeaseHold | undefined;
  #timer: Timer | undefined;
  #stopped = false;

  constructor(options: RouterLeaseOptions) {
    this.#options = options;
  }

  /** Throws lease_lost unless the lease is certainly held now. */
  assertHeld(): void {
    if (this.#hold?.isHeld(this.#options.clock.monotonicMs()) === true) return;
    throw new AndironError("lease_lost", "this storage router does not hold its lease");
  }

  async register(): Promise<void> {
    const { registry, leaseTtlMs } = this.#options;
    const leaseId = await registry.grantLease(leaseTtlMs);
    const hold = await registry.holdLease(leaseId);
    try {
      await this.#report(leaseId);
    } catch (error) {
      hold.release();
      throw error;
    }
    // Not before the record is there: without it others may take this router's logs.
    this.#hold = hold;
    if (this.#stopped) return this.stop();
    this.#timer?.cancel();
    this.#reportLater(leaseId);
    hold.onLost(() => void this.#lost(hold));
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#timer?.cancel();
    const hold = this.#hold;
    this.#hold = undefined;
    if (hold === undefined) return;
    hold.release();
    await this.#options.registry.revokeLease(hold.leaseId).catch((error: unknown) => {
      this.#options.log.warning("cannot give the router's lease back; it ends by itself", { error });
    });
  }

  async #report(leaseId: string): Promise<void> {
    const record: RouterRecord = { v: 1, ...this.#options.describe(), reportedAtMs: this.#options.clock.wallMs() };
    await this.#options.registry.transact({
      compares: [],
      success: [{ kind: "put", key: keys.router(record.id), value: JSON.stringify(record), leaseId }],
    });
  }

  #reportLater(leaseId: string): void {
    this.#timer = this.#options.clock.after(reportIntervalMs, () => {
      if (this.#stopped || this.#hold?.leaseId !== leaseId) return;
      this.#report(leaseId)
        .catch((error: unknown) => this.#options.log.warning("cannot report to the registry", { error }))
        .finally(() => this.#reportLater(leaseId));
    });
  }

  async #lost(hold: LeaseHold): Promise<void> {
    if (this.#stopped || this.#hold !== hold) return;
    this.#options.log.error("the router's lease was lost: letting go of all disks, then starting anew", {});
    this.#hold = undefined;
    await this.#options.onLost();
    while (!this.#stopped) {
      try {
        await this.register();
        this.#options.log.info("the router holds a lease again", {});
        return;
      } catch (error) {
        this.#options.log.warning("cannot get a lease, trying again", { error });
        await this.#options.clock.sleep(retryMs);
      }
    }
  }
}
