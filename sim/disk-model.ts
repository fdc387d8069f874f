// What a simulated disk may hold: for every sector the operations that wrote it, when each was begun and ended, and when it
// became durable. Times are ticks of one counter of the run, not milliseconds.
//
// An operation may be what a sector holds at some moment unless another one certainly came after it: one that had ended well
// by then (after power loss: that was durable by then) and was begun after the first had ended. What failed, or was under
// way at a death, may have happened or not.

import { zeroes } from "./sector-stamp.ts";

export interface Effect {
  readonly operation: number;
  readonly begunAt: number;
  /** Infinity while it is under way. */
  endedAt: number;
  done: boolean;
  durableAt: number;
}

/** Between which ticks the disk was looked at, and whether the power went in between. */
export interface Look {
  readonly since: number;
  readonly until: number;
  readonly lossy: boolean;
}

export class DiskModel {
  readonly sectorCount: number;
  readonly #sectors: Effect[][] = [];
  #open = new Set<Effect>();
  /** Done, and not known to be durable. */
  #volatile = new Set<Effect>();

  constructor(sectorCount: number) {
    this.sectorCount = sectorCount;
    const blank: Effect = { operation: zeroes, begunAt: 0, endedAt: 0, done: true, durableAt: 0 };
    for (let sector = 0; sector < sectorCount; sector++) this.#sectors.push([blank]);
  }

  begin(first: number, count: number, operation: number, nowTick: number): Effect {
    const effect: Effect = { operation, begunAt: nowTick, endedAt: Infinity, done: false, durableAt: Infinity };
    for (let sector = first; sector < first + count; sector++) this.#sectors[sector]!.push(effect);
    this.#open.add(effect);
    return effect;
  }

  end(effect: Effect, outcome: "durable" | "done" | "failed", nowTick: number): void {
    this.#open.delete(effect);
    effect.endedAt = nowTick;
    effect.done = outcome !== "failed";
    if (outcome === "durable") effect.durableAt = nowTick;
    if (outcome === "done") this.#volatile.add(effect);
  }

  /** A flush that was begun at `begunAt` has ended well. */
  flushed(begunAt: number, nowTick: number): void {
    for (const effect of this.#volatile) {
      if (effect.endedAt > begunAt) continue;
      effect.durableAt = nowTick;
      this.#volatile.delete(effect);
    }
  }

  /** The writer has died: what was under way will come to nothing more. */
  cut(nowTick: number): void {
    for (const effect of this.#open) effect.endedAt = nowTick;
    this.#open = new Set();
  }

  /** The whole disk was read while nobody wrote, or set to this; from here on it is known, and on the disk. */
  settle(operations: readonly number[], nowTick: number): void {
    operations.forEach((operation, sector) => {
      this.#sectors[sector]!.push({ operation, begunAt: nowTick, endedAt: nowTick, done: true, durableAt: nowTick });
    });
    this.#volatile = new Set();
  }

  /** Why a sector cannot hold what was read; undefined when it can. */
  refute(sector: number, operation: number, look: Look): string | undefined {
    const effects = this.#sectors[sector]!;
    if (operation < 0) return `sector ${sector} is torn`;
    const candidates = effects.filter((effect) => effect.begunAt <= look.until && !superseded(effect, effects, look));
    if (candidates.some((effect) => effect.operation === operation)) return undefined;
    const expected = candidates.map((effect) => effect.operation).join(" or ");
    return `sector ${sector} holds operation ${operation} instead of ${expected}`;
  }

  /** Between which ticks the disk held all of this; `since` after `until`: never. */
  momentOf(operations: readonly number[]): { readonly since: number; readonly until: number } {
    let [since, until] = [0, Infinity];
    for (const [sector, operation] of operations.entries()) {
      const effects = this.#sectors[sector]!;
      const same = effects.filter((effect) => effect.operation === operation);
      const lastEnd = Math.max(...same.map((effect) => effect.endedAt));
      since = Math.max(since, Math.min(...same.map((effect) => effect.begunAt)));
      for (const other of effects) if (other.done && other.begunAt > lastEnd) until = Math.min(until, other.endedAt);
    }
    return { since, until };
  }

  /** The first sector of a read from `first` on that is wrong. */
  judge(operations: readonly number[], first: number, look: Look): string | undefined {
    for (const [i, operation] of operations.entries()) {
      const problem = this.refute(first + i, operation, look);
      if (problem !== undefined) return problem;
    }
    return undefined;
  }
}

function superseded(effect: Effect, effects: readonly Effect[], { since, lossy }: Look): boolean {
  return effects.some((other) => {
    if (other.begunAt <= effect.endedAt) return false;
    return lossy ? other.durableAt <= since : other.done && other.endedAt <= since;
  });
}
