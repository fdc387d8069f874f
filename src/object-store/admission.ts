// In front of every store: checks what is asked for, lets a bounded number of requests run and a bounded number wait, first
// come first served, and refuses all after close(). So the memory of requests is bounded by their number times the largest
// object. It knows no time and no kind of store.

import { AndironError } from "../common/errors.ts";
import { Slots } from "../common/slots.ts";
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

/** `inner` behind its checks and limits; nothing of it is called with arguments that are not sound. */
export function withAdmission(inner: ObjectStore, options: AdmissionOptions = {}): ObjectStore {
  return new AdmittedStore(inner, options);
}

class AdmittedStore implements ObjectStore {
  readonly #inner: ObjectStore;
  readonly #slots: Slots;
  #closing: Promise<void> | undefined;

  constructor(inner: ObjectStore, { requestsMax, queuedMax }: AdmissionOptions) {
    this.#inner = inner;
    this.#slots = new Slots({
      concurrentMax: requestsMax ?? objectLimits.requestsMax,
      queuedMax: queuedMax ?? objectLimits.queuedMax,
      full: (queued) => new AndironError("overloaded", `${queued} requests already wait for the object store`),
      closed: () => new AndironError("shutting_down", "the object store is closed"),
    });
  }

  get atomicCreate(): boolean {
    return this.#inner.atomicCreate;
  }

  async put(name: string, bytes: Buffer, options?: PutOptions): Promise<string> {
    checkName(name);
    checkObjectBytes(bytes);
    return this.#slots.run(() => this.#inner.put(name, bytes, options));
  }

  async get(name: string, range?: ByteRange): Promise<Buffer> {
    checkName(name);
    if (range !== undefined) checkRange(range);
    return this.#slots.run(() => this.#inner.get(name, range));
  }

  async head(name: string): Promise<ObjectFacts | undefined> {
    checkName(name);
    return this.#slots.run(() => this.#inner.head(name));
  }

  async delete(name: string): Promise<void> {
    checkName(name);
    return this.#slots.run(() => this.#inner.delete(name));
  }

  async list(prefix: string, options: ListOptions = {}): Promise<ListPage> {
    const checked = checkList(prefix, options);
    return this.#slots.run(() => this.#inner.list(prefix, checked));
  }

  close(): Promise<void> {
    this.#closing ??= this.#slots.close().then(() => this.#inner.close());
    return this.#closing;
  }
}
