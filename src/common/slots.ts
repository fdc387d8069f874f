// A bounded number of operations at a time, the rest in a bounded queue, first come first served. It keeps a hung mount
// from taking every thread of libuv's pool: a slot is given back only when the operating system has answered, whatever
// deadline the caller had. It knows no time and no priorities.

import type { AndironError } from "./errors.ts";

export interface SlotsOptions {
  readonly concurrentMax: number;
  readonly queuedMax: number;
  /** What is thrown when `queued` wait already, and after close(). */
  readonly full: (queued: number) => AndironError;
  readonly closed: () => AndironError;
}

interface Waiter {
  readonly go: () => void;
  readonly refuse: (error: AndironError) => void;
}

export class Slots {
  readonly #options: SlotsOptions;
  readonly #queue: Waiter[] = [];
  readonly #idleWaiters: (() => void)[] = [];
  #running = 0;
  #closed = false;

  constructor(options: SlotsOptions) {
    this.#options = options;
  }

  /** Runs `body` when a slot is free. */
  async run<T>(body: () => Promise<T>): Promise<T> {
    const waiting = this.enter();
    if (waiting !== undefined) await waiting;
    try {
      return await body();
    } finally {
      this.leave();
    }
  }

  /** Takes a slot, for which leave() is called later: at once, without a promise, or when the one that is returned resolves. */
  enter(): Promise<void> | undefined {
    if (this.#closed) return Promise.reject(this.#options.closed());
    if (this.#running >= this.#options.concurrentMax) return this.#enqueue();
    this.#running++;
    return undefined;
  }

  /** Hands the slot to the next in the queue, or frees it. */
  leave(): void {
    const next = this.#queue.shift();
    if (next !== undefined) {
      next.go();
      return;
    }
    this.#running--;
    if (this.#running === 0) for (const resolve of this.#idleWaiters.splice(0)) resolve();
  }

  /** Refuses new and queued work; resolves when what runs has ended. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const waiter of this.#queue.splice(0)) waiter.refuse(this.#options.closed());
    if (this.#running > 0) await new Promise<void>((resolve) => this.#idleWaiters.push(resolve));
  }

  #enqueue(): Promise<void> {
    if (this.#queue.length >= this.#options.queuedMax) return Promise.reject(this.#options.full(this.#queue.length));
    return new Promise((go, refuse) => this.#queue.push({ go, refuse }));
  }
}
