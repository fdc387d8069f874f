// A bounded number of operations at a time, the rest in a bounded queue, first come first served. It keeps a hung mount
// from taking every thread of libuv's pool: a slot is given back only when the operating system has answered, whatever
// deadline the caller had. It knows no time and no priorities.

import { AndironError } from "../../common/errors.ts";

interface Waiter {
  readonly go: () => void;
  readonly refuse: (error: AndironError) => void;
}

export class Slots {
  readonly #concurrentMax: number;
  readonly #queuedMax: number;
  readonly #queue: Waiter[] = [];
  readonly #idleWaiters: (() => void)[] = [];
  #running = 0;
  #closed = false;

  constructor(options: { readonly concurrentMax: number; readonly queuedMax: number }) {
    this.#concurrentMax = options.concurrentMax;
    this.#queuedMax = options.queuedMax;
  }

  /** Runs `body` when a slot is free. Rejects with backend_unavailable when the queue is full, shutting_down when closed. */
  async run<T>(body: () => Promise<T>): Promise<T> {
    if (this.#closed) throw closedError();
    if (this.#running >= this.#concurrentMax) await this.#enqueue();
    else this.#running++;
    try {
      return await body();
    } finally {
      this.#release();
    }
  }

  /** Refuses new and queued work; resolves when what runs has ended. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const waiter of this.#queue.splice(0)) waiter.refuse(closedError());
    if (this.#running > 0) await new Promise<void>((resolve) => this.#idleWaiters.push(resolve));
  }

  #enqueue(): Promise<void> {
    if (this.#queue.length >= this.#queuedMax) {
      throw new AndironError("backend_unavailable", `${this.#queue.length} operations already wait for the backend`, {
        hint: "the backend answers too slowly or hangs: look at its mount or network",
      });
    }
    return new Promise((go, refuse) => this.#queue.push({ go, refuse }));
  }

  /** Hands the slot to the next in the queue, or frees it. */
  #release(): void {
    const next = this.#queue.shift();
    if (next !== undefined) {
      next.go();
      return;
    }
    this.#running--;
    if (this.#running === 0) for (const resolve of this.#idleWaiters.splice(0)) resolve();
  }
}

function closedError(): AndironError {
  return new AndironError("shutting_down", "the backend is closed");
}
