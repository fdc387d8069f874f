// Carrying out wishes: somebody needs a cut of a log that is owned (records.ts, WishRecord).
//
//     wish seen ──► owned here: cut, flush, one transaction ──► fulfilled
//               ──► owned by nobody: from the record, one transaction ──► fulfilled
//               ──► owned by a living other: his business
//     failure: again with a pause; damaged data: the waiting record goes to error with the reason
//     several together: group-cut.ts, once for all of them, however many of their wishes are seen
//
// - The cut is taken before the transaction that records it, which insists that no checkpoint has gone beyond it.
// - Any crash leaves the wish; whoever owns the log next carries it out.

import type { Clock } from "../common/clock.ts";
import { AndironError } from "../common/errors.ts";
import type { Random } from "../common/random.ts";
import { atomically } from "../registry/atomic.ts";
import type { Entry, Registry } from "../registry/registry.ts";
import type { EngineLog } from "./engine-context.ts";
import { cutTogether } from "./group-cut.ts";
import type { OpenLogs } from "./open-logs.ts";
import { failWish, fulfilWish, getLog, viewOf, viewOfReleased } from "./record-edits.ts";
import type { LogRecord, WishMember, WishRecord } from "./records.ts";
import { keys, parseWish } from "./records.ts";
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
    const { id, wishes } = actOf(entry);
    if (this.#running.has(id) || this.#stopped) return;
    const run = this.#carryOut(wishes).finally(() => this.#running.delete(id));
    this.#running.set(id, run);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.allSettled(this.#running.values());
  }

  async #carryOut(wishes: readonly WishMember[]): Promise<void> {
    for (let delayMs = retryMsMin; !this.#stopped; delayMs = Math.min(delayMs * 2, retryMsMax)) {
      try {
        const wish = await this.#firstOf(wishes);
        if (wish === undefined) return;
        const done = wish.together === undefined ? await this.#try(wishes[0]!.log, wish) : await this.#tryTogether(wishes);
        if (done) return;
      } catch (error) {
        // A poisoned journal is of the kind too, but the next use claims the log anew.
        if (error instanceof AndironError && error.kind === "data" && error.code !== "journal_poisoned") {
          await this.#giveUp(wishes, error).catch((failure: unknown) => this.#warn(wishes, failure));
        } else {
          this.#warn(wishes, error);
        }
      }
      await this.#options.clock.sleep(delayMs);
    }
  }

  /** One of those that are still there. */
  async #firstOf(wishes: readonly WishMember[]): Promise<WishRecord | undefined> {
    for (const { log, target } of wishes) {
      const entry = await this.#options.registry.get(keys.wish(log, target));
      if (entry !== undefined) return parseWish(entry.key, entry.value);
    }
    return undefined;
  }

  async #tryTogether(wishes: readonly WishMember[]): Promise<boolean> {
    const outcome = await cutTogether(this.#options, wishes);
    if (outcome === "scattered") {
      const reason = "the disks are open on several storage routers, so that there is no instant for all of them";
      await this.#giveUp(wishes, new AndironError("invalid_request", reason));
    }
    return outcome === "done";
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
      await fulfilWish(tx, open.id, wish, viewOf(log, cut));
      return true;
    });
    open.assertOwned();
    return value;
  }

  async #isGone(tx: { get(key: string): Promise<string | undefined> }, logId: string, wish: WishRecord): Promise<boolean> {
    return (await tx.get(keys.wish(logId, wish.target))) === undefined;
  }

  /** What waits goes to error, all of it. */
  async #giveUp(wishes: readonly WishMember[], error: AndironError): Promise<void> {
    this.#options.log.error(`cannot take a cut of ${logsOf(wishes)}`, { error });
    await atomically(this.#options.registry, this.#options, async (tx) => {
      for (const { log, target } of wishes) {
        const key = keys.wish(log, target);
        const text = await tx.get(key);
        if (text !== undefined) await failWish(tx, log, parseWish(key, text), error.message);
      }
    });
  }

  #warn(wishes: readonly WishMember[], error: unknown): void {
    this.#options.log.warning(`taking a cut of ${logsOf(wishes)} failed, trying again`, { error });
  }
}

/** What a wish is a part of. A record that can't be read is an act of its own, which says why again and again. */
function actOf(entry: Entry): { readonly id: string; readonly wishes: readonly WishMember[] } {
  const [, , log = "", target = ""] = entry.key.split("/");
  const alone = { id: entry.key, wishes: [{ log, target }] };
  try {
    const { together } = parseWish(entry.key, entry.value);
    return together === undefined ? alone : { id: together.id, wishes: together.members };
  } catch {
    return alone;
  }
}

function logsOf(wishes: readonly WishMember[]): string {
  return wishes.length === 1 ? `log ${wishes[0]!.log}` : `logs ${wishes.map((wish) => wish.log).join(", ")}`;
}
