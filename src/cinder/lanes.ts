// Work of one key, one after the other. Transactions of one project all write its usage record; run side by side in one
// process they would only make each other start again. Other processes are met by the optimistic retry, not here.

import { AndironError } from "../common/errors.ts";

interface Lane {
  tail: Promise<unknown>;
  waiting: number;
}

export class Lanes {
  readonly #lanes = new Map<string, Lane>();
  readonly #waitersMax: number;

  constructor(waitersMax: number) {
    this.#waitersMax = waitersMax;
  }

  /** Runs `work` after everything given for `key` before; rejects with limit_exceeded when too many wait. */
  async run<T>(key: string, work: () => Promise<T>): Promise<T> {
    const lane = this.#lanes.get(key) ?? { tail: Promise.resolve(), waiting: 0 };
    if (lane.waiting >= this.#waitersMax) {
      throw new AndironError("limit_exceeded", `more than ${this.#waitersMax} requests wait for one project`);
    }
    this.#lanes.set(key, lane);
    lane.waiting++;
    const result = lane.tail.then(work);
    lane.tail = result.catch(() => undefined);
    try {
      return await result;
    } finally {
      lane.waiting--;
      if (lane.waiting === 0) this.#lanes.delete(key);
    }
  }

  /** Keys with work under way. */
  get size(): number {
    return this.#lanes.size;
  }
}
