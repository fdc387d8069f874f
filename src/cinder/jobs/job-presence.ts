// This process among those that work on jobs: a record bound to a lease. While the record is there its claims are its own.
//
//   absent ──register──► present ──lease lost──► lost: its runs are told to stop ──► present again, under a new id
//
// An id is never used twice, so that a claim of a lost one can't come to life again.

import type { Clock } from "../../common/clock.ts";
import type { Random } from "../../common/random.ts";
import type { LeaseHold, Registry } from "../../registry/registry.ts";
import type { RecordStore } from "../record-store.ts";
import { jobRunnerKind, keyOf } from "../records.ts";
import type { JobRunnerRecord } from "./job.ts";

export interface PresencePorts {
  readonly registry: Pick<Registry, "grantLease" | "holdLease" | "revokeLease">;
  readonly store: RecordStore;
  readonly clock: Clock;
  readonly random: Random;
  readonly host: string;
  readonly leaseTtlMs: number;
  readonly onLost: () => void;
  readonly onTrouble: (what: string, error: unknown) => void;
}

const retryMs = 500;

export class JobPresence {
  readonly #ports: PresencePorts;
  #present: { readonly id: string; readonly hold: LeaseHold } | undefined;
  #stopped = false;

  constructor(ports: PresencePorts) {
    this.#ports = ports;
  }

  /** Undefined while it is not present. */
  get id(): string | undefined {
    return this.#present?.id;
  }

  /** True when `id` is us, and the lease is certainly held now. */
  isCertain(id: string): boolean {
    return this.#present?.id === id && this.#present.hold.isHeld(this.#ports.clock.monotonicMs());
  }

  async register(): Promise<void> {
    const { registry, store, clock, random, host, leaseTtlMs } = this.#ports;
    const leaseId = await registry.grantLease(leaseTtlMs);
    const hold = await registry.holdLease(leaseId);
    const record: JobRunnerRecord = { v: 1, id: random.uuid(), host, startedAtMs: clock.wallMs() };
    try {
      await store.commit("job-runner", async (tx) => tx.put(keyOf(jobRunnerKind, record.id), JSON.stringify(record), leaseId));
    } catch (error) {
      hold.release();
      throw error;
    }
    this.#present = { id: record.id, hold };
    if (this.#stopped) return this.stop();
    hold.onLost(() => void this.#lost(hold));
  }

  /** Somebody took our record away, by whatever means: the lease may not even know. */
  recordIsGone(id: string): void {
    if (this.#present?.id !== id) return;
    this.#present.hold.release();
    void this.#lost(this.#present.hold);
  }

  /** Gives the lease back: what is still claimed is free at once. */
  async stop(): Promise<void> {
    this.#stopped = true;
    const present = this.#present;
    this.#present = undefined;
    if (present === undefined) return;
    present.hold.release();
    await this.#ports.registry
      .revokeLease(present.hold.leaseId)
      .catch((error: unknown) => this.#ports.onTrouble("giving back the lease of the jobs; it ends by itself", error));
  }

  async #lost(hold: LeaseHold): Promise<void> {
    if (this.#stopped || this.#present?.hold !== hold) return;
    this.#present = undefined;
    this.#ports.onTrouble("the lease of the jobs was lost: what runs here is left to whoever takes it", undefined);
    this.#ports.onLost();
    while (!this.#stopped) {
      try {
        return await this.register();
      } catch (error) {
        this.#ports.onTrouble("getting a lease for jobs", error);
        await this.#ports.clock.sleep(retryMs);
      }
    }
  }
}
