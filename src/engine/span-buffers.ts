// Buffers for what is read and looked at once: taken, filled, given back. A fresh one for each read of a MiB costs as much in the
// garbage collector as the read itself.
//
// - By powers of two; what is given back beyond a total is left to the collector.
// - Who gives a buffer back is sure that nobody reads it or writes to it any more.

import { clusterBytes } from "./limits.ts";

export class SpanBuffers {
  readonly #keptBytesMax: number;
  /** By the power of two. */
  readonly #free: Buffer[][] = Array.from({ length: 32 }, () => []);
  #keptBytes = 0;

  constructor(keptBytesMax: number) {
    this.#keptBytesMax = keptBytesMax;
  }

  get keptBytes(): number {
    return this.#keptBytes;
  }

  /** At least so many bytes, of any content. */
  take(lengthBytes: number): Buffer {
    const power = powerOf(Math.max(clusterBytes, lengthBytes));
    const kept = this.#free[power]!.pop();
    if (kept === undefined) return Buffer.allocUnsafeSlow(2 ** power);
    this.#keptBytes -= kept.length;
    return kept;
  }

  give(buffer: Buffer): void {
    if (this.#keptBytes + buffer.length > this.#keptBytesMax) return;
    this.#keptBytes += buffer.length;
    this.#free[powerOf(buffer.length)]!.push(buffer);
  }
}

/** Of the least power of two that is as much. */
const powerOf = (bytes: number): number => 32 - Math.clz32(bytes - 1);
