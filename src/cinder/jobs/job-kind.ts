// What a kind of job says of itself: what one step does, and what remains of a job that comes to nothing. The mechanism
// (job-run.ts) does the rest: claims, fences, retries, ends.
//
//   work() ─► advance(tx) ─┬─ more ──► work() ...
//                          └─ done: the resource is what was asked for ──► ended
//   cancelled, failed ─► undo() until it says done ─► settle(tx): the resource says what became of it ──► ended
//
// - work() and undo() act outside of transactions and may be done again from the same checkpoint, by any process, after any
//   part of them was done. advance() and settle() act through `tx` alone, and may run several times.
// - advance() that ends, and settle(), take the job's id off the resource, in the same transaction. A resource that does not bear
//   the job's id any more is left alone.
// - Refusals are thrown; job-policy.ts says which of them may be tried again.

import type { Tx } from "../../registry/atomic.ts";
import type { Job, JobData, JobVerdict } from "./job.ts";

/** What the process that has the job gives to a step. */
export interface JobRun {
  /** Ends with the claim, with a cancel, and when the process stops: the step should throw or return soon. */
  readonly signal: AbortSignal;
  /** False when the lease may be lost: ask right before an effect outside of the registry that can't be taken back. */
  mayAct(): boolean;
  /** True when the step has had its time, or is not wanted any more: return, so that what was done is written down. */
  shouldYield(): boolean;
}

export type JobAdvance =
  | { readonly next: "more"; readonly checkpoint: JobData; readonly done: number; readonly total?: number | null }
  | { readonly next: "done"; readonly done?: number };

export interface JobKind<Effect = unknown> {
  /** For ever. */
  readonly name: string;
  /** Of params and checkpoint; older ones are read too. */
  readonly version: number;
  /** Of its progress. */
  readonly unit: string;
  /** Jobs of the kind at a time in one process. */
  readonly runningMax: number;
  /** After this time a step counts as failed. */
  readonly stepTimeoutMs: number;
  /** Failures without progress; absent: as the configuration has it. */
  readonly triesMax?: number;
  /** After this time from the request on no failure is forgiven. */
  readonly deadlineMs: number;
  work(job: Job, run: JobRun): Promise<Effect>;
  advance(tx: Tx, job: Job, effect: Effect): Promise<JobAdvance>;
  /** Takes back what is outside of the registry. "more": it was told to yield, and goes on later. */
  undo?(job: Job, run: JobRun): Promise<"more" | "done">;
  /** `messageId`: for a message to the user, the same at each run of the transaction. */
  settle(tx: Tx, job: Job, verdict: JobVerdict, messageId: string): Promise<void>;
}

/** What a request asks for; the mechanism fills in the rest. */
export interface NewJob {
  readonly id: string;
  readonly projectId: string;
  readonly requestId: string;
  readonly resource: Job["resource"];
  readonly params: JobData;
  readonly total: number | null;
  /** Nobody begins it earlier, unless releaseJob() lets it go; at most a minute from now. */
  readonly notBeforeMs?: number;
}
