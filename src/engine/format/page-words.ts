// A map page in memory: words in a typed array, its own or one with many pages in it, so that a million of them are no objects.
//
//     word 0: level, count << 8 │ 8 words: which of 256 are present │ 2 words: how many are before each of those 8 │ entries
//     entry of a leaf: segment (a handle), original offset, crc        of an inner page: origin, number, offset, length, crc
//
// - Absent entries take no room: a leaf with one cluster is 56 bytes, a full one 3.1 KiB.
// - Finding an entry counts bits; entries stand in the order of their indexes.
// It knows nothing of bytes on disk (page.ts) and of where pages lie (map/page-ring.ts).

import { pageFanout } from "../limits.ts";

export const leafEntryWords = 3;
export const innerEntryWords = 5;
const bitmapAt = 1;
const bitmapWords = pageFanout / 32;
const ranksAt = bitmapAt + bitmapWords;
export const entriesAt = ranksAt + bitmapWords / 4;
export const pageWordsMax = entriesAt + innerEntryWords * pageFanout;

const entryWordsOf = (level: number): number => (level === 0 ? leafEntryWords : innerEntryWords);

export const levelOf = (words: Uint32Array, page: number): number => words[page]! & 0xff;
export const countOf = (words: Uint32Array, page: number): number => words[page]! >>> 8;
/** Of the page that begins at `page`. */
export const lengthOf = (words: Uint32Array, page: number): number =>
  entriesAt + countOf(words, page) * entryWordsOf(levelOf(words, page));

/** Where the entry of `index` begins in `words`, in the page that begins at `page`; -1 when there is none. */
export function entryAt(words: Uint32Array, page: number, index: number): number {
  const group = index >>> 5;
  const bits = words[page + bitmapAt + group]!;
  const bit = 1 << (index & 31);
  if ((bits & bit) === 0) return -1;
  const before = (words[page + ranksAt + (group >>> 2)]! >>> ((group & 3) << 3)) & 0xff;
  return page + entriesAt + (before + bitCount(bits & (bit - 1))) * entryWordsOf(words[page]! & 0xff);
}

/** The first index at or after `from` that has an entry, or pageFanout. */
export function nextPresent(words: Uint32Array, page: number, from: number): number {
  for (let index = from; index < pageFanout; index = (index | 31) + 1) {
    const bits = words[page + bitmapAt + (index >>> 5)]! >>> (index & 31);
    if (bits !== 0) return index + 31 - Math.clz32(bits & -bits);
  }
  return pageFanout;
}

/** An empty page of its own for that many entries; they are to be written from entriesAt on, in the order of `setPresent`. */
export function newPage(level: number, count: number): Uint32Array {
  const words = new Uint32Array(entriesAt + count * entryWordsOf(level));
  words[0] = level | (count << 8);
  return words;
}

/** Takes over a bitmap, 32 bits for a word. False when it has not as many bits as the page has entries. */
export function setPresent(words: Uint32Array, bitsOf: (group: number) => number): boolean {
  let before = 0;
  for (let group = 0; group < bitmapWords; group++) {
    words[bitmapAt + group] = bitsOf(group);
    words[ranksAt + (group >>> 2)]! |= before << ((group & 3) << 3);
    before += bitCount(words[bitmapAt + group]!);
  }
  return before === countOf(words, 0);
}

export const presentBits = (words: Uint32Array, group: number): number => words[bitmapAt + group]!;
export const presentGroups = bitmapWords;

/** A page that is being made, used again for the next one. */
export class PageDraft {
  readonly #level: number;
  readonly #width: number;
  readonly #present = new Uint32Array(bitmapWords);
  readonly #values: Uint32Array;
  readonly #packed: Uint32Array;

  constructor(level: number) {
    this.#level = level;
    this.#width = entryWordsOf(level);
    this.#values = new Uint32Array(this.#width * pageFanout);
    this.#packed = new Uint32Array(entriesAt + this.#width * pageFanout);
  }

  /** Begins with what a page has, or with nothing. */
  begin(page: Uint32Array | undefined): void {
    this.#present.fill(0);
    if (page === undefined) return;
    let at = entriesAt;
    for (let index = nextPresent(page, 0, 0); index < pageFanout; index = nextPresent(page, 0, index + 1)) {
      this.#mark(index);
      for (let column = 0; column < this.#width; column++) this.#values[index * this.#width + column] = page[at++]!;
    }
  }

  has(index: number): boolean {
    return (this.#present[index >>> 5]! & (1 << (index & 31))) !== 0;
  }

  /** The first word of an entry that is there. */
  firstOf(index: number): number {
    return this.#values[index * this.#width]!;
  }

  setCluster(index: number, handle: number, offset: number, crc: number): void {
    this.#mark(index);
    const at = index * this.#width;
    this.#values[at] = handle;
    this.#values[at + 1] = offset;
    this.#values[at + 2] = crc;
  }

  setChild(index: number, { origin, number, offset, length, crc }: PagePlace): void {
    this.setCluster(index, origin, number, offset);
    this.#values[index * this.#width + 3] = length;
    this.#values[index * this.#width + 4] = crc;
  }

  clear(index: number): void {
    this.#present[index >>> 5]! &= ~(1 << (index & 31));
  }

  /** The page, in memory that the next one will have; undefined when it has no entry. */
  pack(): Uint32Array | undefined {
    const packed = this.#packed;
    packed.fill(0, 0, entriesAt);
    let at = entriesAt;
    let count = 0;
    for (let group = 0; group < bitmapWords; group++) {
      for (let bits = this.#present[group]!; bits !== 0; bits &= bits - 1) {
        const from = (group * 32 + 31 - Math.clz32(bits & -bits)) * this.#width;
        for (let column = 0; column < this.#width; column++) packed[at++] = this.#values[from + column]!;
        count++;
      }
    }
    if (count === 0) return undefined;
    packed[0] = this.#level | (count << 8);
    setPresent(packed, (group) => this.#present[group]!);
    return packed.subarray(0, at);
  }

  #mark(index: number): void {
    this.#present[index >>> 5]! |= 1 << (index & 31);
  }
}

/** Where a page is on the backend: `origin` stands for the log and epoch that wrote it (map/origins.ts). */
export interface PagePlace {
  readonly origin: number;
  readonly number: number;
  readonly offset: number;
  readonly length: number;
  readonly crc: number;
}

/** The reference to a child whose entry begins at `at`. */
export const placeAt = (words: Uint32Array, at: number): PagePlace => ({
  origin: words[at]!,
  number: words[at + 1]!,
  offset: words[at + 2]!,
  length: words[at + 3]!,
  crc: words[at + 4]!,
});

function bitCount(bits: number): number {
  const pairs = bits - ((bits >>> 1) & 0x5555_5555);
  const fours = (pairs & 0x3333_3333) + ((pairs >>> 2) & 0x3333_3333);
  return Math.imul((fours + (fours >>> 4)) & 0x0f0f_0f0f, 0x0101_0101) >>> 24;
}
