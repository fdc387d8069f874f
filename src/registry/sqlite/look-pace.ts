// How often a server looks for what other processes did to the database. A look is a read of shared memory, and still wakes a
// thread up: fifty times a second, for ever, would be much of what an idle service costs.
//
//     told of a write, by another ──► every millisecond, for 20 ms ──► tickMs, for a second ──► calm: every 100 ms
//     told of a write, right after a commit of ours ──► one look in 6 ms ──► as before
//
// - Calm only where somebody tells that the file is written to (inotify). Otherwise it is looked at every tickMs.
// - What is told of right after a commit of ours is most likely that. A foreign one at the same moment is seen by the one look.

const alertMs = 20;
const livelyMs = 1000;
const calmTickMs = 100;
/** How long after a commit what is told may be of that. */
const echoMs = 5;

export class LookPace {
  readonly #tickMs: number;
  /** Somebody calls written(). */
  isTold = false;
  #alertUntilMs = -Infinity;
  #livelyUntilMs = -Infinity;
  #committedMs = -Infinity;
  /** When to look once; in the past: no more. */
  #onceMs = -Infinity;

  constructor(tickMs: number) {
    this.#tickMs = tickMs;
  }

  /** We have committed something, just now. */
  committed(nowMs: number): void {
    this.#committedMs = nowMs;
  }

  /** The file was written to, or cannot be read now. True when the next look has to come sooner than it would have. */
  written(nowMs: number): boolean {
    const before = this.delayMs(nowMs);
    if (nowMs - this.#committedMs > echoMs) {
      this.#alertUntilMs = nowMs + alertMs;
      this.#livelyUntilMs = nowMs + livelyMs;
    } else if (this.#onceMs <= nowMs) {
      this.#onceMs = this.#committedMs + echoMs + 1;
    }
    return this.delayMs(nowMs) < before;
  }

  /** How long until the next look. */
  delayMs(nowMs: number): number {
    if (nowMs < this.#alertUntilMs) return 1;
    const isCalm = this.isTold && nowMs >= this.#livelyUntilMs;
    const delayMs = isCalm ? Math.max(this.#tickMs, calmTickMs) : this.#tickMs;
    return this.#onceMs > nowMs ? Math.min(delayMs, this.#onceMs - nowMs) : delayMs;
  }
}
