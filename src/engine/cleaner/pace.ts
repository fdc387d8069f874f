// How fast segments are compacted while guests work: reading and writing them takes from what guests could have.
//
//     compacted ──the thread has time to spare──► the next ones at once
//               ──guests keep it busy──► rest, until they moved a multiple of what the compaction moved ──► the next ones
//
// - The multiple is smaller the more is kept for what lives: under a load that never pauses space is bounded, not throughput.
// - A rest is no longer than some times the work before it, however little guests move.
// - One at a time, of all logs: a compaction takes the memory of a segment.
// - What is dead altogether is dropped at any time: that moves next to nothing.
// - A backend or a disk that has no time to spare is not noticed, only a thread that has none.

import { AndironError } from "../../common/errors.ts";
import type { CleanerContext } from "../engine-context.ts";
import { MiB } from "../limits.ts";

/** Guests who move less are not what keeps the thread busy. */
const idleBytesPerSecond = 4 * MiB;
/** A thread that ran for less of the time could do more. */
const busyShare = 0.6;
const lookMs = 50;
const restsPerWorkMax = 10;
/** What a segment costs whatever is in it, told in bytes moved. */
export const segmentCostBytes = MiB;
/** Bytes compacted for one of the guests': while at most `kept` bytes are stored for each that lives, and from `pressed` on. */
const relaxed = { kept: 3, share: 1 / 16 } as const;
const pressed = { kept: 5, share: 4 } as const;

interface Kept {
  readonly stored: number;
  readonly live: number;
}

export class Pace {
  readonly #context: Pick<CleanerContext, "clock" | "guests">;
  readonly #kept = new Map<string, Kept>();
  /** Resolves when what was done was rested from. */
  #turn: Promise<void> = Promise.resolve();
  #stopped = false;

  constructor(context: Pick<CleanerContext, "clock" | "guests">) {
    this.#context = context;
  }

  /** What a log keeps by now, in clusters, and how many of them live. */
  keeps(log: string, kept: Kept): void {
    this.#kept.set(log, kept);
  }

  keepsOnly(logs: ReadonlySet<string>): void {
    for (const log of this.#kept.keys()) if (!logs.has(log)) this.#kept.delete(log);
  }

  /** Ends a rest soon; what has not begun is refused. */
  stop(): void {
    this.#stopped = true;
  }

  /** Does `work`, which resolves with how many bytes it moved, when the work before it was rested from. Rejects as it does. */
  inTurn(work: () => Promise<number>): Promise<void> {
    const { clock, guests } = this.#context;
    const before = this.#turn;
    const done = Promise.withResolvers<void>();
    this.#turn = before.then(async () => {
      const [startMs, startBytes] = [clock.monotonicMs(), guests.bytes];
      try {
        if (this.#stopped) throw new AndironError("shutting_down", "the cleaner is stopped");
        const bytes = await work();
        done.resolve();
        await this.#rest(bytes, startMs, startBytes);
      } catch (error) {
        done.reject(error);
      }
    });
    return done.promise;
  }

  async #rest(bytes: number, startMs: number, startBytes: number): Promise<void> {
    const { clock, guests } = this.#context;
    const endMs = startMs + (clock.monotonicMs() - startMs) * (1 + restsPerWorkMax);
    while (!this.#stopped && guests.bytes > startBytes && (guests.bytes - startBytes) * this.share < bytes) {
      const [nowMs, usedMs, movedBytes] = [clock.monotonicMs(), guests.threadMs(), guests.bytes];
      if (nowMs >= endMs) return;
      await clock.sleep(lookMs);
      const lookedMs = clock.monotonicMs() - nowMs;
      const isIdle = guests.bytes - movedBytes < (idleBytesPerSecond / 1000) * lookedMs;
      if (isIdle || guests.threadMs() - usedMs < busyShare * lookedMs) return;
    }
  }

  /** Bytes that may be compacted for each that guests move. */
  get share(): number {
    let [stored, live] = [0, 0];
    for (const kept of this.#kept.values()) {
      stored += kept.stored;
      live += kept.live;
    }
    const factor = live === 0 ? relaxed.kept : stored / live;
    const along = Math.min(1, Math.max(0, (factor - relaxed.kept) / (pressed.kept - relaxed.kept)));
    return relaxed.share + along * (pressed.share - relaxed.share);
  }
}
