// Which jobs a process should claim now: of those that nobody has and that are due, cancelled ones first, then the oldest, as
// far as there are places. Pure. What it chooses is a proposal: the claim finds out whether it holds (job-claims.ts).

import type { Job } from "./job.ts";
import { isDue } from "./job-policy.ts";

export interface ChoiceView {
  readonly jobs: Iterable<Job>;
  /** Ids of the jobs that run here. */
  readonly runningHere: ReadonlySet<string>;
  /** This process's runner. */
  readonly runner: string;
  readonly isAlive: (runner: string) => boolean;
  /** Jobs of the kind at a time in one process; undefined when this build does not have it. */
  readonly kindMax: (job: Job) => number | undefined;
  readonly runningMax: number;
  readonly runningPerProjectMax: number;
  readonly nowMs: number;
}

export function chooseJobs(view: ChoiceView): Job[] {
  const free: Job[] = [];
  const ofProject = new Map<string, number>();
  const ofKind = new Map<string, number>();
  for (const job of view.jobs) {
    if (job.phase === "ended") continue;
    const isOurs = view.runningHere.has(job.id);
    if (isOurs) add(ofKind, job.kind);
    if (isOurs || (job.runner !== null && job.runner !== view.runner && view.isAlive(job.runner))) {
      add(ofProject, job.projectId);
    } else if (view.kindMax(job) !== undefined && isDue(job, view.nowMs)) {
      free.push(job);
    }
  }
  free.sort((a, b) => urgency(a) - urgency(b) || a.createdAtMs - b.createdAtMs || (a.id < b.id ? -1 : 1));
  const chosen: Job[] = [];
  for (const job of free) {
    if (view.runningHere.size + chosen.length >= view.runningMax) break;
    if ((ofProject.get(job.projectId) ?? 0) >= view.runningPerProjectMax) continue;
    if ((ofKind.get(job.kind) ?? 0) >= view.kindMax(job)!) continue;
    add(ofProject, job.projectId);
    add(ofKind, job.kind);
    chosen.push(job);
  }
  return chosen;
}

const urgency = (job: Job): number => (job.cancel === undefined ? 1 : 0);

function add(counts: Map<string, number>, key: string): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}
