// The cluster cache by content: equal clusters are kept once, at however many places they are (cluster-cache.ts has the
// contract). For many disks with much the same in them, which are no clones of one another.
//
//     place (handle, offset) ──► entry ──► slot of the slab ◄── checksum
//
// - Clusters are equal when their bytes are; the checksum only says which one to compare with. One with the checksum of another
//   and other bytes is not kept.
// - There are twice as many entries as slots. A slot is free when the last entry that leads to it has gone; when there is no free
//   slot entries go until there is one, the unused first.
// - Fixed memory: the configured bytes and about 70 bytes a slot of tables.
// - Adding costs a look-up more, and a comparison in place of the copy when it is here already.

import { assert } from "../../common/assert.ts";
import { clusterBytes } from "../limits.ts";
import type { ClusterCache } from "./cluster-cache.ts";
import { SlotTable } from "./slot-table.ts";

const entriesPerSlot = 2;

export class ContentCache implements ClusterCache {
  readonly #slab: Buffer;
  readonly #entryCount: number;
  readonly #entries: SlotTable;
  /** By checksum; the second half of its keys is not used. */
  readonly #contents: SlotTable;
  readonly #slotOf: Uint32Array;
  readonly #uses: Uint32Array;
  readonly #released = (entry: number): void => this.#release(this.#slotOf[entry]!);
  hits = 0;
  misses = 0;

  constructor(bytesMax: number) {
    const slotCount = Math.floor(bytesMax / clusterBytes);
    assert(slotCount >= 16, "a cluster cache has at least 16 slots");
    this.#slab = Buffer.allocUnsafeSlow(slotCount * clusterBytes);
    this.#entryCount = slotCount * entriesPerSlot;
    this.#entries = new SlotTable(this.#entryCount);
    this.#contents = new SlotTable(slotCount);
    this.#slotOf = new Uint32Array(this.#entryCount);
    this.#uses = new Uint32Array(slotCount);
  }

  get clusterCount(): number {
    return this.#entries.heldCount;
  }

  has(handle: number, offset: number): boolean {
    return this.#entries.find(handle, offset) >= 0;
  }

  copyInto(handle: number, offset: number, from: number, length: number, target: Buffer, targetOffset: number): boolean {
    const entry = this.#entries.find(handle, offset);
    if (entry < 0) {
      this.misses++;
      return false;
    }
    this.#entries.touch(entry);
    this.hits++;
    const start = this.#slotOf[entry]! * clusterBytes + from;
    this.#slab.copy(target, targetOffset, start, start + length);
    return true;
  }

  copyRun(handles: Uint32Array, offsets: Uint32Array, from: number, to: number, target: Buffer, targetOffset: number): number {
    const entry = this.#entries.find(handles[from]!, offsets[from]!);
    if (entry < 0) {
      this.misses++;
      return 0;
    }
    this.#entries.touch(entry);
    const slot = this.#slotOf[entry]!;
    const countMax = Math.min(to - from, this.#entryCount - entry);
    let count = 1;
    for (; count < countMax; count++) {
      const next = entry + count;
      if (this.#slotOf[next] !== slot + count) break;
      if (!this.#entries.holds(next, handles[from + count]!, offsets[from + count]!)) break;
      this.#entries.touch(next);
    }
    this.hits += count;
    this.#slab.copy(target, targetOffset, slot * clusterBytes, (slot + count) * clusterBytes);
    return count;
  }

  /** Nothing: what is equal to others seldom lies beside its neighbours. */
  lend(): undefined {
    return undefined;
  }

  add(handle: number, offset: number, source: Buffer, sourceOffset: number, crc: number, ahead = false): void {
    if (this.has(handle, offset)) return;
    const entry = this.#entries.take(this.#released);
    const slot = this.#contents.find(crc, 0);
    if (slot < 0) this.#slotOf[entry] = this.#addContent(source, sourceOffset, crc);
    else if (this.#isEqual(slot, source, sourceOffset)) this.#slotOf[entry] = slot;
    else return this.#entries.giveBack(entry);
    this.#uses[this.#slotOf[entry]!]!++;
    this.#entries.put(entry, handle, offset, ahead);
  }

  #addContent(source: Buffer, sourceOffset: number, crc: number): number {
    while (!this.#contents.hasFree) this.#entries.evict(this.#released);
    const slot = this.#contents.take();
    source.copy(this.#slab, slot * clusterBytes, sourceOffset, sourceOffset + clusterBytes);
    this.#contents.put(slot, crc, 0);
    return slot;
  }

  #isEqual(slot: number, source: Buffer, sourceOffset: number): boolean {
    const start = slot * clusterBytes;
    return this.#slab.compare(source, sourceOffset, sourceOffset + clusterBytes, start, start + clusterBytes) === 0;
  }

  #release(slot: number): void {
    if (--this.#uses[slot]! === 0) this.#contents.remove(this.#contents.firstOf(slot), 0);
  }
}
