// The cluster cache by place: a slot for each cluster that is here (cluster-cache.ts has the contract).
//
// - One slab of 4 KiB slots over a table of them (slot-table.ts).
// - Fixed memory: the configured bytes and about 20 bytes a slot of table.
// - Slots are filled one after the other: what is added together lies together.

import { assert } from "../../common/assert.ts";
import type { LentBytes } from "../device.ts";
import { clusterBytes } from "../limits.ts";
import type { ClusterCache } from "./cluster-cache.ts";
import { pinsMax, SlotTable } from "./slot-table.ts";

export class PlaceCache implements ClusterCache {
  readonly #slab: Buffer;
  readonly #slotCount: number;
  readonly #slots: SlotTable;
  /** Clusters that are lent, each as often as it is; there is always room for what is new. */
  #lentCount = 0;
  readonly #lentMax: number;
  hits = 0;
  misses = 0;

  constructor(bytesMax: number) {
    this.#slotCount = Math.floor(bytesMax / clusterBytes);
    assert(this.#slotCount >= 16, "a cluster cache has at least 16 slots");
    this.#slab = Buffer.allocUnsafeSlow(this.#slotCount * clusterBytes);
    this.#slots = new SlotTable(this.#slotCount);
    this.#lentMax = Math.min(this.#slotCount >> 2, pinsMax);
  }

  get clusterCount(): number {
    return this.#slots.heldCount;
  }

  copyInto(handle: number, offset: number, from: number, length: number, target: Buffer, targetOffset: number): boolean {
    const slot = this.#slots.find(handle, offset);
    if (slot < 0) {
      this.misses++;
      return false;
    }
    this.#slots.touch(slot);
    this.hits++;
    const start = slot * clusterBytes + from;
    this.#slab.copy(target, targetOffset, start, start + length);
    return true;
  }

  copyRun(handles: Uint32Array, offsets: Uint32Array, from: number, to: number, target: Buffer, targetOffset: number): number {
    const slot = this.#slots.find(handles[from]!, offsets[from]!);
    if (slot < 0) {
      this.misses++;
      return 0;
    }
    const end = this.#endOf(slot, handles, offsets, from, to);
    for (let at = slot; at < end; at++) this.#slots.touch(at);
    const count = end - slot;
    this.hits += count;
    this.#slab.copy(target, targetOffset, slot * clusterBytes, (slot + count) * clusterBytes);
    return count;
  }

  lend(handles: Uint32Array, offsets: Uint32Array, count: number, countMin: number): readonly LentBytes[] | undefined {
    if (this.#lentCount + count > this.#lentMax) return undefined;
    const runs: { readonly slot: number; readonly end: number }[] = [];
    for (let from = 0; from < count;) {
      const slot = this.#slots.find(handles[from]!, offsets[from]!);
      if (slot < 0) return undefined;
      const end = this.#endOf(slot, handles, offsets, from, count);
      if (end - slot < Math.min(countMin, count - from)) return undefined;
      runs.push({ slot, end });
      from += end - slot;
    }
    // Only now: who then copies instead is to find things as they were.
    this.hits += count;
    return runs.map(({ slot, end }) => this.#lend(slot, end));
  }

  /** One past the last slot, from `slot` on, that holds what follows place `from`, up to place `to`. */
  #endOf(slot: number, handles: Uint32Array, offsets: Uint32Array, from: number, to: number): number {
    const endMax = Math.min(slot + to - from, this.#slotCount);
    let end = slot + 1;
    for (let at = from + 1; end < endMax && this.#slots.holds(end, handles[at]!, offsets[at]!); at++) end++;
    return end;
  }

  #lend(slot: number, end: number): LentBytes {
    for (let at = slot; at < end; at++) {
      this.#slots.touch(at);
      this.#slots.pin(at);
    }
    this.#lentCount += end - slot;
    const giveBack = (): void => {
      for (let at = slot; at < end; at++) this.#slots.unpin(at);
      this.#lentCount -= end - slot;
    };
    return { bytes: this.#slab.subarray(slot * clusterBytes, end * clusterBytes), giveBack };
  }

  has(handle: number, offset: number): boolean {
    return this.#slots.find(handle, offset) >= 0;
  }

  add(handle: number, offset: number, source: Buffer, sourceOffset: number, _crc: number, ahead = false): void {
    if (this.#slots.find(handle, offset) >= 0) return;
    const slot = this.#slots.take();
    source.copy(this.#slab, slot * clusterBytes, sourceOffset, sourceOffset + clusterBytes);
    this.#slots.put(slot, handle, offset, ahead);
  }
}
