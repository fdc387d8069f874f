// Many places for an empty delta, sorted by the part of its table that they go to, so that each part is in the processor's cache
// while it is filled: one by one, most puts of a million wait for memory, and all of them take twice as long.
//
//     PlaceCount: all places, counted ──sorted()──► SortedPlaces: the same places in the same order ──into()──► delta
//
// - Of two places of a cluster the later one wins, as by Delta.put().
// - Zeroed ranges have no part: where there are some, places go into the delta in their order instead.

import { assert } from "../../common/assert.ts";
import { nextTurn } from "../../common/turn.ts";
import { engineLimits } from "../limits.ts";
import { type Delta, zeroHandle } from "./delta.ts";
import { hashOf } from "./delta-table.ts";

/** What takes places and zeroes in the order in which they were written: a delta, or what is on the way to one. */
export interface PlaceSink {
  put(cluster: number, handle: number, offset: number, crc: number): unknown;
  zero(first: number, count: number): void;
}

/** Those that have the first bits of the hash in common: one part of the table, or a few. */
const bucketBits = 9;
const bucketOf = (cluster: number): number => hashOf(cluster) >>> (32 - bucketBits);
const fields = 4;
/** Put in one turn of the event loop. */
const turnPlaces = 8192;

export class PlaceCount implements PlaceSink {
  readonly #counts = new Uint32Array(1 << bucketBits);
  #hasRanges = false;

  /** What was counted can't be sorted. */
  get hasRanges(): boolean {
    return this.#hasRanges;
  }

  put(cluster: number): void {
    this.#counts[bucketOf(cluster)]!++;
  }

  zero(first: number, count: number): void {
    if (count > engineLimits.zeroEntriesInlineMax) this.#hasRanges = true;
    else for (let i = 0; i < count; i++) this.put(first + i);
  }

  /** Room for what was counted. */
  sorted(): SortedPlaces {
    assert(!this.#hasRanges, "ranges of zeroes cannot be sorted");
    return new SortedPlaces(this.#counts);
  }
}

export class SortedPlaces implements PlaceSink {
  /** Where the next place of each bucket goes. */
  readonly #next: Uint32Array;
  readonly #words: Uint32Array;

  constructor(counts: Uint32Array) {
    let total = 0;
    this.#next = counts.map((count) => (total += count) - count);
    this.#words = new Uint32Array(total * fields);
  }

  put(cluster: number, handle: number, offset: number, crc: number): void {
    const at = this.#next[bucketOf(cluster)]!++ * fields;
    this.#words[at] = cluster;
    this.#words[at + 1] = handle;
    this.#words[at + 2] = offset;
    this.#words[at + 3] = crc;
  }

  zero(first: number, count: number): void {
    for (let i = 0; i < count; i++) this.put(first + i, zeroHandle, 0, 0);
  }

  /** Gives way to others in between. `delta` is empty. */
  async into(delta: Delta): Promise<void> {
    const words = this.#words;
    delta.reserve(words.length / fields);
    for (let at = 0; at < words.length;) {
      const end = Math.min(words.length, at + turnPlaces * fields);
      for (; at < end; at += fields) delta.put(words[at]!, words[at + 1]!, words[at + 2]!, words[at + 3]!);
      await nextTurn();
    }
  }
}
