// Decorator: tries again what failed because the backend was away (error kind "unavailable"), a bounded number of times,
// waiting ever longer with full jitter. Every verb may be repeated: names are write-once and deletes don't mind.
// What is not the backend's absence (full, not found, damaged, ...) is passed on at once.

import type { Clock } from "../../common/clock.ts";
import { AndironError } from "../../common/errors.ts";
import type { Random } from "../../common/random.ts";
import type { Capacity, ListOptions, ObjectBackend, ReadOptions } from "./backend.ts";

export interface RetryOptions {
  readonly clock: Clock;
  readonly random: Random;
  /** All tries together, the first included; default 5. */
  readonly attemptsMax?: number;
  /** The first wait is at most this, each later one at most twice the one before; default 50. */
  readonly firstWaitMs?: number;
  /** No wait is longer; default 2000. */
  readonly waitMsMax?: number;
}

export function withRetries(inner: ObjectBackend, options: RetryOptions): ObjectBackend {
  return new RetryingBackend(inner, options);
}

class RetryingBackend implements ObjectBackend {
  readonly #inner: ObjectBackend;
  readonly #options: RetryOptions;
  #closed = false;

  constructor(inner: ObjectBackend, options: RetryOptions) {
    this.#inner = inner;
    this.#options = options;
  }

  put(name: string, parts: readonly Buffer[]): Promise<void> {
    return this.#retry(() => this.#inner.put(name, parts));
  }

  putFile(name: string, path: string): Promise<void> {
    return this.#retry(() => this.#inner.putFile(name, path));
  }

  read(name: string, offset: number, target: Buffer, options?: ReadOptions): Promise<void> {
    // What comes late would land where another try has read, and be looked at by nobody.
    const mayRepeat = options?.isOwnTarget === true ? mayPassAndIsOver : mayPass;
    return this.#retry(() => this.#inner.read(name, offset, target, options), mayRepeat);
  }

  size(name: string): Promise<number | undefined> {
    return this.#retry(() => this.#inner.size(name));
  }

  delete(name: string): Promise<void> {
    return this.#retry(() => this.#inner.delete(name));
  }

  list(prefix: string, options?: ListOptions): Promise<string[]> {
    return this.#retry(() => this.#inner.list(prefix, options));
  }

  capacity(): Promise<Capacity> {
    return this.#retry(() => this.#inner.capacity());
  }

  /** Ends the waiting: operations between two tries reject with their last error. */
  close(): Promise<void> {
    this.#closed = true;
    return this.#inner.close();
  }

  #retry<T>(operation: () => Promise<T>, mayRepeat = mayPass): Promise<T> {
    return operation().then(undefined, (error: unknown) => this.#tryAgain(operation, error, mayRepeat));
  }

  async #tryAgain<T>(operation: () => Promise<T>, failed: unknown, mayRepeat: typeof mayPass): Promise<T> {
    const { clock, random, attemptsMax = 5, firstWaitMs = 50, waitMsMax = 2000 } = this.#options;
    let error = failed;
    for (let attempt = 1; attempt < attemptsMax && mayRepeat(error); attempt++) {
      await clock.sleep(random.below(Math.min(firstWaitMs * 2 ** (attempt - 1), waitMsMax) + 1));
      if (this.#closed) break;
      try {
        return await operation();
      } catch (next) {
        error = next;
      }
    }
    throw error;
  }
}

function mayPass(error: unknown): error is AndironError {
  return error instanceof AndironError && error.kind === "unavailable" && error.code !== "shutting_down";
}

/** What took too long may still be going on. */
function mayPassAndIsOver(error: unknown): error is AndironError {
  return mayPass(error) && error.code !== "backend_timeout";
}
