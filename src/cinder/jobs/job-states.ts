// What follows what in the life of a job. Pure functions from record to record; each is the change of one transaction.
//
//   newJob ──► work, no runner ──claimed──► work, runner ── ended ──────────────────────────────────► done
//                    ▲                       │   │   │  └─ advanced: checkpoint, progress; same claim
//                    ├──── postponed ────────┘   │   └─ condemned (cancel, lasting error, too many tries)
//                    └──── released ─────────────┘                  │
//                      undo, no runner ──claimed──► undo, runner ◄──┘
//                            ▲                        │  └── ended ──► failed | cancelled
//                            └─ postponed, released ──┘

import { AndironError } from "../../common/errors.ts";
import { jobBounds, type Job, type JobOutcome, type JobVerdict } from "./job.ts";
import { checkJobData } from "./job.ts";
import type { JobAdvance, JobKind, NewJob } from "./job-kind.ts";

/** As an operator sees it. */
export const shownStates = [
  "queued",
  "running",
  "waiting",
  "undoing",
  "stuck",
  "unknown",
  "done",
  "failed",
  "cancelled",
] as const;
export type ShownState = (typeof shownStates)[number];

export function newJob(kind: Pick<JobKind, "name" | "version" | "unit" | "deadlineMs">, request: NewJob, nowMs: number): Job {
  checkJobData("what the job was asked for", request.params);
  const { id, projectId, requestId, resource, params, total, notBeforeMs = null } = request;
  return {
    v: 1,
    id,
    kind: kind.name,
    kindVersion: kind.version,
    projectId,
    requestId,
    resource,
    params,
    phase: "work",
    generation: 0,
    runner: null,
    checkpoint: {},
    progress: { unit: kind.unit, done: 0, total },
    failures: 0,
    takeovers: 0,
    retries: 0,
    notBeforeMs,
    deadlineMs: nowMs + kind.deadlineMs,
    createdAtMs: nowMs,
    startedAtMs: null,
    updatedAtMs: nowMs,
    endedAtMs: null,
  };
}

export function claimed(job: Job, runner: string, nowMs: number): Job {
  assertLiving(job);
  return {
    ...job,
    runner,
    generation: job.generation + 1,
    takeovers: job.takeovers + (job.runner === null ? 0 : 1),
    notBeforeMs: null,
    startedAtMs: job.startedAtMs ?? nowMs,
    updatedAtMs: nowMs,
  };
}

/** A step that said "more". */
export function advanced(job: Job, advance: Extract<JobAdvance, { next: "more" }>, nowMs: number): Job {
  assertClaimed(job, "work");
  checkJobData("the checkpoint", advance.checkpoint);
  const { done } = advance;
  const total = advance.total === undefined ? job.progress.total : advance.total;
  if (done <= job.progress.done) throw new AndironError("internal", `the job ${job.id} does not get on: ${done} are done`);
  const progress = { ...job.progress, done, total };
  return { ...job, checkpoint: advance.checkpoint, progress, failures: 0, takeovers: 0, updatedAtMs: nowMs };
}

/** To be tried again, by anybody. */
export function postponed(job: Job, error: string, notBeforeMs: number, nowMs: number): Job {
  assertClaimed(job);
  const [failures, retries] = [job.failures + 1, job.retries + 1];
  return { ...job, runner: null, failures, retries, notBeforeMs, lastError: short(error), updatedAtMs: nowMs };
}

/** Given back unharmed: the process stops. */
export function released(job: Job, nowMs: number): Job {
  assertClaimed(job);
  return { ...job, runner: null, updatedAtMs: nowMs };
}

/** From now on it is undone; the claim stays. */
export function condemned(job: Job, verdict: JobVerdict, nowMs: number): Job {
  assertClaimed(job, "work");
  const { outcome, reason } = verdict;
  return { ...job, phase: "undo", verdict: { outcome, reason: short(reason) }, failures: 0, takeovers: 0, updatedAtMs: nowMs };
}

/** Undoing is given up; what remains is to settle it. The claim stays. */
export function leavingBehind(job: Job, error: string, nowMs: number): Job {
  assertClaimed(job, "undo");
  return { ...job, leftovers: true, failures: 0, retries: job.retries + 1, lastError: short(error), updatedAtMs: nowMs };
}

export function ended(job: Job, outcome: JobOutcome, nowMs: number): Job {
  assertClaimed(job, outcome === "done" ? "work" : "undo");
  const verdict = job.verdict ?? { outcome, reason: "" };
  return {
    ...job,
    phase: "ended",
    runner: null,
    notBeforeMs: null,
    verdict,
    checkpoint: {},
    updatedAtMs: nowMs,
    endedAtMs: nowMs,
  };
}

/** In any state before the end; the first one to ask is kept. */
export function cancelAsked(job: Job, by: string, nowMs: number): Job {
  assertLiving(job);
  return job.cancel === undefined ? { ...job, cancel: { atMs: nowMs, by: short(by) }, updatedAtMs: nowMs } : job;
}

export interface JobView {
  readonly isKnown: boolean;
  /** Its runner's record is there. */
  readonly isHeld: boolean;
  readonly triesMax: number;
}

export function shownState(job: Job, { isKnown, isHeld, triesMax }: JobView): ShownState {
  if (job.phase === "ended") return job.verdict?.outcome ?? "done";
  if (!isKnown) return "unknown";
  if (job.phase === "undo") return job.failures >= triesMax ? "stuck" : "undoing";
  if (job.runner !== null && isHeld) return "running";
  return job.startedAtMs === null ? "queued" : "waiting";
}

function assertLiving(job: Job): void {
  if (job.phase === "ended") throw new AndironError("internal", `the job ${job.id} has ended`);
}

function assertClaimed(job: Job, phase?: Job["phase"]): void {
  assertLiving(job);
  if (job.runner === null) throw new AndironError("internal", `the job ${job.id} is claimed by nobody`);
  if (phase !== undefined && job.phase !== phase) throw new AndironError("internal", `the job ${job.id} is in ${job.phase}`);
}

const short = (text: string): string => text.toWellFormed().slice(0, jobBounds.reasonLengthMax).toWellFormed();
