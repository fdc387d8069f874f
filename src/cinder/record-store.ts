// How every change is made: one optimistic transaction, in the lane of its project, that also writes the marker key, so that
// a reader can ask how far our key space has come. A transaction that ends in a refusal only checks what it has read.
// It does not know what the records mean.

import type { Clock } from "../common/clock.ts";
import type { Random } from "../common/random.ts";
import type { RangeRequest, RangeResult, Registry } from "../registry/registry.ts";
import { atomically, type Tx } from "../registry/atomic.ts";
import { Lanes } from "./lanes.ts";
import { cinderLimits } from "./model.ts";
import { markerKey } from "./records.ts";

/** Keeps the writes back until the body has come to its end, so that a refusal leaves none. */
class BufferedTx implements Tx {
  readonly #inner: Tx;
  readonly #writes = new Map<string, { readonly value: string | undefined; readonly leaseId: string | undefined }>();

  constructor(inner: Tx) {
    this.#inner = inner;
  }

  async get(key: string): Promise<string | undefined> {
    const pending = this.#writes.get(key);
    return pending === undefined ? this.#inner.get(key) : pending.value;
  }

  range(request: RangeRequest): Promise<RangeResult> {
    return this.#inner.range(request);
  }

  put(key: string, value: string, leaseId?: string): void {
    this.#writes.set(key, { value, leaseId });
  }

  delete(key: string): void {
    this.#writes.set(key, { value: undefined, leaseId: undefined });
  }

  /** Hands the writes on. The marker is never read by a transaction, hence never in conflict. */
  flush(): void {
    if (this.#writes.size === 0) return;
    this.#inner.put(markerKey, '{"v":1}');
    for (const [key, { value, leaseId }] of this.#writes) {
      if (value === undefined) this.#inner.delete(key);
      else if (leaseId === undefined) this.#inner.put(key, value);
      else this.#inner.put(key, value, leaseId);
    }
  }
}

type Outcome<T> = { readonly value: T } | { readonly refusal: unknown };

export class RecordStore {
  readonly #registry: Registry;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #lanes = new Lanes(cinderLimits.laneWaitersMax);

  constructor(ports: { readonly registry: Registry; readonly clock: Clock; readonly random: Random }) {
    this.#registry = ports.registry;
    this.#clock = ports.clock;
    this.#random = ports.random;
  }

  /**
   * Runs `body` as one transaction in the lane of `projectId`. It may run several times and must act through `tx` only.
   * What it throws is thrown on when everything it had read held at one instant; otherwise it runs again: a refusal, too,
   * must have been true.
   */
  async commit<T>(projectId: string, body: (tx: Tx) => Promise<T>): Promise<T> {
    const outcome = await this.#lanes.run(projectId, async () => {
      const options = { clock: this.#clock, random: this.#random };
      const result = await atomically(this.#registry, options, async (inner): Promise<Outcome<T>> => {
        const tx = new BufferedTx(inner);
        try {
          const value = await body(tx);
          tx.flush();
          return { value };
        } catch (refusal) {
          return { refusal };
        }
      });
      return result.value;
    });
    if ("refusal" in outcome) throw outcome.refusal;
    return outcome.value;
  }
}
