// Counts long jobs for /metrics: what happens in this process, and what the records say of all.

import type { JobCounts } from "../cinder/jobs/job-counts.ts";
import type { JobObserver } from "../cinder/jobs/job-run.ts";
import { shownStates } from "../cinder/jobs/job-states.ts";
import type { Metrics } from "../common/metrics.ts";

export function countJobEvents(metrics: Metrics): JobObserver {
  const progress = metrics.counter("andiron_job_progress_total");
  const retries = metrics.counter("andiron_job_retries_total");
  const ends = metrics.counter("andiron_jobs_ended_total");
  return {
    progressed: (kind, unit, amount) => progress.add({ kind, unit }, amount),
    failed: (kind) => retries.add({ kind }),
    ended: (kind, outcome) => ends.add({ kind, outcome }),
  };
}

export function watchJobs(metrics: Metrics, counts: () => JobCounts): void {
  for (const state of shownStates) metrics.gaugeFrom("andiron_jobs", { state }, () => counts().byState[state]);
  metrics.gaugeFrom("andiron_jobs_oldest_seconds", {}, () => counts().oldestMs / 1000);
}
