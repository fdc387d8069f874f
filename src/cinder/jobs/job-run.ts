// One claimed job on its way: steps until it ends, has to wait, or the claim is lost.
//
//        ┌──────────── more ────────────┐
//        ▼                              │
//   work: step ──► commit (checkpoint) ─┼─ done ──────────────────────► ended
//        │ failed, cancelled            │
//        ├── may be tried again ──► waits, claimed by nobody (another run will follow)
//        └── else ──► undo: undo() ──► commit (settle) ────────────────► ended
//
// Nothing is believed but what a commit has written: after any error the record says where the next run begins. When not even
// the failure can be written the run ends, and the job is found as one that is ours and that nothing here runs.
//
// A step that was given up may still be under way while the next one is: each has a JobRun of its own, and one that was broken
// off stays so.

import { AndironError } from "../../common/errors.ts";
import type { CinderPorts } from "../ports.ts";
import type { Tx } from "../../registry/atomic.ts";
import { ClaimLost, commitClaimed } from "./job-claims.ts";
import type { JobKind, JobRun } from "./job-kind.ts";
import { deadlyReason, decide, describe, pauseMs, pauseMsMax, takeoverPauseMs } from "./job-policy.ts";
import { advanced, condemned, ended, leavingBehind, postponed, released } from "./job-states.ts";
import type { Job, JobOutcome } from "./job.ts";

/** Told of what happens, for the metrics. */
export interface JobObserver {
  progressed(kind: string, unit: string, amount: number): void;
  failed(kind: string): void;
  ended(kind: string, outcome: JobOutcome): void;
}

export interface RunPorts extends Pick<CinderPorts, "store" | "index" | "clock" | "random" | "onTrouble"> {
  readonly observer: JobObserver;
  readonly triesMax: number;
  /** Whether the claims of `runner` are certainly its own now. */
  readonly isCertain: (runner: string) => boolean;
}

const stepMs = 5000;
/** How long a step may go on after it was broken off. */
const breakOffMsMax = 5000;

export class ClaimedJob {
  readonly #ports: RunPorts;
  readonly #kind: JobKind;
  #job: Job;
  #step = new AbortController();
  #stopping = false;
  /** What is outside of the registry was taken back, in this run. */
  #undone = false;
  #wakeUp: () => void = () => undefined;

  constructor(ports: RunPorts, kind: JobKind, job: Job) {
    this.#ports = ports;
    this.#kind = kind;
    this.#job = job;
  }

  /** Somebody asked for its end, as the index shows it, and it is not being undone yet. */
  isCancelled(): boolean {
    const { id, phase, cancel } = this.#job;
    return phase === "work" && (cancel ?? this.#ports.index.jobs.get(id)?.cancel) !== undefined;
  }

  /** Breaks off the step under way; what follows is decided by the record. */
  interrupt(): void {
    this.#step.abort();
  }

  /** Breaks off the step and gives the job back. */
  stop(): void {
    this.#stopping = true;
    this.#step.abort();
    this.#wakeUp();
  }

  /** Resolves when the job has ended or is not ours any more. Never rejects. */
  async run(): Promise<void> {
    try {
      await this.#rest(takeoverPauseMs(this.#job, this.#ports.random));
      while (this.#job.phase !== "ended" && this.#job.runner !== null) {
        this.#job = this.#stopping ? await this.#commit(async (_tx, job) => released(job, this.#nowMs())) : await this.#next();
      }
    } catch (error) {
      if (error instanceof ClaimLost) return;
      this.#ports.onTrouble(`writing down what became of ${this.#name()}; it is taken up again`, error);
    }
  }

  async #next(): Promise<Job> {
    try {
      return this.#job.phase === "work" ? await this.#work() : await this.#undo();
    } catch (error) {
      if (error instanceof ClaimLost) throw error;
      if (this.#stopping) return this.#job; // given back by run()
      return this.#job.phase === "work" ? this.#workFailed(error) : this.#undoFailed(error);
    }
  }

  async #work(): Promise<Job> {
    const before = this.#job;
    const deadly = deadlyReason(before);
    if (deadly !== undefined) return this.#condemn("failed", deadly);
    if (this.isCancelled()) return this.#commit(async (_tx, job) => this.#cancelled(job) ?? job);
    const effect = await this.#timed((run) => this.#kind.work(before, run));
    const after = await this.#commit(async (tx, job) => {
      const cancelled = this.#cancelled(job);
      if (cancelled !== undefined) return cancelled;
      const advance = await this.#kind.advance(tx, job, effect);
      if (advance.next === "more") return advanced(job, advance, this.#nowMs());
      const done = advance.done ?? job.progress.total ?? job.progress.done;
      return { ...ended(job, "done", this.#nowMs()), progress: { ...job.progress, done } };
    });
    const amount = after.progress.done - before.progress.done;
    if (amount > 0) this.#ports.observer.progressed(before.kind, before.progress.unit, amount);
    if (after.phase === "ended") this.#ports.observer.ended(before.kind, "done");
    return after;
  }

  async #workFailed(error: unknown): Promise<Job> {
    const nowMs = this.#nowMs();
    let isFailure = false;
    const after = await this.#commit(async (_tx, job) => {
      const cancelled = this.#cancelled(job);
      isFailure = cancelled === undefined;
      if (cancelled !== undefined) return cancelled;
      const decision = decide(job, error, {
        random: this.#ports.random,
        nowMs,
        triesMax: this.#kind.triesMax ?? this.#ports.triesMax,
      });
      if (!decision.again) return condemned(job, { outcome: "failed", reason: decision.reason }, nowMs);
      return postponed(job, describe(error), decision.atMs, nowMs);
    });
    if (!isFailure) return after;
    this.#ports.observer.failed(after.kind);
    const then = after.phase === "undo" ? "given up" : "it is tried again";
    this.#ports.onTrouble(`a step of ${this.#name()} failed: ${then}`, error);
    return after;
  }

  async #undo(): Promise<Job> {
    const before = this.#job;
    if (before.leftovers !== true && !this.#undone) {
      if ((await this.#timed(async (run) => this.#kind.undo?.(before, run))) === "more") return before;
      this.#undone = true;
    }
    const messageId = this.#ports.random.uuid();
    const after = await this.#commit(async (tx, job) => {
      const verdict = job.verdict!;
      await this.#kind.settle(tx, job, verdict, messageId);
      return ended(job, verdict.outcome, this.#nowMs());
    });
    this.#ports.observer.ended(after.kind, after.verdict!.outcome);
    return after;
  }

  async #undoFailed(error: unknown): Promise<Job> {
    const nowMs = this.#nowMs();
    const { random, triesMax, observer } = this.#ports;
    const after = await this.#commit(async (_tx, job) => {
      const isExternal = job.leftovers !== true && !this.#undone;
      if (isExternal && job.failures + 1 >= triesMax) return leavingBehind(job, describe(error), nowMs);
      return postponed(job, describe(error), nowMs + pauseMs(job.failures, random, pauseMsMax), nowMs);
    });
    observer.failed(after.kind);
    const isBad = after.leftovers === true || after.failures >= triesMax;
    this.#ports.onTrouble(`undoing ${this.#name()} failed${isBad ? ` ${triesMax} times: an operator should look` : ""}`, error);
    return after;
  }

  #condemn(outcome: JobOutcome, reason: string): Promise<Job> {
    return this.#commit(async (_tx, job) => condemned(job, { outcome, reason }, this.#nowMs()));
  }

  /** The job on its way back, when somebody asked for that. */
  #cancelled(job: Job): Job | undefined {
    if (job.cancel === undefined) return undefined;
    return condemned(job, { outcome: "cancelled", reason: `cancelled by ${job.cancel.by}` }, this.#nowMs());
  }

  #commit(change: (tx: Tx, job: Job) => Promise<Job>): Promise<Job> {
    return commitClaimed(this.#ports, this.#job, change);
  }

  /** One step, for as long as its kind allows. One that goes on after that finds its claim lost. */
  async #timed<T>(work: (run: JobRun) => Promise<T>): Promise<T> {
    const step = new AbortController();
    this.#step = step;
    const { stepTimeoutMs } = this.#kind;
    let expire: (error: Error) => void = () => undefined;
    const expired = new Promise<never>((_resolve, reject) => (expire = reject));
    const end = (what: string): void => expire(new AndironError("job_timeout", `a step ${what}`));
    const timers = [
      this.#ports.clock.after(stepTimeoutMs, () => {
        end(`took longer than ${stepTimeoutMs / 1000} seconds`);
        step.abort();
      }),
    ];
    step.signal.addEventListener("abort", () => {
      timers.push(this.#ports.clock.after(breakOffMsMax, () => end("was broken off, and did not end")));
    });
    try {
      return await Promise.race([work(this.#runOf(step.signal)), expired]);
    } finally {
      for (const timer of timers) timer.cancel();
    }
  }

  #runOf(signal: AbortSignal): JobRun {
    const { clock, isCertain } = this.#ports;
    const beganMs = clock.monotonicMs();
    return {
      signal,
      mayAct: () => {
        const { runner } = this.#job;
        return !this.#stopping && !signal.aborted && runner !== null && isCertain(runner);
      },
      shouldYield: () => signal.aborted || this.isCancelled() || clock.monotonicMs() - beganMs >= stepMs,
    };
  }

  async #rest(ms: number): Promise<void> {
    if (ms === 0 || this.#stopping) return;
    await new Promise<void>((resolve) => {
      const timer = this.#ports.clock.after(ms, resolve);
      this.#wakeUp = () => {
        timer.cancel();
        resolve();
      };
    });
  }

  #nowMs(): number {
    return this.#ports.clock.wallMs();
  }

  #name(): string {
    const { kind, id, resource } = this.#job;
    return `job ${id} (${kind} of ${resource.type} ${resource.id})`;
  }
}
