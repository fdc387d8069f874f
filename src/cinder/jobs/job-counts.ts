// How many jobs there are in which state, and how old the oldest is: for the metrics. Pure.

import { shownState, shownStates, type ShownState } from "./job-states.ts";
import type { Job } from "./job.ts";

export interface JobCounts {
  readonly byState: Readonly<Record<ShownState, number>>;
  /** Since the request for the oldest that has not ended; 0 when there is none. */
  readonly oldestMs: number;
}

export interface CountView {
  readonly isKnown: (job: Job) => boolean;
  readonly isHeld: (runner: string) => boolean;
  readonly triesMax: number;
  readonly nowMs: number;
}

export function countJobs(jobs: Iterable<Job>, { isKnown, isHeld, triesMax, nowMs }: CountView): JobCounts {
  const byState = Object.fromEntries(shownStates.map((state) => [state, 0])) as Record<ShownState, number>;
  let oldestMs = 0;
  for (const job of jobs) {
    const view = { isKnown: isKnown(job), isHeld: job.runner !== null && isHeld(job.runner), triesMax };
    byState[shownState(job, view)]++;
    if (job.phase !== "ended") oldestMs = Math.max(oldestMs, nowMs - job.createdAtMs);
  }
  return { byState, oldestMs };
}
