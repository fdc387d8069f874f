// Deadlines of many operations with one timer, which waits for the earliest: almost none is ever reached.
//
//     begin() ──► under way ──► end(): true
//                     └─ later than its limit ─► missed() is called ──► end(): false

import type { Clock, Timer } from "../../common/clock.ts";

export interface Deadline {
  readonly atMs: number;
  readonly missed: () => void;
  /** Its place among those under way; -1 when it is over. */
  index: number;
}

export class Deadlines {
  readonly #clock: Clock;
  /** In no order. */
  readonly #underWay: Deadline[] = [];
  #timer: Timer | undefined;
  /** When the timer fires. */
  #timerMs = Infinity;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Calls `missed` after `limitMs`, unless end() comes first. */
  begin(limitMs: number, missed: () => void): Deadline {
    const nowMs = this.#clock.monotonicMs();
    const deadline = { atMs: nowMs + limitMs, missed, index: this.#underWay.length };
    this.#underWay.push(deadline);
    if (deadline.atMs < this.#timerMs) this.#wake(nowMs, deadline.atMs);
    return deadline;
  }

  /** False when it was missed. */
  end(deadline: Deadline): boolean {
    const { index } = deadline;
    if (index < 0) return false;
    deadline.index = -1;
    const last = this.#underWay.pop()!;
    if (last === deadline) return true;
    this.#underWay[index] = last;
    last.index = index;
    return true;
  }

  /** The timer is left to fire when nothing is under way any more: what begins next has most likely a later deadline. */
  #wake(nowMs: number, atMs: number): void {
    this.#timer?.cancel();
    this.#timerMs = atMs;
    this.#timer = this.#clock.after(atMs - nowMs, () => this.#look());
  }

  #look(): void {
    const nowMs = this.#clock.monotonicMs();
    this.#timerMs = Infinity;
    const missed = this.#underWay.filter(({ atMs }) => atMs <= nowMs);
    for (const deadline of missed) if (this.end(deadline)) deadline.missed();
    const earliestMs = this.#underWay.reduce((least, { atMs }) => Math.min(least, atMs), Infinity);
    if (earliestMs < this.#timerMs) this.#wake(nowMs, earliestMs);
  }
}
