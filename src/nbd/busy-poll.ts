// Keeps the event loop awake for a moment when what it waits for is likely to come at once: the next request of a client that was
// just answered, or what the disk has for the one request under way. Either takes some 20 to 100 us; a processor that has gone to
// sleep meanwhile takes 20 more to wake up, and goes on with cold caches.
//
//              an answer leaves, or one request waits         the window passes,
//              alone for its answer                           or others wait too
//     ASLEEP ────────────────────────────────────► POLLING ────────────────────► ASLEEP
//        ▲              and there is credit           │
//        └──── (no event: only a look at the clock) ──┘
//
// - A request that comes within the window after an answer earns credit, whether the loop slept or not; one that comes later
//   costs it. So it polls only while at least half of them come in time, and a quiet server sleeps.
// - For an answer it polls four windows at most, and only for a request that is the only one: of many at once there is always
//   something to do, and the threads that work for them need the processors.
// - An answer that takes longer than that costs twice as much, and where many wait one that takes longer than the window: who
//   waits for a slow disk gains nothing.
// - A turn is an ordinary one: timers, sockets and threads have theirs as ever.
// - One for all connections: it is one loop that sleeps.

import type { Clock } from "../common/clock.ts";

const creditMax = 16;
/** From this on it polls. */
const creditMin = 4;
/** A disk's answer may take as many windows. */
const answerWindows = 4;

export class BusyPoll {
  readonly #windowMs: number;
  readonly #clock: Clock;
  readonly #soon: (run: () => void) => void;
  #credit = 0;
  #inFlight = 0;
  /** When the first of those came that are not answered yet; 0 for none. */
  #askedMs = 0;
  #answeredMs = 0;
  /** Since the last answer no request has come. */
  #awaits = false;
  #polling = false;

  /** `windowMs` is 0 for never; `soon` calls back after the loop has looked for events once, without sleeping. */
  constructor(windowMs: number, clock: Clock, soon: (run: () => void) => void = setImmediate) {
    this.#windowMs = windowMs;
    this.#clock = clock;
    this.#soon = soon;
  }

  get polling(): boolean {
    return this.#polling;
  }

  /** Something came from a client. */
  arrived(): void {
    if (this.#windowMs === 0 || this.#askedMs !== 0) return;
    this.#askedMs = this.#clock.monotonicMs();
    if (!this.#awaits) return;
    this.#awaits = false;
    const inTime = this.#askedMs - this.#answeredMs <= this.#windowMs;
    this.#credit = inTime ? Math.min(this.#credit + 1, creditMax) : Math.max(this.#credit - 1, 0);
  }

  /** As many more requests, or fewer, are under way than were: those of all connections. */
  inFlight(change: number): void {
    this.#inFlight += change;
    if (this.#inFlight === 1 && this.#askedMs !== 0) this.#poll();
  }

  /** The kernel has taken an answer. */
  answered(): void {
    if (this.#windowMs === 0) return;
    this.#answeredMs = this.#clock.monotonicMs();
    if (this.#askedMs !== 0 && this.#answeredMs > this.#answerDueMs()) this.#credit = Math.max(this.#credit - 2, 0);
    this.#askedMs = 0;
    this.#awaits = true;
    this.#poll();
  }

  #poll(): void {
    if (this.#credit < creditMin || this.#polling) return;
    this.#polling = true;
    this.#soon(this.#turn);
  }

  readonly #turn = (): void => {
    if (this.#clock.monotonicMs() <= this.#untilMs()) this.#soon(this.#turn);
    else this.#polling = false;
  };

  #untilMs(): number {
    if (this.#askedMs !== 0) return this.#inFlight === 1 ? this.#answerDueMs() : 0;
    return this.#awaits ? this.#answeredMs + this.#windowMs : 0;
  }

  #answerDueMs(): number {
    return this.#askedMs + (this.#inFlight <= 1 ? answerWindows : 1) * this.#windowMs;
  }
}
