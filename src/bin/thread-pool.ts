// How many threads wait for file systems. Node gives its pool four, so that four syncs of slow disks, or two vPools that hang
// with two operations each, would keep every other flush waiting. Many more cost: each read then wakes a thread that sleeps,
// where one that is at work would have taken it along, and that is half of what a read of a fast disk costs.
//
// - A backend elsewhere may hang while the journal does not: all of those together have half of the threads.
// - One on the journal's own file system has enough under way that no thread need sleep: when it hangs, so does the journal.
//
// A program imports this first: the size counts when the pool is used for the first time. UV_THREADPOOL_SIZE goes before it.

process.env["UV_THREADPOOL_SIZE"] ??= "16";

const poolThreads = Math.max(1, Number(process.env["UV_THREADPOOL_SIZE"]) || 4);

/** What one of so many backends may have under way. */
export const operationsOfBackend = (backends: number, isBesideJournal: boolean): number =>
  Math.max(1, Math.floor((isBesideJournal ? poolThreads * 2 : poolThreads / 2) / Math.max(1, backends)));
