// Long jobs, from a seed: some processes, users that create, copy, snapshot, cascade, cancel and delete by force, deaths between
// any two calls to the registry, lost leases, a machine that stands still. Then all faults end, and everything must come to rest:
// each job ended, no status in passing, quotas equal to sums, chunks where a volume says so and nowhere else.

import { admin, requestContext } from "../../src/cinder/cinder-fixture.ts";
import { defaultListQuery } from "../../src/cinder/list-query.ts";
import { cancelJob } from "../../src/cinder/jobs/job-queue.ts";
import type { Volume } from "../../src/cinder/model.ts";
import { jobRunnerKind, volumeKind, writeRecord } from "../../src/cinder/records.ts";
import { describeError, World } from "../world.ts";
import { ClaimJudge } from "./claim-judge.ts";
import { Outside } from "./copy-kind.ts";
import { JobProcess } from "./job-process.ts";

export interface JobOutcomes {
  readonly problem: string | undefined;
  readonly events: readonly string[];
  readonly traceHash: string;
  readonly deaths: number;
  readonly takeovers: number;
  readonly ended: Readonly<Record<"done" | "failed" | "cancelled", number>>;
}

const troubledMs = 150_000;
const restMsMax = 30 * 60_000;
const context = requestContext("demo", false);
const forever = Number.MAX_SAFE_INTEGER;

export async function simulateJobs(seed: number): Promise<JobOutcomes> {
  const world = await World.make(seed);
  const rejected = (error: unknown): void => world.accuse(`a promise was rejected and nobody listened: ${describeError(error)}`);
  process.on("unhandledRejection", rejected);
  const run = new JobSimulation(world);
  try {
    await run.all();
    const { violation, events } = world;
    const { takeovers, outcomes } = run.judge;
    const counted = { deaths: run.deaths, takeovers, ended: outcomes };
    return { problem: violation?.message, events: [...events], traceHash: world.traceHash(), ...counted };
  } finally {
    process.off("unhandledRejection", rejected);
    run.judge.close();
    await world.close();
  }
}

class JobSimulation {
  readonly judge: ClaimJudge;
  readonly #world: World;
  readonly #outside = new Outside();
  #processes: JobProcess[] = [];
  deaths = 0;

  constructor(world: World) {
    this.#world = world;
    this.judge = new ClaimJudge(world);
  }

  async all(): Promise<void> {
    const { clock, random } = this.#world;
    const count = 1 + random.below(3);
    this.#outside.faults = [0, 30, 150][random.below(3)]!;
    const endMs = clock.monotonicMs() + troubledMs;
    let nextMs = 0;
    while (clock.monotonicMs() < endMs && this.#world.violation === undefined) {
      this.#replaceDead(count, () => 20 + random.below(2 ** (4 + random.below(9))));
      if (clock.monotonicMs() >= nextMs) {
        this.#disturb();
        nextMs = clock.monotonicMs() + random.below(3000);
      }
      await clock.step();
    }
    this.#outside.faults = 0;
    for (const process of this.#processes) process.life.spare(forever);
    this.#world.note("the faults end");
    await this.#rest();
    for (const process of this.#processes) process.life.kill();
  }

  #replaceDead(count: number, fuse: () => number): void {
    const living = this.#processes.filter((process) => process.life.isAlive);
    this.deaths += this.#processes.length - living.length;
    while (living.length < count) {
      const process = new JobProcess(this.#world, this.#outside, fuse());
      process.start();
      living.push(process);
    }
    this.#processes = living;
  }

  #disturb(): void {
    const { random } = this.#world;
    const serving = this.#processes.filter((process) => process.isServing);
    const process = serving[random.below(Math.max(serving.length, 1))];
    if (process === undefined) return;
    const volumes = [...process.ports.index.volumes.all];
    const volume = volumes[random.below(Math.max(volumes.length, 1))];
    const { cinder, ports } = process;
    const dice = random.below(100);
    if (dice < 25 || volume === undefined) {
      if (volumes.length < 12) void process.ask("copy", () => process.copy.request(this.#draft(process), 1 + random.below(20)));
    } else if (dice < 50) {
      for (let i = random.below(8); i >= 0; i--) {
        void process.ask("snapshot", () => cinder.snapshots.create(context, { volumeId: volume.id, allowInUse: false }));
      }
    } else if (dice < 70) {
      void process.ask("cascade", () => cinder.volumes.delete(context, volume.id, { cascade: true, force: false }));
    } else if (dice < 80) {
      void process.ask("force delete", () => cinder.volumeActions.forceDelete(admin, volume.id));
    } else if (dice < 90) {
      const { jobId } = volume;
      if (jobId === undefined) return;
      void process.ask("cancel", () => ports.store.commit("x", (tx) => cancelJob(tx, jobId, "the user", ports.clock.wallMs())));
    } else if (dice < 94) {
      this.#world.note("the machine stands still");
      this.#world.clock.jump(random.below(40_000));
    } else if (dice < 98) {
      void this.#betray();
    } else {
      process.life.kill();
    }
  }

  #draft(process: JobProcess): Volume {
    const id = this.#world.random.uuid();
    const unset = { name: null, description: null, migrationStatus: null, previousStatus: null, typeId: null, groupId: null };
    const origin = { snapshotId: null, sourceVolumeId: null, bootable: false, multiattach: false, availabilityZone: "nova" };
    const texts = { metadata: {}, adminMetadata: {}, imageMetadata: {}, attachmentIds: [] };
    const times = { createdAtMs: process.ports.clock.wallMs(), updatedAtMs: null };
    const state = { status: "downloading", attachStatus: "detached", snapshotCount: 0, consumesQuota: true } as const;
    const whose = { projectId: "demo", userId: "u", host: "andiron@p1#p1", sizeGib: 1 + this.#world.random.below(9) };
    return { v: 1, id, ...unset, ...origin, ...texts, ...times, ...state, ...whose };
  }

  /** Takes a lease away behind the back of its process, which can't know before the next renewal. */
  async #betray(): Promise<void> {
    const { registry, random } = this.#world;
    const { entries } = await registry.range({ prefix: jobRunnerKind.prefix });
    const entry = entries[random.below(Math.max(entries.length, 1))];
    if (entry?.leaseId === undefined) return;
    this.#outside.betrayed.add(entry.key.slice(jobRunnerKind.prefix.length));
    this.#world.note(`the lease of ${entry.key} is revoked`);
    await registry.revokeLease(entry.leaseId);
  }

  /** No faults any more: all must end, by itself. */
  async #rest(): Promise<void> {
    const { clock } = this.#world;
    const endMs = clock.monotonicMs() + restMsMax;
    let verdict: string | undefined = "it never looked";
    let nextMs = 0;
    while (this.#world.violation === undefined && clock.monotonicMs() < endMs && verdict !== undefined) {
      this.#replaceDead(2, () => forever);
      await clock.step();
      if (clock.monotonicMs() < nextMs) continue;
      nextMs = clock.monotonicMs() + 5000;
      const process = this.#processes.find((one) => one.isServing);
      if (process !== undefined) verdict = this.#findUnfinished(process);
    }
    if (verdict !== undefined) return this.#world.accuse(verdict);
    await this.#finish();
  }

  #findUnfinished({ ports: { index } }: JobProcess): string | undefined {
    const living = [...index.jobs.values()].filter((job) => job.phase !== "ended");
    if (living.length === 0) return undefined;
    const rows = living.map(({ id, phase, runner, failures }) => `${id} ${phase} ${String(runner)} ${failures}`);
    const runners = [...index.jobRunners.values()].map(({ id }) => id);
    return `${living.length} jobs have not ended: ${rows.join(", ")}; runners: ${runners.join(", ")}`;
  }

  async #finish(): Promise<void> {
    const { cinder, ports } = this.#processes.find((one) => one.isServing)!;
    let problem: string | undefined;
    const look = async (): Promise<void> => {
      const sums: Record<string, number> = { volumes: 0, snapshots: 0, gigabytes: 0 };
      // A write of our own: the index has then seen all that was done before.
      await ports.store.commit("x", async (tx) => writeRecord(tx, volumeKind, "last", this.#draft(this.#processes[0]!)));
      await ports.index.fresh();
      for (const volume of ports.index.volumes.select((one) => one.sizeGib > 0))
        problem ??= this.#judgeVolume(volume, ports, sums);
      for (const { volumeId, sizeGib } of (await cinder.snapshots.list(context, defaultListQuery)).items) {
        sums["snapshots"]!++;
        sums["gigabytes"]! += sizeGib;
        if (ports.index.volumes.get(volumeId) === undefined) problem ??= `a snapshot of volume ${volumeId}, which is gone`;
      }
      const usage = ports.index.quotaUsages.get("demo")?.inUse ?? {};
      for (const [key, sum] of Object.entries(sums)) {
        if ((usage[key] ?? 0) !== sum) problem ??= `the quota says ${usage[key] ?? 0} ${key}, there are ${sum}`;
      }
    };
    let isDone = false;
    look().then(
      () => (isDone = true),
      (error: unknown) => this.#world.accuse(describeError(error)),
    );
    while (!isDone && this.#world.violation === undefined) await this.#world.clock.step();
    if (problem !== undefined) this.#world.accuse(problem);
  }

  #judgeVolume(volume: Volume, ports: JobProcess["ports"], sums: Record<string, number>): string | undefined {
    if (volume.jobId === undefined && volume.status === "downloading") return undefined; // the write of #finish
    sums["volumes"]!++;
    sums["gigabytes"]! += volume.sizeGib;
    const { id, status, jobId } = volume;
    if (jobId !== undefined || !["available", "error", "error_deleting"].includes(status)) return `volume ${id} stays ${status}`;
    if (ports.index.snapshots.ofVolume(id).size !== volume.snapshotCount) return `volume ${id} counts its snapshots wrong`;
    const chunks = this.#outside.chunks.get(id)?.size ?? 0;
    if (status === "error" && chunks > 0 && !this.#outside.tainted.has(id))
      return `volume ${id} failed, and has ${chunks} chunks`;
    if (status === "available" && chunks === 0) return `volume ${id} is available without its content`;
    return undefined;
  }
}
