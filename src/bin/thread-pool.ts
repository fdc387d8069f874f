// How many threads wait for file systems. Node gives its pool four, so that four syncs of slow disks, or two vPools that hang
// with two operations each, would keep every other flush waiting. A thread that waits costs some KiB of memory and nothing else.
//
// A program imports this first: the size counts when the pool is used for the first time. UV_THREADPOOL_SIZE goes before it.

process.env["UV_THREADPOOL_SIZE"] ??= "64";

const poolThreads = Math.max(1, Number(process.env["UV_THREADPOOL_SIZE"]) || 4);

/** Threads that one of so many backends may take: half of all are left to the journal's syncs and everything else. */
export const threadsOfBackend = (backends: number): number => Math.max(1, Math.floor(poolThreads / 2 / Math.max(1, backends)));
