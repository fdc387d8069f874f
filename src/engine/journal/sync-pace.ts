// How a journal is flushed: what its syncs cover, and whether each append is flushed. Two things follow.
//
// - A sync of a file that grows costs as much more as writing about this many bytes takes: a journal whose syncs cover less
//   is better off when its file is filled ahead (journal-file.ts), though each byte is written twice then.
// - When so many appends in turn were each followed by a flush, so will be the next: its sync can begin before the flush is
//   asked for, while the client is still being told of the write. Once it was not, so many have to be seen again: of syncs
//   that nobody asks for there is one in that many at most.

import { KiB, MiB } from "../limits.ts";

const oftenBytesMax = 192 * KiB;
const newShare = 1 / 8;
const inTurnMin = 8;

export class SyncPace {
  #averageBytes: number = MiB;
  #inTurn = 0;
  #isAsked = false;

  /** A sync covered so many bytes. */
  synced(bytes: number): void {
    this.#averageBytes += (bytes - this.#averageBytes) * newShare;
  }

  appended(): void {
    this.#inTurn = this.#isAsked ? this.#inTurn + 1 : 0;
    this.#isAsked = false;
  }

  flushAsked(): void {
    this.#isAsked = true;
  }

  /** True while syncs cover little. `unsyncedBytes` are those since the last. */
  isOften(unsyncedBytes: number): boolean {
    return Math.max(this.#averageBytes, unsyncedBytes) <= oftenBytesMax;
  }

  /** True when a flush is to be expected after this append. */
  get isAfterEach(): boolean {
    return this.#inTurn >= inTurnMin;
  }
}
