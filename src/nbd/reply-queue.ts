// Replies on their way to the socket. What was answered in one turn of the event loop leaves with one write (in a tick after what
// was answered at once, at the turn's end what threads have read):
// small replies lie one behind the other in a slab, big data is put between them by reference (one writev).
//
//      slab: [ sent, kernel has not taken it yet | run: answered, not sent | detached: a read in progress | free ]
//                                                ▲ runStart                 ▲ fill
//
// - A read is made into the place it will be sent from: begin(), then commit() when it was done at once, or detach()
//   and later push() when the device needs time; other replies overtake it.
// - A read is made only while less than a bound waits to be sent (hasRoom): more would have left the processor's cache before it
//   is sent, and one client's big reads would keep the thread from all others.
// - Requests and bytes are counted in with the reply and counted out (onSent) when the kernel has taken it, so a client
//   that does not read keeps its own requests in flight and nothing else grows.

import { assert } from "../common/assert.ts";
import { Slab, type SlabPool } from "./slab.ts";

/** What of a socket is used here. */
export interface ReplySocket {
  readonly writable: boolean;
  cork(): void;
  uncork(): void;
  write(bytes: Buffer, written?: () => void): boolean;
}

/** Replies up to this are copied rather than sent from where they lie, if they come late. */
const copiedBytesMax = 8 * 1024;

interface Batch {
  readonly slabs: readonly Slab[];
  requests: number;
  bytes: number;
  readonly sentBytes: number;
}

export interface ReplyQueueOptions {
  readonly pool: SlabPool;
  readonly slabBytes: number;
  /** There is room while less than this waits to be sent. */
  readonly unsentBytesMax: number;
  readonly onSent: (requests: number, bytes: number) => void;
}

export class ReplyQueue {
  readonly #socket: ReplySocket;
  readonly #pool: SlabPool;
  readonly #slabBytes: number;
  readonly #unsentBytesMax: number;
  readonly #onSent: (requests: number, bytes: number) => void;
  /** None while nothing is under way: many connections that are idle share what few take. */
  #slab: Slab | undefined;
  #runStart = 0;
  #fill = 0;
  #parts: Buffer[] = [];
  #partSlabs: Slab[] = [];
  #requests = 0;
  #bytes = 0;
  #sending: Batch[] = [];
  /** Committed or pushed, and not taken by the kernel. */
  #unsentBytes = 0;
  #waiting: (() => void)[] = [];
  #flushScheduled = false;
  #lateFlushScheduled = false;
  #disposed = false;

  constructor(socket: ReplySocket, options: ReplyQueueOptions) {
    this.#socket = socket;
    this.#pool = options.pool;
    this.#slabBytes = options.slabBytes;
    this.#unsentBytesMax = options.unsentBytesMax;
    this.#onSent = options.onSent;
  }

  /** The buffer that begin() speaks of. */
  get buffer(): Buffer {
    return this.#begun.buffer;
  }

  get disposed(): boolean {
    return this.#disposed;
  }

  /** What is read now will not wait long to be sent. */
  get hasRoom(): boolean {
    return this.#disposed || (this.#unsentBytes < this.#unsentBytesMax && this.#waiting.length === 0);
  }

  /** Calls `run` when there is room, or when the queue is disposed. Those that came first go first. */
  whenRoom(run: () => void): void {
    this.#waiting.push(run);
  }

  /** Makes room for `count` bytes in one piece, at most a slab; gives where they begin in `buffer`. */
  begin(count: number): number {
    assert(count <= this.#slabBytes, "a reply does not fit a slab");
    if (this.#disposed) return this.#beginUnsent(count);
    if (this.#slab?.users === 1 && this.#runStart === this.#fill) {
      this.#runStart = 0;
      this.#fill = 0;
    }
    if (this.#slab === undefined || this.#fill + count > this.#slabBytes) {
      this.#sealRun();
      this.#slab?.release();
      this.#slab = this.#pool.take(this.#slabBytes);
      this.#runStart = 0;
      this.#fill = 0;
    }
    return this.#fill;
  }

  /** The `count` bytes at begin() are the next to be sent. */
  commit(count: number): void {
    this.#fill += count;
    this.#unsentBytes += count;
    this.#scheduleFlush();
  }

  /** The `count` bytes at begin() will be pushed later, or released: the caller holds their slab. */
  detach(count: number): Slab {
    this.#sealRun();
    this.#fill += count;
    this.#runStart = this.#fill;
    return this.#begun.hold();
  }

  /** The bytes `start` to `end` of `slab` are the next to be sent; the caller's hold passes to the queue. */
  push(slab: Slab, start: number, end: number): void {
    if (this.#disposed) return slab.release();
    this.#addPart(slab, start, end);
    this.#scheduleFlush();
  }

  /**
   * As push(), for what a thread has read: sent together with what others have read by now. A small one is copied behind them:
   * to send one piece more costs more.
   */
  pushLate(slab: Slab, start: number, end: number): void {
    if (this.#disposed) return slab.release();
    const count = end - start;
    if (count > copiedBytesMax) this.#addPart(slab, start, end);
    else {
      const at = this.begin(count);
      slab.buffer.copy(this.buffer, at, start, end);
      this.#fill += count;
      this.#unsentBytes += count;
      slab.release();
    }
    this.#scheduleLateFlush();
  }

  /** A small message that lies somewhere else; it is copied. */
  append(message: Buffer): void {
    const at = this.begin(message.length);
    message.copy(this.buffer, at);
    this.commit(message.length);
  }

  /** A request that cost `bytes` was answered in full by what has been queued so far. */
  answered(bytes: number): void {
    this.#requests += 1;
    this.#bytes += bytes;
    if (!this.#lateFlushScheduled) this.#scheduleFlush();
  }

  /** Gives every slab back; to be called when the socket has closed, so that the kernel looks at none of them. */
  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#slab?.release();
    for (const slab of this.#partSlabs) slab.release();
    for (const batch of this.#sending) for (const slab of batch.slabs) slab.release();
    this.#parts = [];
    this.#partSlabs = [];
    this.#sending = [];
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const run of waiting) run();
  }

  /** The slab of the last begin(), until all has been sent. */
  get #begun(): Slab {
    assert(this.#slab !== undefined, "nothing was begun");
    return this.#slab;
  }

  /** A late answer: the slabs belong to others now, so it is written to a place of its own and forgotten. */
  #beginUnsent(count: number): number {
    this.#slab = new Slab(Buffer.alloc(count)).hold();
    this.#runStart = 0;
    this.#fill = 0;
    return 0;
  }

  #addPart(slab: Slab, start: number, end: number): void {
    this.#sealRun();
    this.#parts.push(slab.buffer.subarray(start, end));
    this.#partSlabs.push(slab);
    this.#unsentBytes += end - start;
  }

  #sealRun(): void {
    if (this.#runStart === this.#fill) return;
    this.#parts.push(this.buffer.subarray(this.#runStart, this.#fill));
    this.#partSlabs.push(this.#begun.hold());
    this.#runStart = this.#fill;
  }

  /** After all that this turn answers: ticks run when the promises that are settled now have been seen to. */
  #scheduleFlush(): void {
    if (this.#flushScheduled || this.#disposed) return;
    this.#flushScheduled = true;
    process.nextTick(this.#flush);
  }

  /** What each thread has read comes with ticks of its own: all of it has been seen to only at the end of the loop's turn. */
  #scheduleLateFlush(): void {
    if (this.#flushScheduled || this.#lateFlushScheduled || this.#disposed) return;
    this.#lateFlushScheduled = true;
    setImmediate(this.#flush);
  }

  readonly #flush = (): void => {
    this.#flushScheduled = false;
    this.#lateFlushScheduled = false;
    if (this.#disposed) return;
    this.#sealRun();
    const parts = this.#parts;
    if (!this.#socket.writable) return;
    if (parts.length === 0) return this.#countOut();
    let sentBytes = 0;
    for (const part of parts) sentBytes += part.length;
    this.#sending.push({ slabs: this.#partSlabs, requests: this.#requests, bytes: this.#bytes, sentBytes });
    this.#parts = [];
    this.#partSlabs = [];
    this.#requests = 0;
    this.#bytes = 0;
    const last = parts.length - 1;
    if (last > 0) {
      this.#socket.cork();
      for (let index = 0; index < last; index++) this.#socket.write(parts[index]!);
    }
    this.#socket.write(parts[last]!, this.#written);
    if (last > 0) this.#socket.uncork();
  };

  /** What was answered by replies that have left already. */
  #countOut(): void {
    const { requests, bytes } = { requests: this.#requests, bytes: this.#bytes };
    if (requests === 0) return;
    this.#requests = 0;
    this.#bytes = 0;
    const batch = this.#sending.at(-1);
    if (batch === undefined) return this.#onSent(requests, bytes);
    batch.requests += requests;
    batch.bytes += bytes;
  }

  readonly #written = (): void => {
    if (this.#disposed) return;
    const batch = this.#sending.shift();
    assert(batch !== undefined, "a write ended that was never begun");
    for (const slab of batch.slabs) slab.release();
    this.#unsentBytes -= batch.sentBytes;
    if (this.#sending.length === 0 && this.#slab?.users === 1 && this.#runStart === this.#fill) {
      this.#slab.release();
      this.#slab = undefined;
    }
    this.#onSent(batch.requests, batch.bytes);
    while (this.#socket.writable && this.#unsentBytes < this.#unsentBytesMax && this.#waiting.length > 0)
      this.#waiting.shift()!();
  };
}
