// Time in the simulator: it stands still until nothing is left to do at this instant, then jumps to the next timer.
//
// - Timers fire by time, those of one instant in the order in which they were set: the same program runs the same way.
// - Nothing in a simulation waits for the machine: promises and setImmediate only, whose order Node keeps.

import type { Clock, Timer } from "../src/common/clock.ts";

interface Waiting {
  readonly atMs: number;
  readonly order: number;
  readonly fire: () => void;
  cancelled: boolean;
}

const wallOffsetMs = 1_700_000_000_000;
/** Turns of the event loop that may pass before time does: what a chain of setImmediate calls needs. */
const turnsPerInstant = 4;

export class VirtualClock implements Clock {
  #nowMs = 1_000_000;
  #order = 0;
  /** A binary heap. */
  readonly #heap: Waiting[] = [];

  wallMs(): number {
    return wallOffsetMs + Math.floor(this.#nowMs);
  }

  monotonicMs(): number {
    return this.#nowMs;
  }

  after(delayMs: number, fire: () => void): Timer {
    const waiting = { atMs: this.#nowMs + Math.max(delayMs, 0), order: this.#order++, fire, cancelled: false };
    this.#push(waiting);
    return { cancel: () => void (waiting.cancelled = true) };
  }

  sleep(delayMs: number): Promise<void> {
    return new Promise((resolve) => this.after(delayMs, resolve));
  }

  /** The machine is suspended: time passes and nothing happens. */
  jump(durationMs: number): void {
    this.#nowMs += durationMs;
  }

  /** Fires the next timer, when everything before it has come to rest. False when there is none. */
  async step(): Promise<boolean> {
    for (let turn = 0; turn < turnsPerInstant; turn++) {
      if (this.#heap.length > 0 && this.#heap[0]!.atMs <= this.#nowMs) break;
      await turnOfTheLoop();
    }
    const next = this.#pop();
    if (next === undefined) return false;
    this.#nowMs = Math.max(this.#nowMs, next.atMs);
    if (next.cancelled) return true;
    next.fire();
    await turnOfTheLoop();
    return true;
  }

  #push(waiting: Waiting): void {
    const heap = this.#heap;
    let at = heap.length;
    heap.push(waiting);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!before(waiting, heap[parent]!)) break;
      heap[at] = heap[parent]!;
      at = parent;
    }
    heap[at] = waiting;
  }

  #pop(): Waiting | undefined {
    const heap = this.#heap;
    const first = heap[0];
    const last = heap.pop();
    if (first === undefined || last === undefined || heap.length === 0) return first;
    let at = 0;
    for (;;) {
      let child = at * 2 + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && before(heap[child + 1]!, heap[child]!)) child++;
      if (!before(heap[child]!, last)) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = last;
    return first;
  }
}

const before = (a: Waiting, b: Waiting): boolean => a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);

const turnOfTheLoop = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
