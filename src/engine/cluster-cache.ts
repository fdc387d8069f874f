// Clusters in RAM, by where they lie in a segment: what clones share is cached once, and nothing is ever stale, since a
// place in a segment never changes its bytes.
//
// - One slab of 4 KiB slots, an open-addressing index in typed columns, second-chance eviction (CLOCK).
// - Fixed memory: the configured bytes and about 16 bytes a slot of index.
// - A new cluster starts unreferenced: a scan passes through without driving out what is used again.

import { assert } from "../common/assert.ts";
import { clusterBytes } from "./limits.ts";

const none = 0xffff_ffff;

export class ClusterCache {
  readonly #slab: Buffer;
  readonly #slotCount: number;
  readonly #handles: Uint32Array;
  readonly #offsets: Uint32Array;
  readonly #referenced: Uint8Array;
  /** Hash table: slot number or `none`. Backward-shift deletion keeps probe runs whole, without tombstones. */
  readonly #table: Uint32Array;
  readonly #mask: number;
  #hand = 0;
  #filled = 0;
  hits = 0;
  misses = 0;

  constructor(bytesMax: number) {
    this.#slotCount = Math.floor(bytesMax / clusterBytes);
    assert(this.#slotCount >= 16, "a cluster cache has at least 16 slots");
    this.#slab = Buffer.allocUnsafeSlow(this.#slotCount * clusterBytes);
    this.#handles = new Uint32Array(this.#slotCount);
    this.#offsets = new Uint32Array(this.#slotCount);
    this.#referenced = new Uint8Array(this.#slotCount);
    let size = 32;
    while (size < this.#slotCount * 2) size *= 2;
    this.#mask = size - 1;
    this.#table = new Uint32Array(size).fill(none);
  }

  get clusterCount(): number {
    return this.#filled;
  }

  /** Copies [from, from + length) of the cluster into target at targetOffset; false when it is not here. */
  copyInto(handle: number, offset: number, from: number, length: number, target: Buffer, targetOffset: number): boolean {
    const at = this.#find(handle, offset);
    if (at < 0) {
      this.misses++;
      return false;
    }
    const slot = this.#table[at]!;
    this.#referenced[slot] = 1;
    this.hits++;
    const start = slot * clusterBytes + from;
    this.#slab.copy(target, targetOffset, start, start + length);
    return true;
  }

  /**
   * Copies the whole clusters at places [from, to) to target at targetOffset, as many as lie one behind the other here too: what
   * was written or read together does. Returns how many; 0 when the first is not here.
   */
  copyRun(handles: Uint32Array, offsets: Uint32Array, from: number, to: number, target: Buffer, targetOffset: number): number {
    const at = this.#find(handles[from]!, offsets[from]!);
    if (at < 0) {
      this.misses++;
      return 0;
    }
    const slot = this.#table[at]!;
    const countMax = Math.min(to - from, this.#slotCount - slot);
    let count = 1;
    for (; count < countMax; count++) {
      const handle = handles[from + count]!;
      if (handle === 0 || this.#handles[slot + count] !== handle || this.#offsets[slot + count] !== offsets[from + count]) break;
    }
    this.#referenced.fill(1, slot, slot + count);
    this.hits += count;
    this.#slab.copy(target, targetOffset, slot * clusterBytes, (slot + count) * clusterBytes);
    return count;
  }

  has(handle: number, offset: number): boolean {
    return this.#find(handle, offset) >= 0;
  }

  /** Remembers the cluster at `sourceOffset` of `source`. */
  add(handle: number, offset: number, source: Buffer, sourceOffset: number): void {
    if (this.#find(handle, offset) >= 0) return;
    const slot = this.#takeSlot();
    this.#handles[slot] = handle;
    this.#offsets[slot] = offset;
    this.#referenced[slot] = 0;
    source.copy(this.#slab, slot * clusterBytes, sourceOffset, sourceOffset + clusterBytes);
    let at = this.#home(handle, offset);
    while (this.#table[at] !== none) at = (at + 1) & this.#mask;
    this.#table[at] = slot;
  }

  /** Forgets one cluster (its bytes were found to be wrong). */
  drop(handle: number, offset: number): void {
    const at = this.#find(handle, offset);
    if (at < 0) return;
    const slot = this.#table[at]!;
    this.#removeAt(at);
    this.#handles[slot] = 0;
  }

  #takeSlot(): number {
    if (this.#filled < this.#slotCount) return this.#filled++;
    for (;;) {
      const slot = this.#hand;
      this.#hand = slot + 1 === this.#slotCount ? 0 : slot + 1;
      if (this.#referenced[slot] === 1) {
        this.#referenced[slot] = 0;
        continue;
      }
      if (this.#handles[slot] !== 0) this.#removeAt(this.#find(this.#handles[slot]!, this.#offsets[slot]!));
      return slot;
    }
  }

  #home(handle: number, offset: number): number {
    const product = Math.imul(handle, 0x85ebca6b) ^ Math.imul(offset, 0x9e3779b1);
    return (product ^ (product >>> 15)) & this.#mask;
  }

  #find(handle: number, offset: number): number {
    for (let at = this.#home(handle, offset); ; at = (at + 1) & this.#mask) {
      const slot = this.#table[at]!;
      if (slot === none) return -1;
      if (this.#handles[slot] === handle && this.#offsets[slot] === offset) return at;
    }
  }

  #removeAt(at: number): void {
    let hole = at;
    for (let next = (at + 1) & this.#mask; ; next = (next + 1) & this.#mask) {
      const slot = this.#table[next]!;
      if (slot === none) break;
      const home = this.#home(this.#handles[slot]!, this.#offsets[slot]!);
      // The entry may move into the hole unless its home lies between the hole and where it is.
      const distanceFromHome = (next - home) & this.#mask;
      const distanceFromHole = (next - hole) & this.#mask;
      if (distanceFromHome >= distanceFromHole) {
        this.#table[hole] = slot;
        hole = next;
      }
    }
    this.#table[hole] = none;
  }
}
