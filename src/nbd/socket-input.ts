// Reads a socket into slabs that are used again, instead of the fresh buffer that Node allocates for each read event.
//
//     kernel ──► slab [ .... read here | free ]  ──► sink.receive(slab, start, end)
//           └──► a big payload's own buffer      ──► sink.receiveDirect(count)
//
// - The bytes of a slab that somebody holds are never read over: reading goes on behind them, or in another slab.
// - Who sends little at a time has a small slab, whose memory is taken as long as the connection lives: there may be a thousand
//   of them. A read that fills it is followed by a large one, many that need not a small one again.
// - A sink that answers false stops the reading until resume(). What TLS has deciphered already comes nevertheless, at most what
//   one read of the socket gave: it waits in its slab.
// - A client's TLS is not read so: Node deciphers it into buffers of its own, which readDeciphered() passes on, each as a slab
//   that nobody uses again.

import type { OnReadOpts, Socket } from "node:net";
import { Slab, type SlabPool } from "./slab.ts";

/** From this size on the rest of a payload is worth a read of its own. */
const directBytesMin = 16 * 1024;
const smallSlabBytes = 64 * 1024;
/** So many reads in a row that fit half of a small slab make do with one. */
const smallReadsMin = 64;

export interface ByteSink {
  /** Takes the bytes `start` to `end` of `slab`, which is held by the caller during the call. False: stop reading. */
  receive(slab: Slab, start: number, end: number): boolean;
  /** Where the next bytes belong, when that is known. */
  directTarget(): Buffer | undefined;
  /** How many bytes are worth reading at once: more would have to wait. */
  wantedBytes(): number;
  /** Says that `count` bytes were read into directTarget(). False: stop reading. */
  receiveDirect(count: number): boolean;
}

interface Piece {
  readonly slab: Slab;
  readonly start: number;
  readonly end: number;
}

export class SocketInput {
  readonly #sink: ByteSink;
  readonly #pool: SlabPool;
  readonly #largeBytes: number;
  #slabBytes: number;
  /** In a row. */
  #smallReads = 0;
  #slab: Slab | undefined;
  #fillBytes = 0;
  #direct = false;
  #stopped = false;
  /** Came while stopped; each piece is held. */
  #waiting: Piece[] = [];

  constructor(sink: ByteSink, pool: SlabPool, slabBytes: number) {
    this.#sink = sink;
    this.#pool = pool;
    this.#largeBytes = slabBytes;
    this.#slabBytes = Math.min(smallSlabBytes, slabBytes);
  }

  /** The `onread` option of a socket. */
  readonly onread: OnReadOpts = {
    buffer: () => this.#nextBuffer(),
    callback: (count) => this.#received(count),
  };

  /** The sink wants nothing now. */
  get stopped(): boolean {
    return this.#stopped;
  }

  /** Goes on after the sink has stopped it, with what has come meanwhile. True when the socket may be read. */
  resume(): boolean {
    this.#stopped = false;
    while (!this.#stopped && this.#waiting.length > 0) {
      const { slab, start, end } = this.#waiting.shift()!;
      this.#give(slab, start, end);
      slab.release();
    }
    return !this.#stopped;
  }

  /** Gives the slabs back; to be called when the socket has closed. */
  dispose(): void {
    for (const { slab } of this.#waiting) slab.release();
    this.#waiting = [];
    this.#slab?.release();
    this.#slab = undefined;
  }

  #nextBuffer(): Buffer {
    const target = this.#stopped ? undefined : this.#sink.directTarget();
    this.#direct = target !== undefined && target.length >= directBytesMin;
    if (this.#direct) return target!;
    if (this.#slab?.users === 1 && this.#slab.buffer.length === this.#slabBytes) this.#fillBytes = 0;
    else if (this.#slab === undefined || !this.#hasRoom(this.#slab)) {
      this.#slab?.release();
      this.#slab = this.#pool.take(this.#slabBytes);
      this.#fillBytes = 0;
    }
    const { buffer } = this.#slab;
    const end = Math.min(buffer.length, this.#fillBytes + this.#sink.wantedBytes());
    return end - this.#fillBytes === buffer.length ? buffer : buffer.subarray(this.#fillBytes, end);
  }

  #hasRoom({ buffer }: Slab): boolean {
    return buffer.length === this.#slabBytes && buffer.length - this.#fillBytes >= this.#slabBytes / 4;
  }

  /** Chooses the next slab's size. */
  #fit(count: number, isFull: boolean): void {
    this.#smallReads = count <= smallSlabBytes / 2 ? this.#smallReads + 1 : 0;
    if (isFull) this.#slabBytes = this.#largeBytes;
    else if (this.#smallReads >= smallReadsMin) this.#slabBytes = Math.min(smallSlabBytes, this.#largeBytes);
  }

  #received(count: number): boolean {
    if (this.#direct) return this.#giveDirect(count);
    const slab = this.#slab;
    if (slab === undefined) return false;
    const start = this.#fillBytes;
    this.#fillBytes += count;
    this.#fit(count, this.#fillBytes === slab.buffer.length);
    if (!this.#stopped) return this.#give(slab, start, this.#fillBytes);
    this.#waiting.push({ slab: slab.hold(), start, end: this.#fillBytes });
    return false;
  }

  #giveDirect(count: number): boolean {
    this.#stopped = true;
    if (!this.#sink.receiveDirect(count)) return false;
    this.#stopped = false;
    return true;
  }

  /** The sink may call resume() itself: that counts, whatever it answers in the end. */
  #give(slab: Slab, start: number, end: number): boolean {
    this.#stopped = true;
    if (!this.#sink.receive(slab, start, end)) return false;
    this.#stopped = false;
    return true;
  }
}

/** Passes to `sink` what a TLS socket receives, from now on. */
export function readDeciphered(socket: Socket, sink: ByteSink): void {
  socket.on("data", (chunk: Buffer) => {
    const slab = new Slab(chunk).hold();
    if (!sink.receive(slab, 0, chunk.length)) socket.pause();
    slab.release();
  });
}
