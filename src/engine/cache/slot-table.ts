// Which of a fixed number of slots holds what, by a key of two 32-bit numbers; and which slot goes when room is needed.
//
//     free ──take()──► in hand ──put()──► held ──remove(), or the clock's hand unless it is pinned or was used──► free
//                         └──────giveBack()──────► free
//
// - An open-addressing index in typed columns; about 20 bytes a slot, allocated at once.
// - Second chance (CLOCK): what is new counts as unused, so a scan passes through without driving out what is used again.
// - A pinned slot keeps its content until it is unpinned as often; when all are pinned there is nothing to take.
// It knows nothing of contents.

import { assert } from "../../common/assert.ts";

const none = 0xffff_ffff;

const slotStates = { free: 0, inHand: 1, held: 2 } as const;
/** `awaited`: put before anybody asked; the first use makes it unused. */
const uses = { unused: 0, used: 1, awaited: 2 } as const;

/** Of one slot. */
export const pinsMax = 0xffff;

export class SlotTable {
  readonly #slotCount: number;
  readonly #first: Uint32Array;
  readonly #second: Uint32Array;
  readonly #states: Uint8Array;
  readonly #used: Uint8Array;
  readonly #pins: Uint16Array;
  /** Slot numbers or `none`. Backward-shift deletion keeps probe runs whole, without tombstones. */
  readonly #index: Uint32Array;
  readonly #mask: number;
  /** Slots from here on were never used. */
  #untouched = 0;
  readonly #free: number[] = [];
  #hand = 0;
  #heldCount = 0;

  constructor(slotCount: number) {
    assert(Number.isInteger(slotCount) && slotCount >= 1 && slotCount < 2 ** 30, "a slot table has some slots");
    this.#slotCount = slotCount;
    this.#first = new Uint32Array(slotCount);
    this.#second = new Uint32Array(slotCount);
    this.#states = new Uint8Array(slotCount);
    this.#used = new Uint8Array(slotCount);
    this.#pins = new Uint16Array(slotCount);
    let size = 16;
    while (size < slotCount * 2) size *= 2;
    this.#mask = size - 1;
    this.#index = new Uint32Array(size).fill(none);
  }

  get heldCount(): number {
    return this.#heldCount;
  }

  /** The slot that holds the key, or -1. */
  find(first: number, second: number): number {
    const at = this.#find(first, second);
    return at < 0 ? -1 : this.#index[at]!;
  }

  /** True when the slot holds that key. */
  holds(slot: number, first: number, second: number): boolean {
    return this.#first[slot] === first && this.#second[slot] === second && this.#states[slot] === slotStates.held;
  }

  /** The slot was used: it survives the hand's next pass. */
  touch(slot: number): void {
    this.#used[slot] = this.#used[slot] === uses.awaited ? uses.unused : uses.used;
  }

  pin(slot: number): void {
    assert(this.#states[slot] === slotStates.held && this.#pins[slot]! < pinsMax, "a pinned slot holds something");
    this.#pins[slot]!++;
  }

  unpin(slot: number): void {
    assert(this.#pins[slot]! > 0, "a slot is unpinned as often as it was pinned");
    this.#pins[slot]!--;
    // Its key went while it was pinned: it may go now.
    if (this.#pins[slot] === 0 && this.#states[slot] === slotStates.free) this.#free.push(slot);
  }

  firstOf(slot: number): number {
    return this.#first[slot]!;
  }

  secondOf(slot: number): number {
    return this.#second[slot]!;
  }

  get hasFree(): boolean {
    return this.#free.length > 0 || this.#untouched < this.#slotCount;
  }

  /** Takes a slot out; what it held is told to `evicted` and gone. -1 when there is none. */
  take(evicted?: (slot: number) => void): number {
    if (!this.hasFree && !this.evict(evicted)) return -1;
    const slot = this.#free.pop() ?? this.#untouched++;
    this.#states[slot] = slotStates.inHand;
    return slot;
  }

  /** Frees the slot whose turn it is, after it was told to `evicted`. False when there is none. */
  evict(evicted?: (slot: number) => void): boolean {
    // Twice around: once to clear the marks of use, once to find one without.
    for (let looks = 2 * this.#slotCount; looks > 0; looks--) {
      const slot = this.#hand;
      this.#hand = slot + 1 === this.#slotCount ? 0 : slot + 1;
      if (this.#states[slot] !== slotStates.held || this.#pins[slot]! > 0) continue;
      if (this.#used[slot] === uses.used) {
        this.#used[slot] = uses.unused;
        continue;
      }
      evicted?.(slot);
      this.remove(this.#first[slot]!, this.#second[slot]!);
      return true;
    }
    return false;
  }

  /** The slot, which is in hand, holds the key from now on. No other slot may. `awaited`: its first use was foreseen. */
  put(slot: number, first: number, second: number, awaited = false): void {
    assert(this.#states[slot] === slotStates.inHand && this.#find(first, second) < 0, "one slot in hand for one new key");
    this.#first[slot] = first;
    this.#second[slot] = second;
    this.#used[slot] = awaited ? uses.awaited : uses.unused;
    this.#states[slot] = slotStates.held;
    this.#heldCount++;
    let at = this.#home(first, second);
    while (this.#index[at] !== none) at = (at + 1) & this.#mask;
    this.#index[at] = slot;
  }

  /** The slot, which is in hand, is free again. */
  giveBack(slot: number): void {
    assert(this.#states[slot] === slotStates.inHand, "only what was taken is given back");
    this.#states[slot] = slotStates.free;
    this.#free.push(slot);
  }

  /** The key is held no more. Its slot is free once nobody has it pinned. */
  remove(first: number, second: number): void {
    const at = this.#find(first, second);
    if (at < 0) return;
    const slot = this.#index[at]!;
    this.#removeAt(at);
    this.#heldCount--;
    this.#states[slot] = slotStates.free;
    if (this.#pins[slot] === 0) this.#free.push(slot);
  }

  #home(first: number, second: number): number {
    const product = Math.imul(first, 0x85ebca6b) ^ Math.imul(second, 0x9e3779b1);
    return (product ^ (product >>> 15)) & this.#mask;
  }

  #find(first: number, second: number): number {
    for (let at = this.#home(first, second); ; at = (at + 1) & this.#mask) {
      const slot = this.#index[at]!;
      if (slot === none) return -1;
      if (this.#first[slot] === first && this.#second[slot] === second) return at;
    }
  }

  #removeAt(at: number): void {
    let hole = at;
    for (let next = (at + 1) & this.#mask; ; next = (next + 1) & this.#mask) {
      const slot = this.#index[next]!;
      if (slot === none) break;
      const home = this.#home(this.#first[slot]!, this.#second[slot]!);
      // The entry may move into the hole unless its home lies between the hole and where it is.
      if (((next - home) & this.#mask) >= ((next - hole) & this.#mask)) {
        this.#index[hole] = slot;
        hole = next;
      }
    }
    this.#index[hole] = none;
  }
}
