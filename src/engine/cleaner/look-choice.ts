// Which segments of a log a pass looks at, when it may not look at all that are worth it.
//
// - Of each kind some, so that none waits for another to come to an end: those of which nothing may live, which cost least and
//   give most; those of which nobody knows; those that are to be compacted. What is left of the number goes to them in this
//   order.
// - Of those that are to be compacted the ones with the least that lives come first: they cost least and give most.
// - Those of which nobody knows are taken where the pass before stopped, and from the beginning again after the last: all of them
//   have their turn, however often all become doubtful.

import type { SegmentId } from "../names.ts";
import type { LogPosition } from "../records.ts";
import { comparePositions } from "../records.ts";
import type { LookWorth } from "./hints.ts";

/** Shares of a pass that each kind has for certain, if there are as many. */
const shares: Readonly<Record<LookWorth, number>> = { dead: 1 / 2, doubtful: 1 / 4, sparse: 1 / 8 };
const order: readonly LookWorth[] = ["dead", "doubtful", "sparse"];
/** Among which the ones with the least that lives are looked for. */
const sparseMax = 4096;

export class LookChoice {
  readonly #log: string;
  readonly #upTo: Map<string, LogPosition>;
  readonly #countMax: number;
  readonly #offered: Record<"dead" | "doubtful", SegmentId[]> = { dead: [], doubtful: [] };
  readonly #sparse: { readonly segment: SegmentId; readonly liveShare: number }[] = [];
  /** Doubtful ones that had their turn before others. */
  readonly #again: SegmentId[] = [];
  readonly #doubtful = new Set<SegmentId>();
  /** Of those that were offered. */
  count = 0;

  /** `upTo`: by log, where the doubtful ones of the last pass ended; kept by the caller. */
  constructor(log: string, upTo: Map<string, LogPosition>, countMax: number) {
    this.#log = log;
    this.#upTo = upTo;
    this.#countMax = countMax;
  }

  /** In the order of the log. `liveShare`: of its clusters, as far as is known. */
  offer(segment: SegmentId, worth: LookWorth, liveShare = 1): void {
    this.count++;
    if (worth === "sparse") {
      if (this.#sparse.length < sparseMax) this.#sparse.push({ segment, liveShare });
      return;
    }
    const upTo = worth === "doubtful" ? this.#upTo.get(this.#log) : undefined;
    const among = upTo !== undefined && comparePositions(segment, upTo) <= 0 ? this.#again : this.#offered[worth];
    if (among.length < this.#countMax) among.push(segment);
  }

  /** As many as the pass may look at, in the order in which it should. */
  taken(): SegmentId[] {
    const { doubtful } = this.#offered;
    doubtful.push(...this.#again.slice(0, this.#countMax - doubtful.length));
    for (const segment of doubtful) this.#doubtful.add(segment);
    const sparse = this.#sparse.toSorted((a, b) => a.liveShare - b.liveShare).map(({ segment }) => segment);
    const offered: Record<LookWorth, SegmentId[]> = { ...this.#offered, sparse };
    const taken: SegmentId[] = [];
    for (const kind of order) taken.push(...offered[kind].splice(0, Math.ceil(this.#countMax * shares[kind])));
    for (const kind of order) taken.push(...offered[kind].splice(0, this.#countMax - taken.length));
    return taken;
  }

  looked(segment: SegmentId): void {
    if (this.#doubtful.has(segment)) this.#upTo.set(this.#log, { epoch: segment.epoch, number: segment.number });
  }
}
