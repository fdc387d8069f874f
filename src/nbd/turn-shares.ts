// How much an export may begin in one turn of the event loop, over all its connections: what is more goes on in the next, when
// others have had theirs. So who has hundreds of requests under way does not keep one with a single request waiting for all.
//
//     mayBegin ──yes──► spend ──► ... ──► share used up ──► whenNext(run) ──end of the turn──► whole again; who waited goes on
//
// - Beside others a share is small; one that is alone at work has a large one, which only makes turns shorter.
// - What is begun while shares are made whole goes on before they are made whole again: no turn has two shares of an export.
// - A request of any size may be begun while something of the share is left.
// - Who waits goes on in the order of waiting; who found the share used up again goes first in the turn after that.
// It knows no disks and no bytes.

import { assert } from "../common/assert.ts";

export interface ShareSizes {
  readonly aloneBytes: number;
  readonly besideOthersBytes: number;
}

/** Turns for which another export's work is remembered: one with a single request under way is not at work in each. */
const rememberedTurns = 32;

export class TurnShares {
  readonly #sizes: ShareSizes;
  readonly #soon: (run: () => void) => void;
  readonly #shares = new Map<string, Share>();
  #touched: Share[] = [];
  #last: Share | undefined;
  #turnsBeside = 0;
  #renewing = false;
  readonly #events: ShareEvents = {
    touched: (share) => this.#touch(share),
    unused: (share) => this.#shares.delete(share.exportName),
    bytesMax: () => (this.#turnsBeside > 0 ? this.#sizes.besideOthersBytes : this.#sizes.aloneBytes),
  };

  /** `soon` calls back at the end of the loop's present turn. */
  constructor(sizes: ShareSizes, soon: (run: () => void) => void = setImmediate) {
    this.#sizes = sizes;
    this.#soon = soon;
  }

  get exportCount(): number {
    return this.#shares.size;
  }

  /** The share of an export, to be given back with done(). */
  of(exportName: string): Share {
    let share = this.#shares.get(exportName);
    if (share === undefined) {
      share = new Share(exportName, this.#events);
      this.#shares.set(exportName, share);
    }
    share.users++;
    return share;
  }

  #touch(share: Share): void {
    if (this.#last !== undefined && this.#last !== share) this.#turnsBeside = rememberedTurns;
    this.#last = share;
    this.#touched.push(share);
    if (this.#touched.length === 1 && !this.#renewing) this.#soon(this.#endTurn);
  }

  readonly #endTurn = (): void => {
    const touched = this.#touched;
    this.#touched = [];
    if (this.#turnsBeside > 0) this.#turnsBeside--;
    this.#renewing = true;
    for (const share of touched) share.renew();
    this.#renewing = false;
    if (this.#touched.length > 0) this.#soon(this.#endTurn);
  };
}

interface ShareEvents {
  touched(share: Share): void;
  unused(share: Share): void;
  bytesMax(): number;
}

export class Share {
  readonly exportName: string;
  users = 0;
  readonly #on: ShareEvents;
  #spentBytes = 0;
  #waiting: (() => void)[] = [];

  constructor(exportName: string, on: ShareEvents) {
    this.exportName = exportName;
    this.#on = on;
  }

  get mayBegin(): boolean {
    return this.#spentBytes < this.bytesMax;
  }

  /** Of this turn. */
  get bytesMax(): number {
    return this.#on.bytesMax();
  }

  spend(bytes: number): void {
    if (this.#spentBytes === 0) this.#on.touched(this);
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
    if (this.users === 0) this.#on.unused(this);
  }
}
