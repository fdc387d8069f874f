// When a job that failed is tried again, and when no more. Pure: time and chance are parameters.
//
//   failure ─► lasting? ── yes ──► give up
//                 │ no
//                 ▼
//          tries or time used up? ── yes ──► give up
//                 │ no
//                 ▼
//          again, after a pause that doubles

import { AndironError, type ErrorKind } from "../../common/errors.ts";
import type { Random } from "../../common/random.ts";
import { CinderFault } from "../faults.ts";
import type { Job } from "./job.ts";

const pauseMsMin = 1000;
export const pauseMsMax = 60_000;
/** Deaths of its process without progress: from the first number on with a pause, up to the second. */
const takeoversAtOnce = 3;
const takeoversMax = 50;
const takeoverPauseMsMax = 10_000;

const forgiven: Readonly<Record<ErrorKind, boolean>> = {
  invalid: false,
  "not-found": false,
  forbidden: false,
  data: false,
  conflict: true,
  "over-limit": true,
  unavailable: true,
  "no-space": true,
  fenced: true,
  internal: true,
};

/** True when trying again can help. What is no error of ours is a bug, and may be one of the moment. */
export function isForgiven(error: unknown): boolean {
  if (error instanceof CinderFault) return false;
  return error instanceof AndironError ? forgiven[error.kind] : true;
}

export type Decision = { readonly again: true; readonly atMs: number } | { readonly again: false; readonly reason: string };

export interface PolicyPorts {
  readonly random: Random;
  readonly nowMs: number;
  readonly triesMax: number;
}

/** After a failure in `work`. `job` is as it was before. */
export function decide(job: Job, error: unknown, { random, nowMs, triesMax }: PolicyPorts): Decision {
  const text = describe(error);
  const tries = job.failures + 1;
  if (!isForgiven(error)) return { again: false, reason: text };
  if (tries >= triesMax) return { again: false, reason: `${text} (given up after ${tries} tries)` };
  if (nowMs >= job.deadlineMs) return { again: false, reason: `${text} (and its time is over)` };
  return { again: true, atMs: nowMs + pauseMs(job.failures, random, pauseMsMax) };
}

/** Between half and all of what doubles with each failure. */
export function pauseMs(failures: number, random: Random, mostMs: number): number {
  const wholeMs = Math.min(pauseMsMin * 2 ** Math.min(failures, 20), mostMs);
  return Math.ceil(wholeMs / 2) + random.below(Math.floor(wholeMs / 2) + 1);
}

/** How long a claim that was taken from the dead waits before its first step. */
export function takeoverPauseMs(job: Job, random: Random): number {
  return job.takeovers < takeoversAtOnce ? 0 : pauseMs(job.takeovers - takeoversAtOnce, random, takeoverPauseMsMax);
}

/** The reason to give a job up that was claimed just now: the processes that work on it die. */
export function deadlyReason(job: Job): string | undefined {
  return job.takeovers < takeoversMax ? undefined : `the process died ${job.takeovers} times while it worked on this`;
}

/** Wall time may have gone back: nobody waits longer than the longest pause. */
export function isDue(job: Job, nowMs: number): boolean {
  if (job.notBeforeMs === null || job.notBeforeMs <= nowMs || job.notBeforeMs > nowMs + pauseMsMax) return true;
  return job.cancel !== undefined && job.phase === "work";
}

export function describe(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
