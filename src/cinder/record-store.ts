// How every change is made: one optimistic transaction, in the lane of its project, that also writes the marker key, so that
// a reader can ask how far our key space has come.
// It does not know what the records mean.

import type { Clock } from "../common/clock.ts";
import type { Random } from "../common/random.ts";
import type { RangeRequest, RangeResult, Registry } from "../registry/registry.ts";
import { atomically, type Tx } from "../registry/atomic.ts";
import { Lanes } from "./lanes.ts";
import { cinderLimits } from "./model.ts";
import { markerKey } from "./records.ts";

/** Passes everything on and adds the marker to the writes. No transaction reads it: it is never in conflict. */
class MarkedTx implements Tx {
  readonly #inner: Tx;

  constructor(inner: Tx) {
    this.#inner = inner;
  }

  get(key: string): Promise<string | undefined> {
    return this.#inner.get(key);
  }

  range(request: RangeRequest): Promise<RangeResult> {
    return this.#inner.range(request);
  }

  put(key: string, value: string, leaseId?: string): void {
    this.#mark();
    this.#inner.put(key, value, leaseId);
  }

  delete(key: string): void {
    this.#mark();
    this.#inner.delete(key);
  }

  #mark(): void {
    this.#inner.put(markerKey, '{"v":1}');
  }
}

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
   * What it throws is thrown on when everything it had read still held; otherwise it runs again (registry/atomic.ts).
   */
  commit<T>(projectId: string, body: (tx: Tx) => Promise<T>): Promise<T> {
    return this.#lanes.run(projectId, async () => {
      const options = { clock: this.#clock, random: this.#random };
      const { value } = await atomically(this.#registry, options, (tx) => body(new MarkedTx(tx)));
      return value;
    });
  }
}
