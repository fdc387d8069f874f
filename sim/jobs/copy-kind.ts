// A kind of job for the simulator, shaped as the real ones that copy: a volume in `downloading` gets chunks, outside of the
// registry, some in each step. Its steps fail, hang, kill their process and do nothing, as chance has it.
//
//   downloading ── all chunks ──► available        cancelled ──► gone, with its quota        failed ──► error

import { AndironError } from "../../src/common/errors.ts";
import type { JobAdvance, JobKind, JobRun } from "../../src/cinder/jobs/job-kind.ts";
import { newJob } from "../../src/cinder/jobs/job-states.ts";
import type { Job, JobVerdict } from "../../src/cinder/jobs/job.ts";
import type { Volume } from "../../src/cinder/model.ts";
import type { CinderPorts } from "../../src/cinder/ports.ts";
import { deleteRecord, jobKind, readRecord, volumeKind, writeRecord } from "../../src/cinder/records.ts";
import type { Tx } from "../../src/registry/atomic.ts";
import type { Life } from "../life.ts";
import type { World } from "../world.ts";
import { JobFaults } from "./job-faults.ts";
import type { Outside } from "./outside.ts";

interface CopyWorld {
  readonly world: World;
  readonly life: Life;
  readonly outside: Outside;
  readonly ports: CinderPorts;
}

export class SimCopy implements JobKind<number> {
  readonly name = "sim-copy";
  readonly version = 1;
  readonly unit = "chunks";
  readonly runningMax = 3;
  readonly stepTimeoutMs = 40_000;
  readonly deadlineMs = 3600_000;
  readonly #at: CopyWorld;
  readonly #faults: JobFaults;

  constructor(at: CopyWorld) {
    this.#at = at;
    this.#faults = new JobFaults(at.life, at.outside);
  }

  /** The request: status, quota and job in one transaction. */
  async request(volume: Volume, chunks: number): Promise<void> {
    const { store, ledger, clock } = this.#at.ports;
    const id = this.#at.ports.random.uuid();
    await store.commit(volume.projectId, async (tx) => {
      const { projectId, typeId, sizeGib } = volume;
      await ledger.charge(tx, { projectId, typeId, volumes: 1, gigabytes: sizeGib });
      await this.#at.ports.control.createVdisk(tx, { id: volume.id, pool: "p1", name: volume.id, sizeBytes: 1 });
      writeRecord(tx, volumeKind, volume.id, { ...volume, jobId: id });
      const request = { id, projectId, requestId: "req-sim", params: { chunks }, total: chunks };
      writeRecord(tx, jobKind, id, newJob(this, { ...request, resource: { type: "volume", id: volume.id } }, clock.wallMs()));
    });
  }

  async work(job: Job, run: JobRun): Promise<number> {
    const from = nextOf(job);
    const until = Math.min(from + 1 + this.#faults.below(4), Number(job.params["chunks"]));
    await this.#faults.strike();
    for (let chunk = from; chunk < until; chunk++) {
      await this.#at.life.later(300);
      if (!run.mayAct()) throw new AndironError("lease_lost", "not certain to have the job");
      this.#at.outside.act(this.#at.world, job, (chunks) => void chunks.add(chunk));
      if (run.shouldYield()) return chunk + 1;
    }
    return this.#faults.isHit() ? from : until;
  }

  async advance(tx: Tx, job: Job, next: number): Promise<JobAdvance> {
    const volume = await this.#volume(tx, job);
    if (volume === undefined || next === Number(job.params["chunks"])) {
      if (volume !== undefined) this.#free(tx, volume, "available");
      return { next: "done" };
    }
    return { next: "more", checkpoint: { next }, done: next };
  }

  async undo(job: Job, run: JobRun): Promise<"more" | "done"> {
    await this.#faults.strike();
    await this.#at.life.later(300);
    if (!run.mayAct()) throw new AndironError("lease_lost", "not certain to have the job");
    this.#at.outside.act(this.#at.world, job, (chunks) => chunks.clear());
    return "done";
  }

  async settle(tx: Tx, job: Job, verdict: JobVerdict): Promise<void> {
    if (this.#faults.isHit()) throw new AndironError("backend_unavailable", "simulated");
    const volume = await this.#volume(tx, job);
    if (volume === undefined) return;
    if (verdict.outcome === "failed") return this.#free(tx, volume, "error");
    const { projectId, typeId, sizeGib } = volume;
    await this.#at.ports.control.deleteVdisk(tx, volume.id);
    deleteRecord(tx, volumeKind, volume.id);
    await this.#at.ports.ledger.release(tx, { projectId, typeId, volumes: 1, gigabytes: sizeGib });
  }

  #free(tx: Tx, volume: Volume, status: Volume["status"]): void {
    const { jobId: _ended, ...rest } = volume;
    writeRecord(tx, volumeKind, volume.id, { ...rest, status });
  }

  async #volume(tx: Tx, job: Job): Promise<Volume | undefined> {
    const volume = await readRecord(tx, volumeKind, job.resource.id);
    return volume?.jobId === job.id ? volume : undefined;
  }
}

const nextOf = (job: Job): number => Number(job.checkpoint["next"] ?? 0);
