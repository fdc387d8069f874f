// Keeps the event loop awake for a moment after an answer, when the next request is likely to come at once. A client with one
// request under way comes back some 20 us after its answer; a processor that has gone to sleep meanwhile takes as long again to
// wake up, and goes on with cold caches.
//
//              an answer leaves                           the window passes
//     ASLEEP ──────────────────► POLLING ──────────────────► ASLEEP ──► (a request comes: credit - 1)
//        ▲     and there is         │
//        │        credit            │ a request comes: credit + 1
//        └──────────────────────────┘
//
// - A request that comes within the window earns credit, whether the loop slept or not; one that comes later costs it. So it
//   polls only while at least half of them come in time, and a quiet server sleeps.
// - An answer that takes longer than the window costs twice as much: who waits for the disk, such as with a flush for each write,
//   gains nothing, and the thread that syncs would get less of the processors. So does one of many that were asked at once.
// - A turn is an ordinary one: timers, sockets and threads have theirs as ever.
// - One for all connections: it is one loop that sleeps.

import type { Clock } from "../common/clock.ts";

const creditMax = 16;
/** From this on it polls. */
const creditMin = 4;

export class BusyPoll {
  readonly #windowMs: number;
  readonly #clock: Clock;
  readonly #soon: (run: () => void) => void;
  #credit = 0;
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

  /** The kernel has taken an answer. */
  answered(): void {
    if (this.#windowMs === 0) return;
    this.#answeredMs = this.#clock.monotonicMs();
    if (this.#askedMs !== 0 && this.#answeredMs - this.#askedMs > this.#windowMs) this.#credit = Math.max(this.#credit - 2, 0);
    this.#askedMs = 0;
    this.#awaits = true;
    if (this.#credit < creditMin || this.#polling) return;
    this.#polling = true;
    this.#soon(this.#turn);
  }

  readonly #turn = (): void => {
    if (this.#awaits && this.#clock.monotonicMs() - this.#answeredMs <= this.#windowMs) this.#soon(this.#turn);
    else this.#polling = false;
  };
}
