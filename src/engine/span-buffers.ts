// Buffers for what is read and looked at once: taken, filled, given back. A fresh one for each read of a MiB costs as much in the
// garbage collector as the read itself.
//
// - By powers of two; what is given back beyond a total is left to the collector.
// - Who gives a buffer back is sure that nobody writes to it any more.

import { clusterBytes } from "./limits.ts";

export class SpanBuffers {
  readonly #keptBytesMax: number;
  readonly #free = new Map<number, Buffer[]>();
  #keptBytes = 0;

  constructor(keptBytesMax: number) {
    this.#keptBytesMax = keptBytesMax;
  }

  get keptBytes(): number {
    return this.#keptBytes;
  }

  /** At least so many bytes, of any content. */
  take(lengthBytes: number): Buffer {
    const classBytes = Math.max(clusterBytes, 2 ** Math.ceil(Math.log2(lengthBytes)));
    const kept = this.#free.get(classBytes)?.pop();
    if (kept === undefined) return Buffer.allocUnsafeSlow(classBytes);
    this.#keptBytes -= classBytes;
    return kept;
  }

  give(buffer: Buffer): void {
    if (this.#keptBytes + buffer.length > this.#keptBytesMax) return;
    this.#keptBytes += buffer.length;
    const free = this.#free.get(buffer.length);
    if (free === undefined) this.#free.set(buffer.length, [buffer]);
    else free.push(buffer);
  }
}
