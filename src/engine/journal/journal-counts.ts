// What all journals of a process have done since it started, for its metrics (common/metric-table.ts) and for tests.

export interface JournalCounts {
  /** That were asked for, FUA writes among them. */
  flushes: number;
  /** Calls of fdatasync for flushes and ahead of them. */
  syncs: number;
  /** Zeroes that were laid ahead of records. */
  filledBytes: number;
}

export const newJournalCounts = (): JournalCounts => ({ flushes: 0, syncs: 0, filledBytes: 0 });
