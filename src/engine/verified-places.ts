// Which clusters of which segments verify has found right, in two bytes each: what snapshots and clones share is looked at once.
//
//     by segment: at offset / 4096 a fingerprint of offset and checksum; 0: nothing is known
//
// - No two clusters of a segment begin in the same 4096 bytes. What a wrong map has there is another fingerprint, but for one of
//   65,535.
// - Bounded: the marks that were made first are forgotten first. What is forgotten is only looked at again.

import { clusterBytes } from "./limits.ts";

const bytesOfMark = 2;

export class VerifiedPlaces {
  readonly #bytesMax: number;
  /** By handle. */
  readonly #marks = new Map<number, Uint16Array>();
  #bytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  has(handle: number, offset: number, crc: number): boolean {
    return this.#marks.get(handle)?.[Math.floor(offset / clusterBytes)] === markOf(offset, crc);
  }

  add(handle: number, offset: number, crc: number): void {
    const at = Math.floor(offset / clusterBytes);
    let marks = this.#marks.get(handle);
    if (marks === undefined || marks.length <= at) marks = this.#grow(handle, at + 1);
    marks[at] = markOf(offset, crc);
  }

  #grow(handle: number, lengthMin: number): Uint16Array {
    const before = this.#marks.get(handle);
    const grown = new Uint16Array(Math.max(lengthMin, 2 * (before?.length ?? 0)));
    if (before !== undefined) grown.set(before);
    this.#marks.set(handle, grown);
    this.#bytes += bytesOfMark * (grown.length - (before?.length ?? 0));
    for (const [oldest, marks] of this.#marks) {
      if (this.#bytes <= this.#bytesMax || oldest === handle) break;
      this.#marks.delete(oldest);
      this.#bytes -= bytesOfMark * marks.length;
    }
    return grown;
  }
}

/** From 1 to 65,535. */
const markOf = (offset: number, crc: number): number => 1 + (((Math.imul(offset, 0x9e3779b1) ^ crc) >>> 0) % 65_535);
