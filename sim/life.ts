// The life of one simulated process: what it asks of the world goes through here, and stops at its death.
//
//     alive ──fuse burnt (the n-th thing it asks of the world), or kill()──► dead
//
// - Every call to disk, backend or registry begins with begin(): the death may be exactly there, before the call has an
//   effect, and later() puts time between the parts of one call, so that it may be in the middle too.
// - The dead hear nothing: no promise that a dead process waits for ever settles, no timer of it fires. Its code is not
//   stopped (nothing can stop a JavaScript function), it just never gets an answer; what it does at once has no effect.

import type { Clock, Timer } from "../src/common/clock.ts";
import type { Random } from "../src/common/random.ts";
import type { VirtualClock } from "./virtual-clock.ts";

const never = new Promise<never>(() => undefined);

/** Most calls are quick, a few take long. */
const slowShare = 0.02;
const slowMsMax = 400;

export class Life implements Clock {
  readonly random: Random;
  readonly #clock: VirtualClock;
  #fuse: number;
  #alive = true;
  #onDeath: (() => void)[] = [];

  /** `fuse`: how many calls it lives. */
  constructor(clock: VirtualClock, random: Random, fuse: number) {
    this.#clock = clock;
    this.random = random;
    this.#fuse = fuse;
  }

  get isAlive(): boolean {
    return this.#alive;
  }

  kill(): void {
    if (!this.#alive) return;
    this.#alive = false;
    for (const listener of this.#onDeath.splice(0)) listener();
  }

  /** It will live for that many calls at least. */
  spare(calls: number): void {
    this.#fuse = Math.max(this.#fuse, calls);
  }

  /** For what the world cleans up after a process: connections, leases. */
  onDeath(listener: () => void): void {
    if (this.#alive) this.#onDeath.push(listener);
    else listener();
  }

  /** A call to the world begins; false when the process is dead, perhaps just now. */
  begin(): boolean {
    if (this.#fuse-- <= 0) this.kill();
    return this.#alive;
  }

  /** begin() and the time until the call has its effect. Never resolves for the dead. */
  async beginLater(quickMsMax: number): Promise<void> {
    if (!this.begin()) return never;
    return this.later(quickMsMax);
  }

  /** Resolves after a while, if it is still alive then. */
  async later(quickMsMax: number): Promise<void> {
    if (!this.#alive) return never;
    const slow = this.random.below(1000) < slowShare * 1000;
    await this.#clock.sleep((this.random.below(1000) / 1000) * (slow ? slowMsMax : quickMsMax));
    if (!this.#alive) return never;
  }

  /** `promise`, unless the process dies first. */
  async guard<T>(promise: Promise<T>): Promise<T> {
    try {
      const value = await promise;
      return this.#alive ? value : never;
    } catch (error) {
      if (!this.#alive) return never;
      throw error;
    }
  }

  wallMs(): number {
    return this.#clock.wallMs();
  }

  monotonicMs(): number {
    return this.#clock.monotonicMs();
  }

  after(delayMs: number, fire: () => void): Timer {
    return this.#clock.after(delayMs, () => {
      if (this.#alive) fire();
    });
  }

  sleep(delayMs: number): Promise<void> {
    return this.guard(this.#clock.sleep(delayMs));
  }
}
