// The cleaner of a vPool: gives back space that nothing refers to, in the background, a few logs at a time.
//
// - It works on logs that this router owns or that nobody owns; what a living other router owns is his.
// - A pass comes an interval after the one before; at once when that one had more to look at than it may, or when a log changed
//   under it after something was done there (segment-cleaner.ts). Such a log is cleaned again in the same pass while others are.
// - Any other conflict means the same of the log, which is looked at again in the next pass.
// - Damage is logged and leaves the log alone; other logs go on.
// - It says what it did, and that it idles, in `last`.

import { AndironError } from "../../common/errors.ts";
import type { Timer } from "../../common/clock.ts";
import type { Service } from "../../common/service.ts";
import { severalAtOnce } from "../../common/several.ts";
import { Follower } from "../../registry/follow.ts";
import type { Entry } from "../../registry/registry.ts";
import type { CleanerContext } from "../engine-context.ts";
import { engineLimits } from "../limits.ts";
import type { LogRecord } from "../records.ts";
import { keys, readableRecords } from "../records.ts";
import { Collector } from "./collector.ts";
import { readAll, readLogState } from "./log-state.ts";
import { SegmentCleaner } from "./segment-cleaner.ts";

export interface CleanerPass {
  logs: number;
  examined: number;
  compacted: number;
  dropped: number;
  retiredMaps: number;
  deadLogs: number;
  deletedObjects: number;
}

/** Of one log in a pass. */
const roundsMax = 8;
/** What no record explains is looked for after so many intervals: that lists the whole backend. */
const listingIntervals = 20;

const newPass = (): CleanerPass => ({
  logs: 0,
  examined: 0,
  compacted: 0,
  dropped: 0,
  retiredMaps: 0,
  deadLogs: 0,
  deletedObjects: 0,
});

export class Cleaner implements Service {
  readonly id: string;
  readonly #context: CleanerContext;
  readonly #segments: SegmentCleaner;
  readonly #collector: Collector;
  readonly #follower: Follower;
  /** Revision of a released log's record when it was last cleaned: unchanged ones need no look. */
  readonly #cleanedAt = new Map<string, number>();
  /** Logs that lost a cut since they were last cleaned, which is not in their records. */
  readonly #lostCut = new Set<string>();
  /** When the whole backend is to be listed next, by the monotonic clock. */
  #listingMs = -Infinity;
  #timer: Timer | undefined;
  #running: Promise<CleanerPass> | undefined;
  #stopped = false;
  /** Logs that are being cleaned. */
  #underWay = 0;
  /** The last pass left segments of a log to be looked at. */
  #isBehind = false;
  last: CleanerPass = newPass();
  readonly total: CleanerPass = newPass();

  constructor(context: CleanerContext) {
    this.id = `cleaner-${context.pool}`;
    this.#context = context;
    this.#segments = new SegmentCleaner(context);
    this.#collector = new Collector(context);
    this.#follower = new Follower(context.registry, context.clock, "engine/cut/", {
      changed: () => undefined,
      deleted: (key) => this.#lostCut.add(key.split("/")[2]!),
      failed: (error) => context.log.warning("following cuts was interrupted", { error }),
    });
  }

  async start(): Promise<void> {
    await this.#follower.start();
    this.#later();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#segments.stop();
    this.#timer?.cancel();
    await this.#follower.stop();
    await this.#running?.catch(() => undefined);
  }

  /** One pass over everything; at most one at a time. */
  pass(): Promise<CleanerPass> {
    this.#running ??= this.#pass().finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  async #pass(): Promise<CleanerPass> {
    const pass = newPass();
    const logs = new Set<string>();
    const ours = new Set<string>();
    const deaths = this.#context.hints.deaths();
    const { clock, settings } = this.#context;
    const lists = clock.monotonicMs() >= this.#listingMs;
    if (lists) this.#listingMs = clock.monotonicMs() + listingIntervals * settings.cleanerIntervalMs;
    this.#isBehind = false;
    await severalAtOnce(engineLimits.cleanerLogsMax, await readAll(this.#context.registry, keys.logs), async (entry) => {
      if (this.#stopped) return;
      const log = this.#readLog(entry);
      if (log === undefined) return;
      if (log.pool !== this.#context.pool) this.#lostCut.delete(log.id);
      logs.add(log.id);
      if (log.pool === this.#context.pool && this.#mayClean(log)) ours.add(log.id);
      if (log.pool !== this.#context.pool || this.#isUnchanged(log, entry.modRevision)) return;
      this.#cleanedAt.delete(log.id);
      if (await this.#cleanWhileOthers(log, deaths, pass, lists)) this.#cleanedAt.set(log.id, entry.modRevision);
    });
    for (const id of this.#cleanedAt.keys()) if (!logs.has(id)) this.#cleanedAt.delete(id);
    this.#segments.cleansOnly(ours);
    for (const id of this.#lostCut) if (!logs.has(id)) this.#lostCut.delete(id);
    if (!this.#stopped) {
      pass.deletedObjects += await this.#collector.deleteRetired();
      if (lists) pass.deletedObjects += await this.#collector.deleteStrays(logs);
    }
    this.last = pass;
    for (const key of Object.keys(pass) as (keyof CleanerPass)[]) this.total[key] += pass[key];
    return pass;
  }

  /** Undefined when the record is damaged: that is said, and other logs are cleaned. */
  #readLog(entry: Entry): LogRecord | undefined {
    const damaged = (error: AndironError, key: string): void =>
      this.#context.log.warning(`cannot clean the log of ${key}`, { error });
    return readableRecords<LogRecord>([entry], damaged)[0];
  }

  #mayClean({ owner }: LogRecord): boolean {
    return owner === null || owner === this.#context.router;
  }

  #isUnchanged(log: LogRecord, modRevision: number): boolean {
    return (
      log.owner === null &&
      log.vdisk !== null &&
      this.#cleanedAt.get(log.id) === modRevision &&
      !this.#lostCut.has(log.id) &&
      !this.#context.hints.wantsRescan(log.id)
    );
  }

  /** Some more times, when there is more to be done and others are being cleaned anyway. False when there still is. */
  async #cleanWhileOthers(log: LogRecord, deaths: Uint32Array, pass: CleanerPass, lists: boolean): Promise<boolean> {
    this.#underWay++;
    try {
      let outcome = await this.#cleanLog(log, deaths, pass, lists);
      for (let rounds = 1; rounds < roundsMax && outcome === "goes on" && this.#underWay > 1 && !this.#stopped; rounds++) {
        const deletedObjects = await this.#collector.deleteRetired();
        pass.deletedObjects += deletedObjects;
        outcome = await this.#cleanLog(log, this.#context.hints.deaths(), pass, false);
      }
      if (outcome === "goes on") this.#isBehind = true;
      return outcome === "done";
    } finally {
      this.#underWay--;
    }
  }

  /** `deaths`: as the hints have them before the log's state is read. */
  async #cleanLog(log: LogRecord, deaths: Uint32Array, pass: CleanerPass, lists: boolean): Promise<"done" | "goes on" | "later"> {
    try {
      if (!this.#mayClean(log)) return "later";
      this.#lostCut.delete(log.id);
      const state = await readLogState(this.#context.registry, log.id);
      pass.logs++;
      if (await this.#collector.collectDead(state)) {
        pass.deadLogs++;
        this.#segments.forget(log.id);
        if (log.parent !== null) this.#lostCut.add(log.parent.log);
        return "later";
      }
      const { examined, compacted, dropped, complete } = await this.#segments.clean(state, deaths);
      pass.examined += examined;
      pass.compacted += compacted;
      pass.dropped += dropped;
      const now = await readLogState(this.#context.registry, log.id);
      const retiredMaps = await this.#collector.retireUnreached(now);
      pass.retiredMaps += retiredMaps;
      await this.#collector.retireOrphans(now, lists);
      return complete ? "done" : "goes on";
    } catch (error) {
      const known = error instanceof AndironError ? error : undefined;
      const isChanged = known?.code === "transaction_conflict";
      if (!isChanged && !this.#stopped) this.#context.log.warning(`cannot clean log ${log.id}`, { error });
      return known?.kind === "data" && !isChanged ? "done" : "later";
    }
  }

  #later(): void {
    const delayMs = this.#isBehind ? 0 : this.#context.settings.cleanerIntervalMs;
    this.#timer = this.#context.clock.after(delayMs, () => {
      if (this.#stopped) return;
      this.pass()
        .catch((error: unknown) => this.#context.log.warning("a pass of the cleaner failed", { error }))
        .finally(() => this.#later());
    });
  }
}
