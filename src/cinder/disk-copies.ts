// What cinder/ knows of bytes that go from one vDisk to another: a port that bin/ fills. Both are reached by exports.

import type { JobRun } from "./jobs/job-kind.ts";

export interface DiskCopyTask {
  /** "copy": into a disk that reads as zeroes, holes kept. "compare": rejects with copy_differs when a byte is another. */
  readonly phase: "copy" | "compare";
  readonly sourceExport: string;
  readonly targetExport: string;
  /** Where the step begins: what is before it is copied and durable, or compared. */
  readonly offset: number;
}

export interface DiskCopies {
  /** Does some of it, at least one piece; resolves with the offset up to which it is done (copied: durable). */
  step(task: DiskCopyTask, run: Pick<JobRun, "signal" | "shouldYield">): Promise<number>;
}

/** There are no disks. */
export const noDiskCopies: DiskCopies = { step: () => Promise.reject(new Error("there are no disks")) };
