// Jobs that have ended are kept for a while, for people: the newest of each project, not beyond their time. The rest is removed,
// by any process, in small transactions that hold no job up.

import type { CinderPorts } from "../ports.ts";
import { deleteRecord, jobKind } from "../records.ts";
import type { Job } from "./job.ts";

const stepMax = 50;

/** Those to be removed. */
export function chooseExpired(jobs: Iterable<Job>, keptMax: number, ttlMs: number, nowMs: number): Job[] {
  const ended = [...jobs].filter((job) => job.phase === "ended");
  ended.sort((a, b) => b.endedAtMs! - a.endedAtMs! || (a.id < b.id ? -1 : 1));
  const kept = new Map<string, number>();
  return ended.filter((job) => {
    const before = kept.get(job.projectId) ?? 0;
    if (before >= keptMax || job.endedAtMs! + ttlMs < nowMs) return true;
    kept.set(job.projectId, before + 1);
    return false;
  });
}

export async function removeExpiredJobs({ store, index, clock, settings }: CinderPorts): Promise<void> {
  const { endedKept, endedTtlMs } = settings.jobs;
  const expired = chooseExpired(index.jobs.values(), endedKept, endedTtlMs, clock.wallMs());
  for (let start = 0; start < expired.length; start += stepMax) {
    const step = expired.slice(start, start + stepMax);
    await store.commit("ended-jobs", async (tx) => {
      for (const job of step) deleteRecord(tx, jobKind, job.id);
    });
  }
}
