// In front of every store: checks what is asked for, lets a bounded number of requests run and a bounded number wait, first
// come first served, and refuses all after close(). So the memory of requests is bounded by their number times the largest
// object. It knows no time and no kind of store.

import { AndironError } from "../common/errors.ts";
import { checkList, checkName, checkObjectBytes, checkRange } from "./names.ts";
import {
  type ByteRange,
  type ListOptions,
  type ListPage,
  type ObjectFacts,
  type ObjectStore,
  type PutOptions,
  objectLimits,
} from "./object-store.ts";

export interface AdmissionOptions {
  /** Default objectLimits.requestsMax. */
  readonly requestsMax?: number | undefined;
  /** Default objectLimits.queuedMax; more reject with overloaded. */
  readonly queuedMax?: number | undefined;
}

interface Waiter {
  readonly go: () => void;
  readonly refuse: (error: AndironError) => void;
}

/** `inner` behind its checks and limits; nothing of it is called with arguments that are not sound. */
export function withAdmission(inner: ObjectStore, options: AdmissionOptions = {}): ObjectStore {
  return new AdmittedStore(inner, options);
}

class AdmittedStore implements ObjectStore {
  readonly #inner: ObjectStore;
  readonly #requestsMax: number;
  readonly #queuedMax: number;
  readonly #queue: Waiter[] = [];
  #running = 0;
  #closing: Promise<void> | undefined;
  #ended: () => void = () => undefined;

  constructor(inner: ObjectStore, options: AdmissionOptions) {
    this.#inner = inner;
    this.#requestsMax = options.requestsMax ?? objectLimits.requestsMax;
    this.#queuedMax = options.queuedMax ?? objectLimits.queuedMax;
  }

  get atomicCreate(): boolean {
    return this.#inner.atomicCreate;
  }

  async put(name: string, bytes: Buffer, options?: PutOptions): Promise<string> {
    checkName(name);
    checkObjectBytes(bytes);
    return this.#inTurn(() => this.#inner.put(name, bytes, options));
  }

  async get(name: string, range?: ByteRange): Promise<Buffer> {
    checkName(name);
    if (range !== undefined) checkRange(range);
    return this.#inTurn(() => this.#inner.get(name, range));
  }

  async head(name: string): Promise<ObjectFacts | undefined> {
    checkName(name);
    return this.#inTurn(() => this.#inner.head(name));
  }

  async delete(name: string): Promise<void> {
    checkName(name);
    return this.#inTurn(() => this.#inner.delete(name));
  }

  async list(prefix: string, options: ListOptions = {}): Promise<ListPage> {
    const checked = checkList(prefix, options);
    return this.#inTurn(() => this.#inner.list(prefix, checked));
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    for (const waiter of this.#queue.splice(0)) waiter.refuse(closedError());
    if (this.#running > 0) await new Promise<void>((resolve) => (this.#ended = resolve));
    await this.#inner.close();
  }

  async #inTurn<T>(body: () => Promise<T>): Promise<T> {
    if (this.#closing !== undefined) throw closedError();
    if (this.#running >= this.#requestsMax) await this.#wait();
    else this.#running++;
    try {
      return await body();
    } finally {
      this.#pass();
    }
  }

  #wait(): Promise<void> {
    if (this.#queue.length >= this.#queuedMax) {
      throw new AndironError("overloaded", `${this.#queue.length} requests already wait for the object store`);
    }
    return new Promise((go, refuse) => this.#queue.push({ go, refuse }));
  }

  /** The turn goes to the next in the queue, or is free. */
  #pass(): void {
    const next = this.#queue.shift();
    if (next !== undefined) return next.go();
    this.#running--;
    if (this.#running === 0) this.#ended();
  }
}

function closedError(): AndironError {
  return new AndironError("shutting_down", "the object store is closed");
}
