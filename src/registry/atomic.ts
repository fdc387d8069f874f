// Optimistic transactions over a Registry: read what you need, say what should become of it, and the whole is done at
// once or not at all. atomically() runs `body` against the store, remembers the revision of every key it read, commits
// the writes on condition that none of them changed, and runs it anew when one did.
//
// - `body` must have no effect but through `tx`: it may run several times.
// - A key that was read and does not exist is guarded too (nobody else may create it meanwhile).
// - range() is not guarded against new keys: keep a counter or a marker record where that matters.
// It does not retry when the registry is away: only the caller knows whether doing it twice is harmless.

import { AndironError } from "../common/errors.ts";
import type { Clock } from "../common/clock.ts";
import type { Random } from "../common/random.ts";
import type { Compare, Operation, RangeRequest, RangeResult, Registry } from "./registry.ts";

export interface Tx {
  /** The value of `key`, as this transaction would leave it. */
  get(key: string): Promise<string | undefined>;
  /** Entries as committed; own pending writes are not shown. Not guarded. */
  range(request: RangeRequest): Promise<RangeResult>;
  put(key: string, value: string, leaseId?: string): void;
  delete(key: string): void;
}

export interface AtomicOptions {
  readonly clock: Clock;
  readonly random: Random;
  /** How often a lost race is tried again before transaction_conflict; default 50. */
  readonly attemptsMax?: number;
}

export interface AtomicResult<T> {
  readonly value: T;
  readonly revision: number;
}

class RecordingTx implements Tx {
  readonly compares = new Map<string, number>();
  readonly writes = new Map<string, Operation>();
  readonly #registry: Registry;
  readonly #seen = new Map<string, string | undefined>();

  constructor(registry: Registry) {
    this.#registry = registry;
  }

  async get(key: string): Promise<string | undefined> {
    const pending = this.writes.get(key);
    if (pending !== undefined) return pending.kind === "put" ? pending.value : undefined;
    if (this.compares.has(key)) return this.#seen.get(key);
    const entry = await this.#registry.get(key);
    this.compares.set(key, entry?.modRevision ?? 0);
    this.#seen.set(key, entry?.value);
    return entry?.value;
  }

  range(request: RangeRequest): Promise<RangeResult> {
    return this.#registry.range(request);
  }

  put(key: string, value: string, leaseId?: string): void {
    this.writes.set(key, leaseId === undefined ? { kind: "put", key, value } : { kind: "put", key, value, leaseId });
  }

  delete(key: string): void {
    this.writes.set(key, { kind: "delete", key });
  }
}

/** Runs `body` as one transaction; resolves with what it returned and the revision it was committed at. */
export async function atomically<T>(
  registry: Registry,
  options: AtomicOptions,
  body: (tx: Tx) => Promise<T>,
): Promise<AtomicResult<T>> {
  const attemptsMax = options.attemptsMax ?? 50;
  for (let attempt = 1; attempt <= attemptsMax; attempt++) {
    const tx = new RecordingTx(registry);
    const compares = (): Compare[] => [...tx.compares].map(([key, modRevision]) => ({ key, modRevision }));
    let value: T;
    try {
      value = await body(tx);
    } catch (error) {
      // What it read may never have been true at one instant: only a refusal of what still holds is a refusal.
      const { succeeded } = await registry.transact({ compares: compares(), success: [] });
      if (succeeded) throw error;
      continue;
    }
    const result = await registry.transact({ compares: compares(), success: [...tx.writes.values()] });
    if (result.succeeded) return { value, revision: result.revision };
    if (attempt > 3) await options.clock.sleep(options.random.below(Math.min(2 ** attempt, 64)));
  }
  throw new AndironError("transaction_conflict", `gave up after ${attemptsMax} attempts: the records keep changing`);
}
