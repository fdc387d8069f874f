// Whether a journal is flushed often: how many bytes a sync covers, on the average of the last ones.
//
// A sync of a file that grows costs as much more as writing about this many bytes takes: a journal whose syncs cover less
// is better off when its file is filled ahead (journal-file.ts), though each byte is written twice then.

import { KiB, MiB } from "../limits.ts";

const oftenBytesMax = 192 * KiB;
const newShare = 1 / 8;

export class SyncPace {
  #averageBytes: number = MiB;

  /** A sync covered so many bytes. */
  synced(bytes: number): void {
    this.#averageBytes += (bytes - this.#averageBytes) * newShare;
  }

  /** True while syncs cover little. `unsyncedBytes` are those since the last. */
  isOften(unsyncedBytes: number): boolean {
    return Math.max(this.#averageBytes, unsyncedBytes) <= oftenBytesMax;
  }
}
