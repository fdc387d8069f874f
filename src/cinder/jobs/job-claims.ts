// Claims, and writes that only the claimant can do. A claim is a runner and a generation in the job's record; each write
// reads the record in its transaction and insists on both. So of several that believe to have a job, one at most can write.

import type { Tx } from "../../registry/atomic.ts";
import { keyOf, jobKind, jobRunnerKind, readRecord, writeRecord } from "../records.ts";
import type { RecordStore } from "../record-store.ts";
import type { Clock } from "../../common/clock.ts";
import type { Job } from "./job.ts";
import { claimed } from "./job-states.ts";

/** Another process has the job now, or it has ended. Nothing was written, and nothing is to be done. */
export class ClaimLost extends Error {
  override readonly name = "ClaimLost";
}

interface ClaimPorts {
  readonly store: RecordStore;
  readonly clock: Clock;
}

/**
 * The job as claimed by `runner`; undefined when somebody else has it, it has ended, or `runner` is not present any more.
 * `runsHere`: whether this process runs the job; it is asked in the transaction.
 */
export function claimJob(ports: ClaimPorts, proposed: Job, runner: string, runsHere: () => boolean): Promise<Job | undefined> {
  return ports.store.commit(proposed.projectId, async (tx) => {
    const job = await readRecord(tx, jobKind, proposed.id);
    if (job === undefined || job.phase === "ended" || runsHere()) return undefined;
    if (job.runner !== null && job.runner !== runner && (await isPresent(tx, job.runner))) return undefined;
    if (!(await isPresent(tx, runner))) return undefined;
    const taken = claimed(job, runner, ports.clock.wallMs());
    writeRecord(tx, jobKind, job.id, taken);
    return taken;
  });
}

/** Runs `change` over the job as it is, in one transaction with what else it does through `tx`; rejects with ClaimLost. */
export function commitClaimed(ports: ClaimPorts, claim: Job, change: (tx: Tx, job: Job) => Promise<Job>): Promise<Job> {
  return ports.store.commit(claim.projectId, async (tx) => {
    const job = await readRecord(tx, jobKind, claim.id);
    if (job === undefined || job.runner === null || job.runner !== claim.runner || job.generation !== claim.generation) {
      throw new ClaimLost(`the claim of job ${claim.id} is lost`);
    }
    const next = await change(tx, job);
    writeRecord(tx, jobKind, job.id, next);
    return next;
  });
}

async function isPresent(tx: Tx, runner: string): Promise<boolean> {
  return (await tx.get(keyOf(jobRunnerKind, runner))) !== undefined;
}
