// How a journal is written and flushed: what its appends and its syncs cover, and whether each append is flushed. Three things
// follow.
//
// - A sync of a file that grows costs as much more as writing about this many bytes takes: a journal whose syncs cover less
//   is better off when its file is filled ahead (journal-file.ts), though each byte is written twice then.
// - Small appends cost less where the file has its pages already: those are better made many at a time. So a journal of which so
//   many in turn were small is filled ahead too, though not as far, as long as its syncs, which write the zeroes, cover more.
// - When so many appends in turn were each followed by a flush, so will be the next: its sync can begin before the flush is
//   asked for, while the client is still being told of the write. Once it was not, so many have to be seen again: of syncs
//   that nobody asks for there is one in that many at most.

import { KiB, MiB } from "../limits.ts";

const oftenBytesMax = 192 * KiB;
const oftenFillBytes = MiB;
const smallBytesMax = 64 * KiB;
const smallFillBytes = 256 * KiB;
const smallSyncBytesMin = 512 * KiB;
const newShare = 1 / 8;
const inTurnMin = 8;

export class SyncPace {
  #averageBytes: number = MiB;
  #inTurn = 0;
  #isAsked = false;
  #smallInTurn = 0;

  /** A sync covered so many bytes. */
  synced(bytes: number): void {
    this.#averageBytes += (bytes - this.#averageBytes) * newShare;
  }

  appended(bytes: number): void {
    this.#smallInTurn = bytes <= smallBytesMax ? this.#smallInTurn + 1 : 0;
    this.#inTurn = this.#isAsked ? this.#inTurn + 1 : 0;
    this.#isAsked = false;
  }

  flushAsked(): void {
    this.#isAsked = true;
  }

  /** How far the file is to be filled ahead; 0 for not at all. `unsyncedBytes` are those since the last sync. */
  fillBytes(unsyncedBytes: number): number {
    if (Math.max(this.#averageBytes, unsyncedBytes) <= oftenBytesMax) return oftenFillBytes;
    return this.#smallInTurn >= inTurnMin && this.#averageBytes >= smallSyncBytesMin ? smallFillBytes : 0;
  }

  /** True when a flush is to be expected after this append. */
  get isAfterEach(): boolean {
    return this.#inTurn >= inTurnMin;
  }
}
