// The memory that map pages are kept in: one array of words, filled round and round, and an index of it. No page is an object,
// so the garbage collector has nothing to do with them, however many there are.
//
//        start        head            tail               lapEnd      end
//          │ this lap  │      free     │  the lap before   │  free    │      the oldest page is at tail
//
// - What is in the way of a new page goes, oldest first; if it was used since it came, it moves to the head instead (second
//   chance), but a few only for each new page: adding never takes long.
// - A position is good until the next add(): `version` tells.
// - Position 0 is a leaf without entries.

import { assert } from "../../common/assert.ts";
import { entriesAt, leafEntryWords, lengthOf, pageWordsMax } from "../format/page-words.ts";

/** Origin, number and offset of the page; before them where it ends and whether it was used. */
const headWords = 4;
const pageWordsMin = headWords + entriesAt + leafEntryWords;
const start = entriesAt;
const wordBytes = 4;
const usedMark = 1;
const none = 0;
const chancesPerAdd = 8;
/** The rest is for the index. */
const wordsShare = 7 / 8;

export class PageRing {
  readonly words: Uint32Array;
  /** Positions of pages, or `none`; open addressing, no tombstones. */
  readonly #index: Uint32Array;
  readonly #mask: number;
  #head = start;
  #tail = start;
  #lapEnd = start;
  #usedWords = 0;
  #version = 0;

  constructor(bytesMax: number) {
    // Memory that was not written yet is not taken.
    this.words = new Uint32Array(Math.floor((bytesMax * wordsShare) / wordBytes));
    assert(this.words.length >= 4 * (headWords + pageWordsMax), "a few of the largest pages fit");
    let size = 16;
    while (size < (1.25 * this.words.length) / pageWordsMin) size *= 2;
    this.#index = new Uint32Array(size);
    this.#mask = size - 1;
  }

  get bytes(): number {
    return this.#usedWords * wordBytes;
  }

  /** Another number when positions may mean something else. */
  get version(): number {
    return this.#version;
  }

  /** Position of the page in `words`, or -1. */
  find(origin: number, number: number, offset: number): number {
    const at = this.#index[this.#slotOf(origin, number, offset)]!;
    if (at === none) return -1;
    this.words[at - headWords]! |= usedMark;
    return at;
  }

  /** Copies the page into the ring, unless it is there. */
  add(origin: number, number: number, offset: number, page: Uint32Array): void {
    if (this.#index[this.#slotOf(origin, number, offset)] !== none) return;
    const length = headWords + page.length;
    this.#makeRoom(length);
    const at = this.#head + headWords;
    this.words[at - 4] = 0;
    this.words[at - 3] = origin;
    this.words[at - 2] = number;
    this.words[at - 1] = offset;
    this.words.set(page, at);
    this.#head += length;
    this.#usedWords += length;
    this.#index[this.#slotOf(origin, number, offset)] = at;
  }

  #makeRoom(length: number): void {
    this.#version++;
    for (let chances = chancesPerAdd; ;) {
      if (this.#tail === this.#lapEnd) {
        if (this.#head + length <= this.words.length) return;
        this.#lapEnd = this.#head;
        this.#head = start;
        this.#tail = start;
      }
      if (this.#head + length <= this.#tail) return;
      const at = this.#tail + headWords;
      const oldLength = headWords + lengthOf(this.words, at);
      const slot = this.#slotOf(this.words[at - 3]!, this.words[at - 2]!, this.words[at - 1]!);
      if ((this.words[at - 4]! & usedMark) !== 0 && chances-- > 0) {
        this.words[at - 4] = 0;
        this.words.copyWithin(this.#head, this.#tail, this.#tail + oldLength);
        this.#index[slot] = this.#head + headWords;
        this.#head += oldLength;
      } else {
        this.#remove(slot);
        this.#usedWords -= oldLength;
      }
      this.#tail += oldLength;
    }
  }

  /** The slot that has the page, or where it would be. */
  #slotOf(origin: number, number: number, offset: number): number {
    for (let slot = this.#home(origin, number, offset); ; slot = (slot + 1) & this.#mask) {
      const at = this.#index[slot]!;
      if (at === none) return slot;
      if (this.words[at - 1] === offset && this.words[at - 2] === number && this.words[at - 3] === origin) return slot;
    }
  }

  #home(origin: number, number: number, offset: number): number {
    const product = Math.imul(offset, 0x9e3779b1) ^ Math.imul(number, 0x85ebca6b) ^ Math.imul(origin, 0xc2b2ae35);
    return (product ^ (product >>> 15)) & this.#mask;
  }

  #remove(slot: number): void {
    let hole = slot;
    for (let next = (slot + 1) & this.#mask; this.#index[next] !== none; next = (next + 1) & this.#mask) {
      const at = this.#index[next]!;
      const home = this.#home(this.words[at - 3]!, this.words[at - 2]!, this.words[at - 1]!);
      // It may move into the hole unless its home lies between the hole and where it is.
      if (((next - home) & this.#mask) >= ((next - hole) & this.#mask)) {
        this.#index[hole] = at;
        hole = next;
      }
    }
    this.#index[hole] = none;
  }
}
