// Cuts of logs that are open in this very process, taken within the transaction that needs one: a snapshot or clone of a disk in
// use is there with its first commit then, and no wish has to be seen, carried out and seen again.
//
// - The transaction has read the log's record, and fails if that changes: owner, epoch and checkpoint are as the cut found them.
// - What can't be had at once is not waited for: a wish does that, and says what is wrong.

import type { LogRecord, View } from "./records.ts";
import { viewOfReleased, viewOf } from "./record-edits.ts";

export interface LiveCuts {
  /** The last record of the log, on disk by now, when it is open here at the record's epoch; undefined when it can't be had. */
  cutOf(log: LogRecord): Promise<number | undefined>;
}

/** The log as it is now (null: all zeroes); undefined when only its owner can say, elsewhere or later. */
export async function viewNow(log: LogRecord, cuts: LiveCuts | undefined): Promise<View | null | undefined> {
  if (log.owner === null) return viewOfReleased(log);
  const cut = await cuts?.cutOf(log);
  if (cut === undefined || cut < (log.checkpoint?.sequence ?? 0)) return undefined;
  return viewOf(log, cut);
}
