// The logs that this router has open, one OpenLog each, however many exports, wishes and views want it.
//
//     closed ──use()──► opening ──► open ──nobody uses it, mayRelease──► draining ──► closed
//                          └ failed: closed     └ failed or fenced: abandoned ──► closed
//
// - use() shares; the last to let go may start the drain. A use() during a drain joins, and the log stays open; only when the
//   drain has come to giving the log back does use() wait for that and open anew.
// - A log that failed (poisoned journal, lost ownership) is abandoned; the next use(), or the sweep, claims it anew.

import type { Clock } from "../common/clock.ts";
import { AndironError } from "../common/errors.ts";
import type { PoolContext } from "./engine-context.ts";
import { engineLimits } from "./limits.ts";
import type { SegmentId } from "./names.ts";
import type { LiveLogs, SegmentEntries } from "./view.ts";
import { OpenLog } from "./vdisk/open-log.ts";

interface Slot {
  readonly opening: Promise<OpenLog>;
  log: OpenLog | undefined;
  users: number;
  draining: Promise<void> | undefined;
  /** The drain has everything in a checkpoint and gives the log back now. */
  closing: boolean;
  abandoning: Promise<void> | undefined;
}

/** Whether a log that nobody uses should be given back, and what must be true at the last moment before. */
export interface ReleasePolicy {
  mayRelease(logId: string): Promise<boolean>;
  /** Called when everything is checkpointed: false when new work has come. */
  beforeRelease(log: OpenLog): Promise<boolean>;
}

export interface LogUse {
  readonly log: OpenLog;
  done(): void;
}

export class OpenLogs implements LiveLogs {
  readonly #contextOf: (logId: string) => Promise<PoolContext>;
  readonly #policy: ReleasePolicy;
  readonly #slots = new Map<string, Slot>();
  /** Logs that were given up in whatever state: still owned by this router until they are claimed anew. */
  readonly #abandoned = new Set<string>();
  #stopping = false;

  constructor(contextOf: (logId: string) => Promise<PoolContext>, policy: ReleasePolicy) {
    this.#contextOf = contextOf;
    this.#policy = policy;
  }

  get openCount(): number {
    return this.#slots.size;
  }

  isOpen(logId: string): boolean {
    return this.#slots.has(logId);
  }

  logs(): OpenLog[] {
    return [...this.#slots.values()].flatMap((slot) => (slot.log === undefined ? [] : [slot.log]));
  }

  /** The log if it is open, and not about to be closed; it is not held open. */
  find(logId: string): OpenLog | undefined {
    const slot = this.#slots.get(logId);
    return slot === undefined || slot.closing || slot.abandoning !== undefined ? undefined : slot.log;
  }

  /** Claims anew what was given up and nobody has asked for since, so that it can be drained. Rejects with the first failure. */
  async reclaimAbandoned(): Promise<void> {
    for (const logId of [...this.#abandoned]) {
      if (this.#slots.has(logId)) continue;
      const use = await this.use(logId);
      use.done();
    }
  }

  async use(logId: string): Promise<LogUse> {
    for (;;) {
      if (this.#stopping) throw new AndironError("shutting_down", "the storage router is stopping");
      const slot = this.#slots.get(logId) ?? this.#open(logId);
      const ending = slot.abandoning ?? (slot.closing ? slot.draining : undefined);
      if (ending !== undefined) {
        // How it ended is for those who began it to say.
        await ending.catch(() => undefined);
        continue;
      }
      slot.users++;
      let log: OpenLog;
      try {
        log = await slot.opening;
      } catch (error) {
        slot.users--;
        throw error;
      }
      if (log.failure === undefined) return { log, done: once(() => this.#letGo(logId, slot)) };
      slot.users--;
      await this.#abandon(logId, slot, log.failure);
    }
  }

  async liveSegment(segment: SegmentId): Promise<SegmentEntries | undefined> {
    const use = await this.use(segment.log);
    try {
      return await use.log.liveSegment(segment);
    } finally {
      use.done();
    }
  }

  /** Gives the log back when nobody uses it and the policy agrees. */
  async release(logId: string): Promise<void> {
    const slot = this.#slots.get(logId);
    if (slot === undefined || slot.users > 0 || slot.draining !== undefined) return;
    slot.draining = this.#drain(logId, slot).finally(() => {
      slot.draining = undefined;
    });
    await slot.draining;
  }

  /** Drains everything. What is not drained in time (0: no limit), or when `hurry` resolves, is abandoned (its journal stays). */
  async stop(clock: Clock, timeoutMs: number, hurry: Promise<unknown> = new Promise(() => undefined)): Promise<void> {
    this.#stopping = true;
    const drains = [...this.#slots].map(([logId, slot]) => this.#drainForStop(logId, slot));
    const late = Promise.withResolvers<void>();
    const timer = timeoutMs === 0 ? undefined : clock.after(timeoutMs, late.resolve);
    await Promise.race([Promise.allSettled(drains), late.promise, hurry]);
    timer?.cancel();
    const reason = new AndironError("shutting_down", "the storage router has stopped");
    await Promise.all([...this.#slots].map(([logId, slot]) => this.#abandon(logId, slot, reason)));
  }

  /** The lease is gone: whatever is open may belong to somebody else by now. */
  async abandonAll(reason: AndironError): Promise<void> {
    await Promise.all([...this.#slots].map(([logId, slot]) => this.#abandon(logId, slot, reason)));
  }

  #open(logId: string): Slot {
    if (this.#slots.size >= engineLimits.openVdisksMax)
      throw new AndironError("limit_exceeded", "too many disks are open on this router");
    const opening = this.#contextOf(logId).then((context) => OpenLog.open(context, logId));
    const slot: Slot = { opening, log: undefined, users: 0, draining: undefined, closing: false, abandoning: undefined };
    this.#slots.set(logId, slot);
    opening.then(
      (log) => {
        slot.log = log;
        this.#abandoned.delete(logId);
      },
      (error: unknown) => {
        // What is damaged stays so; the rest may be claimed at the next try.
        if (error instanceof AndironError && error.kind === "data") this.#abandoned.delete(logId);
        this.#remove(logId, slot);
      },
    );
    return slot;
  }

  #letGo(logId: string, slot: Slot): void {
    slot.users--;
    if (slot.users > 0 || this.#stopping) return;
    // What fails here (the registry is away) the router's sweep tries again, and says why.
    this.release(logId).catch(() => undefined);
  }

  async #drain(logId: string, slot: Slot): Promise<void> {
    const log = await slot.opening;
    if (log.failure !== undefined) return this.#abandon(logId, slot, log.failure);
    if (!(await this.#policy.mayRelease(logId)) || slot.users > 0) return;
    try {
      if (await log.drain(() => this.#mayClose(slot, log))) this.#remove(logId, slot);
    } catch (error) {
      await this.#abandon(
        logId,
        slot,
        error instanceof AndironError ? error : new AndironError("internal", "drain failed", { cause: error }),
      );
    }
  }

  /** Everything is in a checkpoint. From yes on nobody joins any more. */
  async #mayClose(slot: Slot, log: OpenLog): Promise<boolean> {
    slot.closing = slot.users === 0 && (await this.#policy.beforeRelease(log)) && slot.users === 0;
    return slot.closing;
  }

  async #drainForStop(logId: string, slot: Slot): Promise<void> {
    await slot.draining;
    const log = await slot.opening;
    if (log.failure === undefined && (await log.drain(async () => true))) this.#remove(logId, slot);
  }

  /** The slot stays until the files are let go of: a claim that began before would share them. */
  #abandon(logId: string, slot: Slot, reason: AndironError): Promise<void> {
    if (!this.#stopping) this.#abandoned.add(logId);
    slot.abandoning ??= slot.opening
      .then((log) => log.abandon(reason))
      .catch(() => undefined)
      .finally(() => this.#remove(logId, slot));
    return slot.abandoning;
  }

  /** The log may be open in a new slot by now. */
  #remove(logId: string, slot: Slot): void {
    if (this.#slots.get(logId) === slot) this.#slots.delete(logId);
  }
}

function once(run: () => void): () => void {
  let done = false;
  return () => {
    if (done) return;
    done = true;
    run();
  };
}
