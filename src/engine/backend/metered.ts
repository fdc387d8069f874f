// Decorator: tells a meter of every operation when it has ended: how long, how many bytes, with which error. It keeps no
// figures itself; the metrics of the process do. Placed outside the retries it measures what the engine feels, inside
// what the backend does.

import { stat } from "node:fs/promises";
import type { Clock } from "../../common/clock.ts";
import { errorCodeOf, type ErrorCode } from "../../common/errors.ts";
import type { BackendVerb, Capacity, ListOptions, ObjectBackend, ReadOptions } from "./backend.ts";

export interface BackendOperation {
  readonly verb: BackendVerb;
  readonly durationMs: number;
  /** Bytes read or stored; 0 when it failed. For putFile the length of the file, also where storing it is a link. */
  readonly bytes: number;
  /** Absent when it went well. */
  readonly errorCode?: ErrorCode;
}

export interface BackendMeter {
  operationStarted(verb: BackendVerb): void;
  operationEnded(operation: BackendOperation): void;
}

export function withMeter(inner: ObjectBackend, options: { readonly clock: Clock; readonly meter: BackendMeter }): ObjectBackend {
  return new MeteredBackend(inner, options.clock, options.meter);
}

class MeteredBackend implements ObjectBackend {
  readonly #inner: ObjectBackend;
  readonly #clock: Clock;
  readonly #meter: BackendMeter;

  constructor(inner: ObjectBackend, clock: Clock, meter: BackendMeter) {
    this.#inner = inner;
    this.#clock = clock;
    this.#meter = meter;
  }

  put(name: string, parts: readonly Buffer[]): Promise<void> {
    const bytes = parts.reduce((sum, part) => sum + part.length, 0);
    return this.#measure("put", bytes, () => this.#inner.put(name, parts));
  }

  async putFile(name: string, path: string): Promise<void> {
    // What is not there is for the backend to say.
    const bytes = await stat(path).then(
      ({ size }) => size,
      () => 0,
    );
    return this.#measure("putFile", bytes, () => this.#inner.putFile(name, path));
  }

  read(name: string, offset: number, target: Buffer, options?: ReadOptions): Promise<void> {
    return this.#measure("read", target.length, () => this.#inner.read(name, offset, target, options));
  }

  size(name: string): Promise<number | undefined> {
    return this.#measure("size", 0, () => this.#inner.size(name));
  }

  delete(name: string): Promise<void> {
    return this.#measure("delete", 0, () => this.#inner.delete(name));
  }

  list(prefix: string, options?: ListOptions): Promise<string[]> {
    return this.#measure("list", 0, () => this.#inner.list(prefix, options));
  }

  capacity(): Promise<Capacity> {
    return this.#measure("capacity", 0, () => this.#inner.capacity());
  }

  close(): Promise<void> {
    return this.#inner.close();
  }

  #measure<T>(verb: BackendVerb, bytes: number, operation: () => Promise<T>): Promise<T> {
    const startedMs = this.#clock.monotonicMs();
    this.#meter.operationStarted(verb);
    return operation().then(
      (result) => {
        this.#meter.operationEnded({ verb, bytes, durationMs: this.#clock.monotonicMs() - startedMs });
        return result;
      },
      (error: unknown) => {
        const durationMs = this.#clock.monotonicMs() - startedMs;
        this.#meter.operationEnded({ verb, bytes: 0, durationMs, errorCode: errorCodeOf(error) });
        throw error;
      },
    );
  }
}
