// How much an export may begin in one turn of the event loop, over all its connections: what is more goes on in the next, when
// others have had theirs. So who has hundreds of requests under way does not keep one with a single request waiting for all.
//
//     mayBegin ──yes──► spend ──► ... ──► share used up ──► whenNext(run) ──end of the turn──► whole again; who waited goes on
//
// - A request of any size may be begun while something of the share is left.
// - Who waits goes on in the order of waiting; who found the share used up again goes first in the turn after that.
// It knows no disks and no bytes, and with one export at work it only makes turns shorter.

import { assert } from "../common/assert.ts";

export class TurnShares {
  readonly #shareBytes: number;
  readonly #soon: (run: () => void) => void;
  readonly #shares = new Map<string, Share>();
  #touched: Share[] = [];

  /** `soon` calls back at the end of the loop's present turn. */
  constructor(shareBytes: number, soon: (run: () => void) => void = setImmediate) {
    this.#shareBytes = shareBytes;
    this.#soon = soon;
  }

  get exportCount(): number {
    return this.#shares.size;
  }

  /** The share of an export, to be given back with done(). */
  of(exportName: string): Share {
    let share = this.#shares.get(exportName);
    if (share === undefined) {
      const touched = (): void => this.#touch(share!);
      share = new Share(this.#shareBytes, { touched, unused: () => this.#shares.delete(exportName) });
      this.#shares.set(exportName, share);
    }
    share.users++;
    return share;
  }

  #touch(share: Share): void {
    this.#touched.push(share);
    if (this.#touched.length === 1) this.#soon(() => this.#endTurn());
  }

  #endTurn(): void {
    const touched = this.#touched;
    this.#touched = [];
    for (const share of touched) share.renew();
  }
}

export class Share {
  users = 0;
  readonly #bytesMax: number;
  readonly #on: { readonly touched: () => void; readonly unused: () => void };
  #spentBytes = 0;
  #waiting: (() => void)[] = [];

  constructor(bytesMax: number, on: { readonly touched: () => void; readonly unused: () => void }) {
    this.#bytesMax = bytesMax;
    this.#on = on;
  }

  get mayBegin(): boolean {
    return this.#spentBytes < this.#bytesMax;
  }

  spend(bytes: number): void {
    if (this.#spentBytes === 0) this.#on.touched();
    this.#spentBytes += bytes;
  }

  /** Calls `run` in the next turn, or a later one when others of the export come first. */
  whenNext(run: () => void): void {
    assert(this.#spentBytes > 0, "who waits for a turn has found this one used up");
    this.#waiting.push(run);
  }

  renew(): void {
    this.#spentBytes = 0;
    const waiting = this.#waiting;
    this.#waiting = [];
    let ran = 0;
    while (ran < waiting.length && this.mayBegin) waiting[ran++]!();
    if (ran < waiting.length) this.#waiting = [...waiting.slice(ran), ...this.#waiting];
  }

  done(): void {
    this.users--;
    if (this.users === 0) this.#on.unused();
  }
}
