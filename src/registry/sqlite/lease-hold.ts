// The caller's side of a lease hold: reads the time that the server keeps in shared memory, and passes on the loss.

import type { LeaseHold } from "../registry.ts";

export class SharedLeaseHold implements LeaseHold {
  readonly leaseId: string;
  readonly #until: Float64Array;
  readonly #onRelease: () => void;
  #listeners: (() => void)[] = [];
  #state: "held" | "lost" | "released" = "held";

  constructor(leaseId: string, until: Float64Array, onRelease: () => void) {
    this.leaseId = leaseId;
    this.#until = until;
    this.#onRelease = onRelease;
  }

  heldUntilMs(): number {
    return this.#state === "held" ? (this.#until[0] ?? -Infinity) : -Infinity;
  }

  isHeld(nowMonotonicMs: number): boolean {
    return nowMonotonicMs < this.heldUntilMs();
  }

  onLost(listener: () => void): void {
    if (this.#state === "held") this.#listeners.push(listener);
    else if (this.#state === "lost") queueMicrotask(listener);
  }

  release(): void {
    if (this.#state !== "held") return;
    this.end("released");
    this.#onRelease();
  }

  /** Called by the handle. */
  end(state: "lost" | "released"): void {
    if (this.#state !== "held") return;
    this.#state = state;
    const listeners = this.#listeners;
    this.#listeners = [];
    if (state === "lost") for (const listener of listeners) listener();
  }
}
