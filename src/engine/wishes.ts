// Carrying out wishes: somebody needs a cut of a log that is owned (records.ts, WishRecord).
//
//     wish seen ──► owned here: cut, flush, one transaction ──► fulfilled
//               ──► owned by nobody: from the record, one transaction ──► fulfilled
//               ──► owned by a living other: his business
//     failure: again with a pause; damaged data: the waiting record goes to error with the reason
//
// - The cut is taken before the transaction that records it, which insists that no checkpoint has gone beyond it.
// - Any crash leaves the wish; whoever owns the log next carries it out.

import type { Clock } from "../common/clock.ts";
import { AndironError } from "../common/errors.ts";
import type { Random } from "../common/random.ts";
import { atomically } from "../registry/atomic.ts";
import type { Entry, Registry } from "../registry/registry.ts";
import type { EngineLog } from "./engine-context.ts";
import type { OpenLogs } from "./open-logs.ts";
import { failWish, fulfilWish, getLog, viewOfReleased } from "./record-edits.ts";
import type { LogRecord, View, WishRecord } from "./records.ts";
import { keys, parseRecord } from "./records.ts";
import { readLog } from "./view.ts";
import type { OpenLog } from "./vdisk/open-log.ts";

interface WishesOptions {
  readonly registry: Registry;
  readonly clock: Clock;
  readonly random: Random;
  readonly router: string;
  readonly openLogs: OpenLogs;
  readonly log: EngineLog;
}

const retryMsMin = 50;
const retryMsMax = 5000;

export class Wishes {
  readonly #options: WishesOptions;
  readonly #running = new Map<string, Promise<void>>();
  #stopped = false;

  constructor(options: WishesOptions) {
    this.#options = options;
  }

  /** A wish record is there. */
  seen(entry: Entry): void {
    if (this.#running.has(entry.key) || this.#stopped) return;
    const logId = entry.key.split("/")[2]!;
    const run = this.#carryOut(logId, entry.key).finally(() => this.#running.delete(entry.key));
    this.#running.set(entry.key, run);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.allSettled(this.#running.values());
  }

  async #carryOut(logId: string, key: string): Promise<void> {
    for (let delayMs = retryMsMin; !this.#stopped; delayMs = Math.min(delayMs * 2, retryMsMax)) {
      try {
        const entry = await this.#options.registry.get(key);
        if (entry === undefined) return;
        const done = await this.#try(logId, parseRecord<WishRecord>(key, entry.value));
        if (done) return;
      } catch (error) {
        // A poisoned journal is of the kind too, but the next use claims the log anew.
        if (error instanceof AndironError && error.kind === "data" && error.code !== "journal_poisoned") {
          await this.#giveUp(logId, key, error).catch((failure: unknown) => this.#warn(logId, failure));
        } else {
          this.#warn(logId, error);
        }
      }
      await this.#options.clock.sleep(delayMs);
    }
  }

  async #try(logId: string, wish: WishRecord): Promise<boolean> {
    const record = await readLog(this.#options.registry, logId);
    if (record.owner === null) return this.#fromRecord(logId, wish);
    const { router, openLogs, registry } = this.#options;
    if (record.owner !== router && (await registry.get(keys.router(record.owner))) !== undefined) return false;
    const use = await openLogs.use(logId);
    try {
      return await this.#fromOwner(use.log, wish);
    } finally {
      use.done();
    }
  }

  async #fromRecord(logId: string, wish: WishRecord): Promise<boolean> {
    const { value } = await atomically(this.#options.registry, this.#options, async (tx) => {
      const log = await getLog(tx, logId);
      if (log.owner !== null) return false;
      if (await this.#isGone(tx, logId, wish)) return true;
      await fulfilWish(tx, logId, wish, viewOfReleased(log));
      return true;
    });
    return value;
  }

  async #fromOwner(open: OpenLog, wish: WishRecord): Promise<boolean> {
    const cut = open.sequence;
    await open.flush();
    const { value } = await atomically(this.#options.registry, this.#options, async (tx) => {
      const log: LogRecord = await getLog(tx, open.id);
      if (log.owner !== this.#options.router || log.epoch !== open.epoch) return false;
      if (log.checkpoint !== null && log.checkpoint.sequence > cut) return false;
      if (await this.#isGone(tx, open.id, wish)) return true;
      const view: View | null = cut === 0 ? log.parent : { log: log.id, checkpoint: log.checkpoint, cut };
      await fulfilWish(tx, open.id, wish, view);
      return true;
    });
    open.assertOwned();
    return value;
  }

  async #isGone(tx: { get(key: string): Promise<string | undefined> }, logId: string, wish: WishRecord): Promise<boolean> {
    return (await tx.get(keys.wish(logId, wish.target))) === undefined;
  }

  async #giveUp(logId: string, key: string, error: AndironError): Promise<void> {
    this.#options.log.error(`cannot take a cut of log ${logId}`, { error });
    await atomically(this.#options.registry, this.#options, async (tx) => {
      const text = await tx.get(key);
      if (text !== undefined) await failWish(tx, logId, parseRecord<WishRecord>(key, text), error.message);
    });
  }

  #warn(logId: string, error: unknown): void {
    this.#options.log.warning(`taking a cut of log ${logId} failed, trying again`, { error });
  }
}
