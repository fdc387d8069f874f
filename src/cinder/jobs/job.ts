// A job as it lies in the registry, for ever: docs/design/jobs.md has the table. `v` is the version of what stands here,
// `kindVersion` that of `params` and `checkpoint`, which only the job's kind understands.
//
// Ledger: version 1 is the first. Unknown fields are kept by whoever writes a record anew.
// It does not know what may follow what (job-states.ts).

import { AndironError } from "../../common/errors.ts";
import {
  checkFields,
  type FieldTests,
  isCount,
  isObject,
  isText,
  isTime,
  oneOf,
  orNone,
  orNull,
  shaped,
} from "../record-fields.ts";

export const jobPhases = ["work", "undo", "ended"] as const;
export const jobOutcomes = ["done", "failed", "cancelled"] as const;
export type JobOutcome = (typeof jobOutcomes)[number];

/** Plain JSON. */
export type JobData = Readonly<Record<string, unknown>>;

export interface JobProgress {
  /** "bytes", "snapshots": of the kind. */
  readonly unit: string;
  readonly done: number;
  /** Null while it is not known. */
  readonly total: number | null;
}

export interface JobVerdict {
  readonly outcome: JobOutcome;
  /** For people. */
  readonly reason: string;
}

export interface Job {
  readonly v: 1;
  readonly id: string;
  readonly kind: string;
  readonly kindVersion: number;
  readonly projectId: string;
  readonly requestId: string;
  readonly resource: { readonly type: string; readonly id: string };
  readonly params: JobData;
  readonly phase: (typeof jobPhases)[number];
  /** How often it was claimed. */
  readonly generation: number;
  /** Who has it; null for nobody. */
  readonly runner: string | null;
  readonly checkpoint: JobData;
  readonly progress: JobProgress;
  /** Steps that failed since the last progress. */
  readonly failures: number;
  /** Claims that were taken from a dead process since the last progress. */
  readonly takeovers: number;
  /** Steps that failed, in all. */
  readonly retries: number;
  /** When it may be claimed again; null for now. */
  readonly notBeforeMs: number | null;
  readonly deadlineMs: number;
  readonly cancel?: { readonly atMs: number; readonly by: string };
  /** Why it is undone, and how it ended. */
  readonly verdict?: JobVerdict;
  /** Undoing failed: something outside the registry may be left. */
  readonly leftovers?: true;
  readonly lastError?: string;
  readonly createdAtMs: number;
  readonly startedAtMs: number | null;
  readonly updatedAtMs: number;
  readonly endedAtMs: number | null;
}

/** A process that works on jobs; bound to its lease. */
export interface JobRunnerRecord {
  readonly v: 1;
  readonly id: string;
  readonly host: string;
  readonly startedAtMs: number;
}

export const jobBounds = {
  /** Of params, and of a checkpoint, as JSON: the properties of an image fit. */
  dataBytesMax: 24 * 1024,
  /** Of a text for people. */
  reasonLengthMax: 500,
} as const;

const fields: FieldTests<Job> = {
  v: (value) => value === 1,
  id: isText,
  kind: isText,
  kindVersion: isCount,
  projectId: isText,
  requestId: isText,
  resource: shaped({ type: isText, id: isText }),
  params: isObject,
  phase: oneOf(jobPhases),
  generation: isCount,
  runner: orNull(isText),
  checkpoint: isObject,
  progress: shaped({ unit: isText, done: isCount, total: orNull(isCount) }),
  failures: isCount,
  takeovers: isCount,
  retries: isCount,
  notBeforeMs: orNull(isTime),
  deadlineMs: isTime,
  cancel: orNone(shaped({ atMs: isTime, by: isText })),
  verdict: orNone(shaped({ outcome: oneOf(jobOutcomes), reason: isText })),
  leftovers: orNone((value) => value === true),
  lastError: orNone(isText),
  createdAtMs: isTime,
  startedAtMs: orNull(isTime),
  updatedAtMs: isTime,
  endedAtMs: orNull(isTime),
};

/** Throws record_damaged for what is no job, or contradicts itself. */
export function checkJob(key: string, record: Job): void {
  checkFields(`the job ${key}`, record, fields);
  const { phase, runner, verdict, endedAtMs } = record;
  const isConsistent = phase === "ended" ? runner === null && verdict !== undefined && endedAtMs !== null : endedAtMs === null;
  if (!isConsistent || (phase === "undo" && verdict === undefined)) {
    throw new AndironError("record_damaged", `the job ${key} contradicts itself in phase ${phase}`);
  }
}

/** Throws record_too_large for params or a checkpoint beyond dataBytesMax. */
export function checkJobData(what: string, data: JobData): void {
  const bytes = Buffer.byteLength(JSON.stringify(data));
  if (bytes <= jobBounds.dataBytesMax) return;
  throw new AndironError("record_too_large", `${what} has ${bytes} bytes, the most is ${jobBounds.dataBytesMax}`);
}
