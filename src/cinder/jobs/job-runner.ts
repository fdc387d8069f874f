// The part of a process that works on jobs: it looks for what nobody has, claims it as far as there are places, and runs it.
//
//   looks: when something was queued or has ended here, every lookIntervalMs, when the lease was lost
//   claimed ──► runs (job-run.ts) ──► ended | given back | lost: the place is free
//
// A job is never held by this process alone: whatever is in memory here may be forgotten at any instant.

import type { Timer } from "../../common/clock.ts";
import type { Service } from "../../common/service.ts";
import type { Registry } from "../../registry/registry.ts";
import type { CinderPorts } from "../ports.ts";
import { removeExpiredJobs } from "./ended-jobs.ts";
import { chooseJobs } from "./job-choice.ts";
import { claimJob } from "./job-claims.ts";
import type { JobKind } from "./job-kind.ts";
import { JobPresence } from "./job-presence.ts";
import { JobQueue } from "./job-queue.ts";
import { ClaimedJob, type JobObserver } from "./job-run.ts";
import { countJobs, type JobCounts } from "./job-counts.ts";
import type { Job } from "./job.ts";

export interface JobRunnerOptions {
  readonly registry: Registry;
  readonly observer: JobObserver;
}

const lookIntervalMs = 2000;
const looksPerSweep = 30;
const stopMsMax = 10_000;

export class JobRunner implements Service {
  readonly id = "cinder-jobs";
  readonly queue: JobQueue;
  readonly #ports: CinderPorts;
  readonly #observer: JobObserver;
  readonly #presence: JobPresence;
  readonly #kinds = new Map<string, JobKind>();
  readonly #runs = new Map<string, { readonly job: ClaimedJob; readonly done: Promise<void> }>();
  /** Jobs whose kind or version this build has not, and that were said. */
  readonly #unknown = new Set<string>();
  #look: Promise<void> = Promise.resolve();
  #isLookQueued = false;
  #timer: Timer | undefined;
  #looks = 0;
  #started = false;
  #stopped = false;

  constructor(ports: CinderPorts, { registry, observer }: JobRunnerOptions) {
    this.#ports = ports;
    this.#observer = observer;
    this.queue = new JobQueue(ports, () => void this.#wake());
    this.#presence = new JobPresence({
      ...ports,
      registry,
      host: ports.settings.host,
      leaseTtlMs: ports.settings.jobs.leaseTtlMs,
      onLost: () => this.#letGo(),
    });
  }

  /** Before start(). */
  addKind(kind: JobKind): void {
    this.#kinds.set(kind.name, kind);
  }

  async start(): Promise<void> {
    await this.#presence.register();
    this.#started = true;
    void this.#wake();
    this.#schedule();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#timer?.cancel();
    await this.#look;
    this.#letGo();
    let giveUp: () => void = () => undefined;
    const patience = new Promise<void>((resolve) => (giveUp = resolve));
    const timer = this.#ports.clock.after(stopMsMax, giveUp);
    await Promise.race([Promise.all([...this.#runs.values()].map((run) => run.done)), patience]);
    timer.cancel();
    await this.#presence.stop();
  }

  /** Resolves when nothing runs here, and nothing is there that could be claimed. */
  async idle(): Promise<void> {
    for (;;) {
      await this.#wake();
      if (this.#runs.size === 0) return;
      await Promise.all([...this.#runs.values()].map((run) => run.done));
    }
  }

  /** For the metrics, from the index. */
  counts(): JobCounts {
    const { index, clock, settings } = this.#ports;
    return countJobs(index.jobs.values(), {
      isKnown: (job) => this.#kindOf(job) !== undefined,
      isHeld: (runner) => index.jobRunners.get(runner) !== undefined,
      triesMax: settings.jobs.triesMax,
      nowMs: clock.wallMs(),
    });
  }

  /** Looks soon; one look at a time, and one more for all who ask meanwhile. */
  #wake(): Promise<void> {
    if (this.#isLookQueued || this.#stopped || !this.#started) return this.#look;
    this.#isLookQueued = true;
    this.#look = this.#look.then(async () => {
      this.#isLookQueued = false;
      try {
        await this.#lookAround();
      } catch (error) {
        this.#ports.onTrouble("looking for jobs", error);
      }
    });
    return this.#look;
  }

  #schedule(): void {
    if (this.#stopped) return;
    const aLittle = this.#ports.random.below(lookIntervalMs / 10);
    this.#timer = this.#ports.clock.after(lookIntervalMs + aLittle, () => void this.#wake().then(() => this.#schedule()));
  }

  async #lookAround(): Promise<void> {
    const { index, clock, settings } = this.#ports;
    await index.fresh();
    const runner = this.#presence.id;
    if (this.#stopped || runner === undefined) return;
    if (index.jobRunners.get(runner) === undefined) return this.#presence.recordIsGone(runner);
    for (const { job } of this.#runs.values()) if (job.isCancelled()) job.interrupt();
    this.#sayUnknown();
    const chosen = chooseJobs({
      jobs: index.jobs.values(),
      runningHere: new Set(this.#runs.keys()),
      runner,
      isAlive: (other) => index.jobRunners.get(other) !== undefined,
      kindMax: (job) => this.#kindOf(job)?.runningMax,
      runningMax: settings.jobs.runningMax,
      runningPerProjectMax: settings.jobs.runningPerProjectMax,
      nowMs: clock.wallMs(),
    });
    for (const job of chosen) await this.#claim(job, runner);
    if (this.#looks++ % looksPerSweep === 0) await removeExpiredJobs(this.#ports);
  }

  async #claim(proposed: Job, runner: string): Promise<void> {
    const job = await claimJob(this.#ports, proposed, runner, () => this.#runs.has(proposed.id));
    const kind = job === undefined ? undefined : this.#kindOf(job);
    if (job === undefined || kind === undefined) return;
    const runPorts = {
      ...this.#ports,
      observer: this.#observer,
      isCertain: (id: string) => this.#presence.isCertain(id),
      triesMax: this.#ports.settings.jobs.triesMax,
    };
    const claimed = new ClaimedJob(runPorts, kind, job);
    const done = claimed.run().then(() => {
      this.#runs.delete(job.id);
      void this.#wake();
    });
    this.#runs.set(job.id, { job: claimed, done });
    if (this.#stopped || this.#presence.id !== runner) claimed.stop();
  }

  /** The claims of this process are, or will soon be, anybody's. */
  #letGo(): void {
    for (const { job } of this.#runs.values()) job.stop();
  }

  #kindOf(job: Job): JobKind | undefined {
    const kind = this.#kinds.get(job.kind);
    return kind !== undefined && job.kindVersion <= kind.version ? kind : undefined;
  }

  #sayUnknown(): void {
    for (const job of this.#ports.index.jobs.values()) {
      if (job.phase === "ended" || this.#unknown.has(job.id) || this.#kindOf(job) !== undefined) continue;
      this.#unknown.add(job.id);
      const what = `job ${job.id} is left alone: this build does not know ${job.kind} of version ${job.kindVersion}`;
      this.#ports.onTrouble(what, undefined);
    }
  }
}
