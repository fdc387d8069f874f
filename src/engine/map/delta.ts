// The part of a disk's map that is not yet in its tree: an open-addressing hash from cluster to place, in typed columns
// (16 bytes a slot), over a list of zeroed ranges.
//
// - look-up order: hash, then ranges; what neither knows is the tree's business.
// - A large trim removes the hash entries inside it and adds one range, so later writes in the hash win over it.
// - Ranges are sorted, disjoint and not adjacent.
// - O(1) put and find; zeroing costs the smaller of the range's length and the table's size.

import { assert } from "../../common/assert.ts";
import { engineLimits } from "../limits.ts";

/** Handle of an entry that says "zeroes" although the tree may hold data. */
export const zeroHandle = 0xffff_ffff;

const emptySlot = 0;
const deletedSlot = 0xffff_fffe;

export class Delta {
  /** Slot columns; `#handles` 0 = never used, deletedSlot = tombstone. */
  #clusters: Uint32Array;
  #handles: Uint32Array;
  #offsets: Uint32Array;
  #crcs: Uint32Array;
  #mask: number;
  #used = 0; // slots that are not emptySlot, tombstones included
  #count = 0;
  /** All clusters with an entry, ascending, while nothing was added or removed since. */
  #sorted: Uint32Array | undefined;
  /** Start and one past the end of each zeroed range, alternating. */
  readonly #ranges: number[] = [];

  constructor(slots = 64) {
    this.#mask = slots - 1;
    assert((slots & this.#mask) === 0, "slot count is a power of two");
    this.#clusters = new Uint32Array(slots);
    this.#handles = new Uint32Array(slots);
    this.#offsets = new Uint32Array(slots);
    this.#crcs = new Uint32Array(slots);
  }

  get entryCount(): number {
    return this.#count;
  }

  get rangeCount(): number {
    return this.#ranges.length / 2;
  }

  get isEmpty(): boolean {
    return this.#count === 0 && this.#ranges.length === 0;
  }

  /** Slot of the cluster's entry, or -1. Read it with handleAt, offsetAt, crcAt before the next change. */
  find(cluster: number): number {
    let slot = mix(cluster) & this.#mask;
    for (;;) {
      const handle = this.#handles[slot]!;
      if (handle === emptySlot) return -1;
      if (handle !== deletedSlot && this.#clusters[slot] === cluster) return slot;
      slot = (slot + 1) & this.#mask;
    }
  }

  handleAt(slot: number): number {
    return this.#handles[slot]!;
  }

  offsetAt(slot: number): number {
    return this.#offsets[slot]!;
  }

  crcAt(slot: number): number {
    return this.#crcs[slot]!;
  }

  /** Returns the handle that the cluster's entry had here before, 0 for none. */
  put(cluster: number, handle: number, offset: number, crc: number): number {
    if ((this.#used + 1) * 3 > (this.#mask + 1) * 2) this.#rehash();
    let slot = mix(cluster) & this.#mask;
    let free = -1;
    for (;;) {
      const present = this.#handles[slot]!;
      if (present === emptySlot) break;
      if (present === deletedSlot) free = free < 0 ? slot : free;
      else if (this.#clusters[slot] === cluster) {
        this.#set(slot, cluster, handle, offset, crc);
        return present;
      }
      slot = (slot + 1) & this.#mask;
    }
    this.#sorted = undefined;
    if (free >= 0) slot = free;
    else this.#used++;
    this.#count++;
    this.#set(slot, cluster, handle, offset, crc);
    return 0;
  }

  /** The clusters [first, first + count) read as zeroes from now on. */
  zero(first: number, count: number): void {
    if (count <= engineLimits.zeroEntriesInlineMax) {
      for (let i = 0; i < count; i++) this.put(first + i, zeroHandle, 0, 0);
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
    const clusters = new Uint32Array(this.#count);
    let at = 0;
    for (let slot = 0; slot <= this.#mask; slot++) {
      const handle = this.#handles[slot]!;
      if (handle !== emptySlot && handle !== deletedSlot) clusters[at++] = this.#clusters[slot]!;
    }
    return clusters;
  }

  #set(slot: number, cluster: number, handle: number, offset: number, crc: number): void {
    this.#clusters[slot] = cluster;
    this.#handles[slot] = handle;
    this.#offsets[slot] = offset;
    this.#crcs[slot] = crc;
  }

  #rehash(): void {
    const old = { clusters: this.#clusters, handles: this.#handles, offsets: this.#offsets, crcs: this.#crcs };
    let slots = this.#mask + 1;
    while (this.#count * 2 >= slots) slots *= 2;
    this.#mask = slots - 1;
    this.#clusters = new Uint32Array(slots);
    this.#handles = new Uint32Array(slots);
    this.#offsets = new Uint32Array(slots);
    this.#crcs = new Uint32Array(slots);
    for (let i = 0; i < old.handles.length; i++) {
      const handle = old.handles[i]!;
      if (handle === emptySlot || handle === deletedSlot) continue;
      let slot = mix(old.clusters[i]!) & this.#mask;
      while (this.#handles[slot] !== emptySlot) slot = (slot + 1) & this.#mask;
      this.#set(slot, old.clusters[i]!, handle, old.offsets[i]!, old.crcs[i]!);
    }
    this.#used = this.#count;
  }

  #removeEntries(start: number, end: number): void {
    if (end - start <= this.#mask) {
      for (let cluster = start; cluster < end; cluster++) {
        const slot = this.find(cluster);
        if (slot >= 0) this.#removeAt(slot);
      }
      return;
    }
    for (let slot = 0; slot <= this.#mask; slot++) {
      const handle = this.#handles[slot]!;
      const cluster = this.#clusters[slot]!;
      if (handle !== emptySlot && handle !== deletedSlot && cluster >= start && cluster < end) this.#removeAt(slot);
    }
  }

  #removeAt(slot: number): void {
    this.#handles[slot] = deletedSlot;
    this.#sorted = undefined;
    this.#count--;
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

// Neighbouring clusters must not pile up in neighbouring slots only: multiply, then fold the high bits down.
function mix(cluster: number): number {
  const product = Math.imul(cluster, 0x9e3779b1);
  return (product ^ (product >>> 15)) >>> 0;
}
