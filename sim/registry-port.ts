// The registry as a simulated process sees it: requests and answers take time, and the dead hear nothing.
//
// - A transaction that a death interrupts was committed or not, as it happens.
// - A lease of a dead process is renewed no more and ends by itself.

import type { LeaseHold, Registry, Watch, WatchBatch } from "../src/registry/registry.ts";
import type { Life } from "./life.ts";

const wayMsMax = 1.5;

export function registryOf(life: Life, registry: Registry): Registry {
  const call = async <T>(operation: () => Promise<T>): Promise<T> => {
    await life.beginLater(wayMsMax);
    const settled = await life.guard(
      operation().then(
        (value) => ({ value }),
        (error: unknown) => ({ error }),
      ),
    );
    await life.later(wayMsMax);
    if ("error" in settled) throw settled.error;
    return settled.value;
  };
  return {
    get: (key) => call(() => registry.get(key)),
    range: (request) => call(() => registry.range(request)),
    transact: (transaction) => call(() => registry.transact(transaction)),
    watch: (request) => new PortWatch(life, registry.watch(request)),
    revision: () => call(() => registry.revision()),
    grantLease: (ttlMs) => call(() => registry.grantLease(ttlMs)),
    keepLeaseAlive: (leaseId) => call(() => registry.keepLeaseAlive(leaseId)),
    holdLease: async (leaseId) => new PortHold(life, await call(() => registry.holdLease(leaseId))),
    revokeLease: (leaseId) => call(() => registry.revokeLease(leaseId)),
    compact: (revision) => call(() => registry.compact(revision)),
    close: () => Promise.resolve(),
  };
}

class PortWatch implements Watch {
  readonly #life: Life;
  readonly #inner: Watch;

  constructor(life: Life, inner: Watch) {
    this.#life = life;
    this.#inner = inner;
    life.onDeath(() => inner.close());
  }

  [Symbol.asyncIterator](): AsyncIterator<WatchBatch> {
    const inner = this.#inner[Symbol.asyncIterator]();
    return {
      next: async () => {
        const result = await this.#life.guard(inner.next());
        await this.#life.later(wayMsMax);
        return result;
      },
      return: async () => {
        this.#inner.close();
        return { done: true, value: undefined };
      },
    };
  }

  close(): void {
    this.#inner.close();
  }
}

class PortHold implements LeaseHold {
  readonly #life: Life;
  readonly #inner: LeaseHold;

  constructor(life: Life, inner: LeaseHold) {
    this.#life = life;
    this.#inner = inner;
    life.onDeath(() => inner.release());
  }

  get leaseId(): string {
    return this.#inner.leaseId;
  }

  heldUntilMs(): number {
    return this.#inner.heldUntilMs();
  }

  isHeld(nowMonotonicMs: number): boolean {
    return this.#inner.isHeld(nowMonotonicMs);
  }

  onLost(listener: () => void): void {
    this.#inner.onLost(() => {
      if (this.#life.isAlive) listener();
    });
  }

  release(): void {
    this.#inner.release();
  }
}
