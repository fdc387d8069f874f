// The reader's side of a watch: an async iterator over the batches that arrived, for one consumer.
// It tells how much was taken, so that the server sends more; the server keeps to the bound on what lies here.

import type { AndironError } from "../../common/errors.ts";
import type { Watch, WatchBatch } from "../registry.ts";

export interface StreamListener {
  onTaken(batches: number, sizeBytes: number): void;
  onClosed(): void;
}

interface Arrived {
  readonly batch: WatchBatch;
  readonly sizeBytes: number;
}

interface Waiter {
  readonly resolve: (result: IteratorResult<WatchBatch, undefined>) => void;
  readonly reject: (error: AndironError) => void;
}

const takenBatches = 100; // report to the server at least this often

export class WatchStream implements Watch, AsyncIterator<WatchBatch, undefined> {
  readonly #listener: StreamListener;
  #arrived: Arrived[] = [];
  #first = 0; // index in #arrived of the next to give out
  #waiters: Waiter[] = [];
  #failure: AndironError | undefined;
  #ended = false;
  #taken = 0;
  #takenBytes = 0;

  constructor(listener: StreamListener) {
    this.#listener = listener;
  }

  [Symbol.asyncIterator](): AsyncIterator<WatchBatch, undefined> {
    return this;
  }

  next(): Promise<IteratorResult<WatchBatch, undefined>> {
    const arrived = this.#arrived[this.#first];
    if (arrived !== undefined) {
      this.#take(arrived);
      return Promise.resolve({ done: false, value: arrived.batch });
    }
    const failure = this.#failure;
    if (failure !== undefined) {
      this.#failure = undefined;
      return Promise.reject(failure);
    }
    if (this.#ended) return Promise.resolve({ done: true, value: undefined });
    return new Promise((resolve, reject) => this.#waiters.push({ resolve, reject }));
  }

  return(): Promise<IteratorResult<WatchBatch, undefined>> {
    this.close();
    return Promise.resolve({ done: true, value: undefined });
  }

  close(): void {
    if (this.#ended) return;
    this.#arrived = [];
    this.#first = 0;
    this.#end(undefined);
    this.#listener.onClosed();
  }

  /** Called by the handle for each batch, in order. */
  push(batch: WatchBatch, sizeBytes: number): void {
    if (this.#ended) return;
    this.#arrived.push({ batch, sizeBytes });
    const waiter = this.#waiters.shift();
    if (waiter === undefined) return;
    void this.next().then(waiter.resolve);
  }

  /** Called by the handle: what has arrived is still given out, then the error. */
  fail(error: AndironError): void {
    if (!this.#ended) this.#end(error);
  }

  #end(error: AndironError | undefined): void {
    this.#ended = true;
    const [first, ...others] = this.#waiters;
    this.#waiters = [];
    if (error !== undefined && first !== undefined) first.reject(error);
    else {
      this.#failure = error;
      first?.resolve({ done: true, value: undefined });
    }
    for (const waiter of others) waiter.resolve({ done: true, value: undefined });
  }

  #take(arrived: Arrived): void {
    this.#first++;
    this.#taken++;
    this.#takenBytes += arrived.sizeBytes;
    const empty = this.#first === this.#arrived.length;
    if (!empty && this.#first < takenBatches) return;
    this.#arrived = this.#arrived.slice(this.#first);
    this.#first = 0;
    if (!this.#ended) this.#listener.onTaken(this.#taken, this.#takenBytes);
    this.#taken = 0;
    this.#takenBytes = 0;
  }
}
