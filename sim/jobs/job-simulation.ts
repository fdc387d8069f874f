// Long jobs, from a seed: some processes, users that ask for what leaves jobs (users.ts), deaths between any two calls to the
// registry, lost leases, a machine that stands still. Then all faults end, and everything must come to rest: each job ended, and
// what rest-judge.ts says.

import { jobRunnerKind } from "../../src/cinder/records.ts";
import { defaultSettings } from "../../src/cinder/settings.ts";
import { describeError, World } from "../world.ts";
import { ClaimJudge } from "./claim-judge.ts";
import { JobProcess } from "./job-process.ts";
import { Outside } from "./outside.ts";
import { RestJudge } from "./rest-judge.ts";
import { Users } from "./users.ts";

export interface JobOutcomes {
  readonly problem: string | undefined;
  readonly events: readonly string[];
  readonly traceHash: string;
  readonly deaths: number;
  readonly takeovers: number;
  readonly ended: Readonly<Record<"done" | "failed" | "cancelled", number>>;
  /** How often one of each kind was done. */
  readonly done: ReadonlyMap<string, number>;
}

const troubledMs = 150_000;
const restMsMax = 30 * 60_000;
/** When nothing is under way: until all has been looked at that nobody was told of. */
const settledMs = 2 * defaultSettings.reconcileIntervalMs + 5000;
const forever = Number.MAX_SAFE_INTEGER;

export async function simulateJobs(seed: number): Promise<JobOutcomes> {
  const world = await World.make(seed);
  const rejected = (error: unknown): void => world.accuse(`a promise was rejected and nobody listened: ${describeError(error)}`);
  process.on("unhandledRejection", rejected);
  const run = new JobSimulation(world);
  try {
    await run.all();
    const { violation, events } = world;
    const { takeovers, outcomes, done } = run.judge;
    const counted = { deaths: run.deaths, takeovers, ended: outcomes, done };
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
  readonly #users: Users;
  #processes: JobProcess[] = [];
  deaths = 0;
  #settleMs = 0;

  constructor(world: World) {
    this.#world = world;
    this.#users = new Users(world);
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
      this.#settle();
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

  #settle(): void {
    const { clock, random } = this.#world;
    if (clock.monotonicMs() < this.#settleMs) return;
    this.#settleMs = clock.monotonicMs() + random.below(1500);
    const process = this.#processes.find((one) => one.isServing && one.life.isAlive);
    if (process !== undefined) void process.settle(random);
  }

  #disturb(): void {
    const { random } = this.#world;
    const serving = this.#processes.filter((process) => process.isServing);
    const process = serving[random.below(Math.max(serving.length, 1))];
    if (process === undefined) return;
    const dice = random.below(100);
    if (dice < 90) {
      this.#users.ask(process);
    } else if (dice < 94) {
      this.#world.note("the machine stands still");
      this.#world.clock.jump(random.below(40_000));
    } else if (dice < 98) {
      void this.#betray();
    } else {
      process.life.kill();
    }
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
    let [nextMs, quietMs] = [0, clock.monotonicMs() + settledMs];
    while (this.#world.violation === undefined && clock.monotonicMs() < Math.min(quietMs, endMs)) {
      this.#replaceDead(2, () => forever);
      this.#settle();
      await clock.step();
      if (clock.monotonicMs() < nextMs) continue;
      nextMs = clock.monotonicMs() + 5000;
      const process = this.#processes.find((one) => one.isServing);
      if (process !== undefined) verdict = this.#findUnfinished(process);
      if (verdict !== undefined) quietMs = clock.monotonicMs() + settledMs;
    }
    if (verdict !== undefined) return this.#world.accuse(verdict);
    await this.#finish();
  }

  #findUnfinished({ ports: { index } }: JobProcess): string | undefined {
    const asked = this.#processes.reduce((sum, process) => sum + process.asked, 0);
    if (asked > 0) return `${asked} requests are not answered`;
    const living = [...index.jobs.values()].filter((job) => job.phase !== "ended");
    if (living.length === 0) return undefined;
    const rows = living.map(({ id, phase, runner, failures }) => `${id} ${phase} ${String(runner)} ${failures}`);
    const runners = [...index.jobRunners.values()].map(({ id }) => id);
    return `${living.length} jobs have not ended: ${rows.join(", ")}; runners: ${runners.join(", ")}`;
  }

  async #finish(): Promise<void> {
    const process = this.#processes.find((one) => one.isServing)!;
    let problem: string | undefined;
    let isDone = false;
    new RestJudge(this.#world, this.#outside, this.#users).look(process).then(
      (found) => ([problem, isDone] = [found, true]),
      (error: unknown) => this.#world.accuse(describeError(error)),
    );
    while (!isDone && this.#world.violation === undefined) await this.#world.clock.step();
    if (problem !== undefined) this.#world.accuse(problem);
  }
}
