// How a request leaves a job, asks for a job's end, and waits for it. All that is left is records: which process does the work is
// not decided here (job-runner.ts).

import { AndironError } from "../../common/errors.ts";
import type { Tx } from "../../registry/atomic.ts";
import type { CinderPorts } from "../ports.ts";
import { jobKind, readRecord, writeRecord } from "../records.ts";
import type { Job } from "./job.ts";
import type { JobKind, NewJob } from "./job-kind.ts";
import { cancelAsked, newJob } from "./job-states.ts";

const lookAgainMs = 100;
const giveWayMsMax = 30_000;

type QueuePorts = Pick<CinderPorts, "store" | "index" | "clock" | "settings">;

export class JobQueue {
  readonly #ports: QueuePorts;
  readonly #wake: () => void;

  /** `wake`: there may be work; called after the commit, by those who commit. */
  constructor(ports: QueuePorts, wake: () => void) {
    this.#ports = ports;
    this.#wake = wake;
  }

  /** Adds a job to the request's transaction; throws limit_exceeded when there are too many. Call wake() after the commit. */
  async enqueue(tx: Tx, kind: JobKind, request: NewJob): Promise<Job> {
    await this.#checkRoom(request.projectId);
    return this.put(tx, kind, request);
  }

  /** The same for what was accepted long ago: there is always room. */
  put(tx: Tx, kind: JobKind, request: NewJob): Job {
    const job = newJob(kind, request, this.#ports.clock.wallMs());
    writeRecord(tx, jobKind, job.id, job);
    return job;
  }

  wake(): void {
    this.#wake();
  }

  /** Asks for the job's end and waits for it; owner_unreachable when that takes too long (the request for its end stays). */
  async giveWay(id: string, by: string): Promise<void> {
    const { store, index, clock } = this.#ports;
    await store.commit(`job ${id}`, (tx) => cancelJob(tx, id, by, clock.wallMs()));
    this.#wake();
    const untilMs = clock.monotonicMs() + giveWayMsMax;
    for (;;) {
      await index.fresh();
      const job = index.jobs.get(id);
      if (job === undefined || job.phase === "ended") return;
      if (clock.monotonicMs() >= untilMs) {
        throw new AndironError("owner_unreachable", `job ${id} was cancelled and has not ended yet`);
      }
      await clock.sleep(lookAgainMs);
    }
  }

  /** From the index: requests of the same instant may pass together. */
  async #checkRoom(projectId: string): Promise<void> {
    const { index, settings } = this.#ports;
    const { waitingMax, waitingPerProjectMax } = settings.jobs;
    await index.fresh();
    let all = 0;
    let ofProject = 0;
    for (const job of index.jobs.values()) {
      if (job.phase === "ended") continue;
      all++;
      if (job.projectId === projectId) ofProject++;
    }
    if (ofProject >= waitingPerProjectMax) {
      throw new AndironError("limit_exceeded", `more than ${waitingPerProjectMax} long operations of one project are under way`);
    }
    if (all >= waitingMax) throw new AndironError("limit_exceeded", `more than ${waitingMax} long operations are under way`);
  }
}

/** Marks the job; false when there is none, or it has ended. A second mark changes nothing. */
export async function cancelJob(tx: Tx, id: string, by: string, nowMs: number): Promise<boolean> {
  const job = await readRecord(tx, jobKind, id);
  if (job === undefined || job.phase === "ended") return false;
  writeRecord(tx, jobKind, id, cancelAsked(job, by, nowMs));
  return true;
}

/** Lets a job go that was held back (NewJob.notBeforeMs); false when it is not to be worked on any more. */
export async function releaseJob(tx: Tx, id: string): Promise<boolean> {
  const job = await readRecord(tx, jobKind, id);
  if (job?.phase !== "work" || job.cancel !== undefined) return false;
  writeRecord(tx, jobKind, id, { ...job, notBeforeMs: null });
  return true;
}
