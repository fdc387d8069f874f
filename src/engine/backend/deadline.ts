// Decorator: an operation that takes too long rejects with backend_timeout. The operation itself goes on (a system call
// can't be called back), so a read goes through a buffer of its own: a late answer never lands in memory that the caller
// has used anew. For puts the contract in backend.ts says what the caller must leave alone.

import type { Clock } from "../../common/clock.ts";
import { AndironError } from "../../common/errors.ts";
import type { Capacity, ListOptions, ObjectBackend } from "./backend.ts";

export interface DeadlineOptions {
  readonly clock: Clock;
  /** For an operation without bytes. */
  readonly timeoutMs: number;
  /** On top, for each MiB that is moved. */
  readonly perMebibyteMs: number;
}

export function withDeadline(inner: ObjectBackend, options: DeadlineOptions): ObjectBackend {
  return new DeadlineBackend(inner, options);
}

class DeadlineBackend implements ObjectBackend {
  readonly #inner: ObjectBackend;
  readonly #options: DeadlineOptions;

  constructor(inner: ObjectBackend, options: DeadlineOptions) {
    this.#inner = inner;
    this.#options = options;
  }

  put(name: string, parts: readonly Buffer[]): Promise<void> {
    const bytes = parts.reduce((sum, part) => sum + part.length, 0);
    return this.#within(`put of ${name}`, bytes, this.#inner.put(name, parts));
  }

  putFile(name: string, path: string): Promise<void> {
    // Its length is not known here; a copy to another file system gets the time of a large object.
    return this.#within(`putFile of ${name}`, 64 * 1024 * 1024, this.#inner.putFile(name, path));
  }

  async read(name: string, offset: number, target: Buffer): Promise<void> {
    const own = Buffer.allocUnsafeSlow(target.length);
    await this.#within(`read of ${name}`, target.length, this.#inner.read(name, offset, own));
    own.copy(target);
  }

  size(name: string): Promise<number | undefined> {
    return this.#within(`size of ${name}`, 0, this.#inner.size(name));
  }

  delete(name: string): Promise<void> {
    return this.#within(`delete of ${name}`, 0, this.#inner.delete(name));
  }

  list(prefix: string, options?: ListOptions): Promise<string[]> {
    return this.#within(`list of ${prefix}`, 0, this.#inner.list(prefix, options));
  }

  capacity(): Promise<Capacity> {
    return this.#within("capacity", 0, this.#inner.capacity());
  }

  close(): Promise<void> {
    return this.#within("close", 0, this.#inner.close());
  }

  #within<T>(what: string, bytes: number, operation: Promise<T>): Promise<T> {
    const { clock, timeoutMs, perMebibyteMs } = this.#options;
    const limitMs = timeoutMs + perMebibyteMs * Math.ceil(bytes / (1024 * 1024));
    return new Promise((resolve, reject) => {
      const timer = clock.after(limitMs, () => {
        reject(new AndironError("backend_timeout", `${what} took longer than ${limitMs} ms`));
      });
      operation.finally(() => timer.cancel()).then(resolve, reject);
    });
  }
}
