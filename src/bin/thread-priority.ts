// Who goes first where processors are scarce. One thread serves all disks, and all else of this process; threads of the pool, the
// registry and V8's helpers work for it, beside guests or benchmarks that want the same processors. Each time it waits for
// one, everybody waits.
//
// - Linux knows a niceness for each thread; the first thread has the process's id. Its children inherit it, threads and programs:
//   so it is raised when the threads are there, and programs are put back among the others (confined-process.ts).
// - With one processor nobody goes first: who works for him would not get on.
// - Below zero needs a right (CAP_SYS_NICE, or RLIMIT_NICE). Without it all stays as it was, and is said once.

import { availableParallelism, getPriority, setPriority } from "node:os";
import type { Logger } from "../common/log.ts";

/** `niceness` of the main thread, from now on; 0: as the process was started. */
export function raiseMainThread(niceness: number, log: Logger, processors = availableParallelism()): void {
  if (niceness === 0 || processors < 2 || getPriority(process.pid) === niceness) return;
  try {
    setPriority(process.pid, niceness);
  } catch (error) {
    log.info(`the main thread does not get the niceness ${niceness} of [engine] main_thread_nice`, { reason: String(error) });
  }
}
