// Which areas of a disk were written since somebody began to look: a bitmap of 64 KiB areas, whose parts are there only where
// something was written. At most 32 MiB for the largest disk. It may say more than was written, never less.

import type { ByteRange, ChangedRanges } from "./device.ts";
import { clusterBytes } from "./limits.ts";

const areaClusters = 16;
export const areaBytes = areaClusters * clusterBytes;
/** Areas in a part of the bitmap: 4 KiB of memory, 2 GiB of disk. */
const partAreas = 32_768;

interface Part {
  readonly bits: Uint8Array;
  count: number;
}

export class ChangedAreas implements ChangedRanges {
  readonly #parts = new Map<number, Part>();

  /** Bytes of the areas that are noted. */
  get bytes(): number {
    let areas = 0;
    for (const { count } of this.#parts.values()) areas += count;
    return areas * areaBytes;
  }

  note(firstCluster: number, clusterCount: number): void {
    const end = Math.ceil((firstCluster + clusterCount) / areaClusters);
    for (let area = Math.floor(firstCluster / areaClusters); area < end;) {
      const number = Math.floor(area / partAreas);
      const partEnd = Math.min(end, (number + 1) * partAreas);
      noteIn(this.#part(number), area - number * partAreas, partEnd - number * partAreas);
      area = partEnd;
    }
  }

  /** Notes what another one has. */
  add(other: ChangedRanges): void {
    for (const { offset, lengthBytes } of other.ranges()) this.note(offset / clusterBytes, lengthBytes / clusterBytes);
  }

  /** True when a byte of the range may have been written. */
  overlaps(offset: number, lengthBytes: number): boolean {
    const end = Math.ceil((offset + lengthBytes) / areaBytes);
    for (let area = Math.floor(offset / areaBytes); area < end; area++) {
      const part = this.#parts.get(Math.floor(area / partAreas));
      if (part !== undefined && isNoted(part, area % partAreas)) return true;
    }
    return false;
  }

  /** What is noted, in order, neighbours joined. The last range may go beyond the end of the disk. */
  *ranges(): Generator<ByteRange> {
    let [from, end] = [0, 0];
    for (const [number, part] of [...this.#parts].sort(([a], [b]) => a - b)) {
      for (const [first, last] of runsOf(part)) {
        const area = number * partAreas + first;
        if (area !== end && end > from) yield rangeOf(from, end);
        if (area !== end) from = area;
        end = number * partAreas + last;
      }
    }
    if (end > from) yield rangeOf(from, end);
  }

  #part(number: number): Part {
    const part = this.#parts.get(number) ?? { bits: new Uint8Array(partAreas / 8), count: 0 };
    this.#parts.set(number, part);
    return part;
  }
}

function noteIn(part: Part, first: number, end: number): void {
  if (end - first === partAreas) {
    part.bits.fill(0xff);
    part.count = partAreas;
    return;
  }
  for (let bit = first; bit < end; bit++) {
    if (isNoted(part, bit)) continue;
    part.bits[bit >> 3]! |= 1 << (bit & 7);
    part.count++;
  }
}

function isNoted({ bits }: Part, bit: number): boolean {
  return (bits[bit >> 3]! & (1 << (bit & 7))) !== 0;
}

function* runsOf(part: Part): Generator<readonly [first: number, end: number]> {
  if (part.count === partAreas) {
    yield [0, partAreas];
    return;
  }
  for (let bit = 0; bit < partAreas;) {
    if (!isNoted(part, bit)) {
      bit = part.bits[bit >> 3] === 0 ? (bit | 7) + 1 : bit + 1;
      continue;
    }
    const first = bit;
    while (bit < partAreas && isNoted(part, bit)) bit++;
    yield [first, bit];
  }
}

function rangeOf(from: number, end: number): ByteRange {
  return { offset: from * areaBytes, lengthBytes: (end - from) * areaBytes };
}
