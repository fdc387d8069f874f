// Decorator: an operation that takes too long rejects with backend_timeout. The operation itself goes on (a system call
// can't be called back), so a read goes through a buffer of its own: a late answer never lands in memory that the caller
// has used anew. Where the caller never does (ReadOptions.isOwnTarget) it goes straight there: memory that is new is then touched
// first by the thread that reads, and not by the event loop. For puts the contract in backend.ts says what must be left alone.
//
// - One timer for all that is under way: a read is over in far less time than it takes to set one.
// - A read's buffer is used again when the read itself has ended, however late.

import type { Clock } from "../../common/clock.ts";
import { AndironError } from "../../common/errors.ts";
import { MiB } from "../limits.ts";
import { SpanBuffers } from "../span-buffers.ts";
import type { BackendVerb, Capacity, ListOptions, ObjectBackend, ReadOptions } from "./backend.ts";
import { Deadlines } from "./deadlines.ts";

export interface DeadlineOptions {
  readonly clock: Clock;
  /** For an operation without bytes. */
  readonly timeoutMs: number;
  /** On top, for each MiB that is moved. */
  readonly perMebibyteMs: number;
}

/** Of all reads' buffers. */
const keptBytesMax = 16 * MiB;

export function withDeadline(inner: ObjectBackend, options: DeadlineOptions): ObjectBackend {
  return new DeadlineBackend(inner, options);
}

class DeadlineBackend implements ObjectBackend {
  readonly #inner: ObjectBackend;
  readonly #options: DeadlineOptions;
  readonly #deadlines: Deadlines;
  readonly #buffers = new SpanBuffers(keptBytesMax);

  constructor(inner: ObjectBackend, options: DeadlineOptions) {
    this.#inner = inner;
    this.#options = options;
    this.#deadlines = new Deadlines(options.clock);
  }

  put(name: string, parts: readonly Buffer[]): Promise<void> {
    const bytes = parts.reduce((sum, part) => sum + part.length, 0);
    return this.#within("put", name, bytes, this.#inner.put(name, parts));
  }

  putFile(name: string, path: string): Promise<void> {
    // Its length is not known here; a copy to another file system gets the time of a large object.
    return this.#within("putFile", name, 64 * MiB, this.#inner.putFile(name, path));
  }

  read(name: string, offset: number, target: Buffer, options?: ReadOptions): Promise<void> {
    if (options?.isOwnTarget === true)
      return this.#within("read", name, target.length, this.#inner.read(name, offset, target, options));
    const kept = this.#buffers.take(target.length);
    const own = kept.length === target.length ? kept : kept.subarray(0, target.length);
    return this.#within("read", name, target.length, this.#inner.read(name, offset, own, options), (isAnswer) => {
      if (isAnswer) own.copy(target);
      this.#buffers.give(kept);
    });
  }

  size(name: string): Promise<number | undefined> {
    return this.#within("size", name, 0, this.#inner.size(name));
  }

  delete(name: string): Promise<void> {
    return this.#within("delete", name, 0, this.#inner.delete(name));
  }

  list(prefix: string, options?: ListOptions): Promise<string[]> {
    return this.#within("list", prefix, 0, this.#inner.list(prefix, options));
  }

  capacity(): Promise<Capacity> {
    return this.#within("capacity", "", 0, this.#inner.capacity());
  }

  close(): Promise<void> {
    return this.#within("close", "", 0, this.#inner.close());
  }

  /** `ended` hears once that the operation has ended, and whether that is the answer: it went well, and in time. */
  #within<T>(
    verb: BackendVerb | "close",
    name: string,
    bytes: number,
    operation: Promise<T>,
    ended?: (isAnswer: boolean) => void,
  ): Promise<T> {
    const { timeoutMs, perMebibyteMs } = this.#options;
    const limitMs = timeoutMs + perMebibyteMs * Math.ceil(bytes / MiB);
    return new Promise((resolve, reject) => {
      const deadline = this.#deadlines.begin(limitMs, () => {
        reject(new AndironError("backend_timeout", `${verb} of ${name} took longer than ${limitMs} ms`));
      });
      operation.then(
        (result) => {
          ended?.(this.#deadlines.end(deadline));
          resolve(result);
        },
        (error: unknown) => {
          this.#deadlines.end(deadline);
          ended?.(false);
          reject(error);
        },
      );
    });
  }
}
