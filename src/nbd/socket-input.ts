// Reads a socket into slabs that are used again, instead of the fresh buffer that Node allocates for each read event.
//
//     kernel ──► slab [ .... read here | free ]  ──► sink.receive(slab, start, end)
//           └──► a big payload's own buffer      ──► sink.receiveDirect(count)
//
// - The bytes of a slab that somebody holds are never read over: reading goes on behind them, or in another slab.
// - Who sends little at a time has a small slab, whose memory is taken as long as the connection lives: there may be a thousand
//   of them. A read that fills it is followed by a large one, many that need not a small one again.
// - A sink that answers false stops the reading until the socket is resumed.
// - TLS that is started in the middle of a connection can't be read so: Node deciphers it into buffers of its own, which
//   readDeciphered() passes on, each as a slab that nobody uses again.

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

  /** Gives the slab back; to be called when the socket has closed. */
  dispose(): void {
    this.#slab?.release();
    this.#slab = undefined;
  }

  #nextBuffer(): Buffer {
    const target = this.#sink.directTarget();
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
    if (this.#direct) return this.#sink.receiveDirect(count);
    const slab = this.#slab;
    if (slab === undefined) return false;
    const start = this.#fillBytes;
    this.#fillBytes += count;
    this.#fit(count, this.#fillBytes === slab.buffer.length);
    return this.#sink.receive(slab, start, this.#fillBytes);
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
