// How much of the local disk the journals of a router may fill: full files, sealed or not, that no checkpoint covers yet.
//
// - Who holds as much as the average or more is slowed down and leaves the last eighth to others: a disk that writes little
//   neither pays for one that writes much, nor finds the journal full of that one's files.
// - Writers slow down smoothly above the soft mark and wait at the limit; nothing that was acknowledged is dropped.
// - Above the soft mark the disks are asked to checkpoint, so that files can go.

import type { Clock } from "../../common/clock.ts";

/** Share of the limit at which writers start to be slowed down. */
const softShare = 0.75;
const delayMsMax = 20;
/** Share of the limit that is kept for those who hold little. */
const reservedShare = 1 / 8;

export class JournalBudget {
  readonly #bytesMax: number;
  readonly #clock: Clock;
  #bytes = 0;
  readonly #holders = new Map<object, number>();
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

  /** A writer for that holder waits then, by turns of making a checkpoint of what it has and of given(). */
  isFullFor(holder: object): boolean {
    return this.#bytes >= this.#bytesMax * (this.#holdsMuch(holder) ? 1 - reservedShare : 1);
  }

  take(holder: object, bytes: number): void {
    this.#hold(holder, bytes);
    if (this.isUnderPressure) for (const listener of this.#onPressure) listener();
  }

  give(holder: object, bytes: number): void {
    this.#hold(holder, -bytes);
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

  /** Holds up a writer for a holder of much, the longer the less room there is. */
  async slowDown(holder: object): Promise<void> {
    if (!this.#holdsMuch(holder)) return;
    const over = (this.#bytes / this.#bytesMax - softShare) / (1 - softShare);
    if (over > 0) await this.#clock.sleep(Math.min(over, 1) * delayMsMax);
  }

  #hold(holder: object, bytes: number): void {
    this.#bytes += bytes;
    const held = (this.#holders.get(holder) ?? 0) + bytes;
    if (held === 0) this.#holders.delete(holder);
    else this.#holders.set(holder, held);
  }

  #holdsMuch(holder: object): boolean {
    return (this.#holders.get(holder) ?? 0) * Math.max(1, this.#holders.size) >= this.#bytes;
  }
}
