// The part of a disk's map that is not yet in its tree: a hash from cluster to place (delta-table.ts), over a list of zeroed
// ranges.
//
// - look-up order: hash, then ranges; what neither knows is the tree's business.
// - A large trim removes the hash entries inside it and adds one range, so later writes in the hash win over it.
// - Ranges are sorted, disjoint and not adjacent.
// - O(1) put and find; zeroing costs the smaller of the range's length and the table's size.

import { engineLimits } from "../limits.ts";
import { sortClusters } from "./cluster-sort.ts";
import { DeltaTable } from "./delta-table.ts";

/** Handle of an entry that says "zeroes" although the tree may hold data. */
export const zeroHandle = 0xffff_ffff;

export class Delta {
  readonly #table = new DeltaTable();
  /** All clusters with an entry, ascending, while nothing was added or removed since. */
  #sorted: Uint32Array | undefined;
  /** Start and one past the end of each zeroed range, alternating. */
  readonly #ranges: number[] = [];

  get entryCount(): number {
    return this.#table.count;
  }

  get rangeCount(): number {
    return this.#ranges.length / 2;
  }

  get isEmpty(): boolean {
    return this.#table.count === 0 && this.#ranges.length === 0;
  }

  /** So many entries are about to come. */
  reserve(count: number): void {
    this.#table.reserve(count);
  }

  /** Slot of the cluster's entry, or -1. Read it with handleAt, offsetAt, crcAt before the next change. */
  find(cluster: number): number {
    return this.#table.find(cluster);
  }

  handleAt(slot: number): number {
    return this.#table.handleAt(slot);
  }

  offsetAt(slot: number): number {
    return this.#table.offsetAt(slot);
  }

  crcAt(slot: number): number {
    return this.#table.crcAt(slot);
  }

  /** Returns the handle that the cluster's entry had here before, 0 for none. */
  put(cluster: number, handle: number, offset: number, crc: number): number {
    const replaced = this.#table.put(cluster, handle, offset, crc);
    if (replaced === 0) this.#sorted = undefined;
    return replaced;
  }

  /**
   * The clusters [first, first + count) read as zeroes from now on. `replaced` is told what put() would return, but not of what
   * disappears in a range.
   */
  zero(first: number, count: number, replaced?: (handle: number) => void): void {
    if (count <= engineLimits.zeroEntriesInlineMax) {
      for (let i = 0; i < count; i++) {
        const handle = this.put(first + i, zeroHandle, 0, 0);
        if (handle !== 0) replaced?.(handle);
      }
      return;
    }
    this.#removeEntries(first, first + count);
    this.#addRange(first, first + count);
  }

  /** True when a zeroed range (not the hash) covers the cluster. */
  isInRange(cluster: number): boolean {
    return (this.#rangesUpTo(cluster) & 1) === 1;
  }

  /** First cluster after `cluster` where being in a range or not changes; Infinity when it never does. */
  rangeChangeAfter(cluster: number): number {
    return this.#ranges[this.#rangesUpTo(cluster)] ?? Number.POSITIVE_INFINITY;
  }

  /** Smallest cluster at or after `cluster` that has an entry, or Infinity. The first call after a change sorts them all. */
  nextEntry(cluster: number): number {
    this.#sorted ??= this.sortedClusters();
    let low = 0;
    let high = this.#sorted.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#sorted[middle]! < cluster) low = middle + 1;
      else high = middle;
    }
    return this.#sorted[low] ?? Infinity;
  }

  /** Sorts for nextEntry() with turns of the event loop between; nothing may be put meanwhile. */
  async sort(): Promise<void> {
    this.#sorted ??= await sortClusters(this.clusters());
  }

  /** Zeroed ranges as [start, end) pairs, ascending. */
  ranges(): readonly number[] {
    return this.#ranges;
  }

  /** All clusters with an entry, ascending. Costs a sort. */
  sortedClusters(): Uint32Array {
    return this.clusters().sort();
  }

  /** All clusters with an entry, in no order. */
  clusters(): Uint32Array {
    const clusters = new Uint32Array(this.#table.count);
    let at = 0;
    this.#table.each((cluster) => {
      clusters[at++] = cluster;
    });
    return clusters;
  }

  #removeEntries(start: number, end: number): void {
    const before = this.#table.count;
    if (end - start <= this.#table.slotCount) {
      for (let cluster = start; cluster < end; cluster++) {
        const slot = this.#table.find(cluster);
        if (slot >= 0) this.#table.removeAt(slot);
      }
    } else {
      this.#table.each((cluster, slot) => {
        if (cluster >= start && cluster < end) this.#table.removeAt(slot);
      });
    }
    if (this.#table.count !== before) this.#sorted = undefined;
  }

  /** How many range borders are at or below the cluster: odd means inside a range. */
  #rangesUpTo(cluster: number): number {
    let low = 0;
    let high = this.#ranges.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#ranges[middle]! <= cluster) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #addRange(start: number, end: number): void {
    // The borders inside (or touching) the new range go; the new borders stay only where they are real changes.
    const from = this.#rangesUpTo(start - 1);
    const to = this.#rangesUpTo(end);
    const replacement: number[] = [];
    if ((from & 1) === 0) replacement.push(start);
    if ((to & 1) === 0) replacement.push(end);
    this.#ranges.splice(from, to - from, ...replacement);
  }
}
