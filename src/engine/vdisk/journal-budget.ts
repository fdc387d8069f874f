// How much of the local disk the journals of a router may fill: full files, sealed or not, that no checkpoint covers yet.
//
// - Writers slow down smoothly above the soft mark and wait at the limit; nothing that was acknowledged is dropped.
// - Above the soft mark the disks are asked to checkpoint, so that files can go.

import type { Clock } from "../../common/clock.ts";

/** Share of the limit at which writers start to be slowed down. */
const softShare = 0.75;
const delayMsMax = 20;

export class JournalBudget {
  readonly #bytesMax: number;
  readonly #clock: Clock;
  #bytes = 0;
  #waiting: (() => void)[] = [];
  readonly #onPressure: Set<() => void> = new Set();

  constructor(bytesMax: number, clock: Clock) {
    this.#bytesMax = bytesMax;
    this.#clock = clock;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get isUnderPressure(): boolean {
    return this.#bytes > this.#bytesMax * softShare;
  }

  /** A writer waits then, by turns of making a checkpoint of what it has and of given(). */
  get isFull(): boolean {
    return this.#bytes >= this.#bytesMax;
  }

  take(bytes: number): void {
    this.#bytes += bytes;
    if (this.isUnderPressure) for (const listener of this.#onPressure) listener();
  }

  give(bytes: number): void {
    this.#bytes -= bytes;
    this.wake();
  }

  /** Lets all who wait for given() look again. */
  wake(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const wake of waiting) wake();
  }

  /** Calls `listener` (often) while space is short. Returns the unsubscribe. */
  onPressure(listener: () => void): () => void {
    this.#onPressure.add(listener);
    return () => this.#onPressure.delete(listener);
  }

  /** Resolves when something was given back: less may be there than before, and still too much. */
  given(): Promise<void> {
    return new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  /** Holds a writer up, the longer the less room there is. */
  async slowDown(): Promise<void> {
    const over = (this.#bytes / this.#bytesMax - softShare) / (1 - softShare);
    if (over > 0) await this.#clock.sleep(Math.min(over, 1) * delayMsMax);
  }
}
