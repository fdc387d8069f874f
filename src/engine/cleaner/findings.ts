// What a pass over a log has found out about segments and not acted upon yet: those that are to be dropped, and those that are
// to be compacted, are done a few together, since a transaction takes as long for one as for twenty.
//
//     looked at ──► empty | sparse ──as many as go together, or finish()──► done, the hints told and counted
//
// - Bounded by what a transaction writes, and by the entries of one full segment that are kept.
// - What is to be dropped does not wait while what is to be compacted does.
// - What waits here is found again by the next pass if it is never done.

import type { CleanerContext } from "../engine-context.ts";
import { clusterBytes } from "../limits.ts";
import { compactSegments, dropSegments, type EmptySegment, type SparseSegment } from "./compaction.ts";
import type { LogState } from "./log-state.ts";
import { type Pace, segmentCostBytes } from "./pace.ts";

/** Each has two records in a transaction. */
const droppedTogetherMax = 20;
/**
 * So do these, and they are no more than that. A compaction takes several operations of a slow backend, one after the other,
 * while what the pass goes by gets old: after many it would copy what is dead by then, and could be dropped.
 */
const compactedPerPassMax = 16;
/** Entries of a segment of 64 MiB that was written at random. */
const entriesTogetherMax = 16_384;

export class Findings {
  readonly #context: CleanerContext;
  readonly #state: LogState;
  readonly #deaths: Uint32Array;
  readonly #pace: Pace;
  #empty: EmptySegment[] = [];
  #sparse: SparseSegment[] = [];
  #entries = 0;
  dropped = 0;
  compacted = 0;

  /** `deaths`: as the hints had them before the state was read. */
  constructor(context: CleanerContext, state: LogState, deaths: Uint32Array, pace: Pace) {
    this.#context = context;
    this.#state = state;
    this.#deaths = deaths;
    this.#pace = pace;
  }

  /** It takes no more that is to be compacted. */
  get isFull(): boolean {
    return this.compacted + this.#sparse.length === compactedPerPassMax;
  }

  /** Rejects as dropSegments, for any of those that wait. */
  async empty(segment: EmptySegment): Promise<void> {
    this.#empty.push(segment);
    if (this.#empty.length === droppedTogetherMax) await this.#drop();
  }

  /** Unless it is full. Rejects as compactSegments, for any of those that wait. */
  async sparse(segment: SparseSegment): Promise<void> {
    const entries = segment.live.kept.length;
    if (this.#entries + entries > entriesTogetherMax) await this.#compact();
    this.#sparse.push(segment);
    this.#entries += entries;
  }

  async finish(): Promise<void> {
    await this.#drop();
    await this.#compact();
  }

  async #drop(): Promise<void> {
    const empty = this.#empty;
    if (empty.length === 0) return;
    this.#empty = [];
    await dropSegments(this.#context, this.#state, empty);
    this.dropped += empty.length;
    for (const { handle } of empty) this.#context.hints.dropped(handle);
  }

  async #compact(): Promise<void> {
    const sparse = this.#sparse;
    if (sparse.length === 0) return;
    await this.#drop(); // what follows may have to wait
    this.#sparse = [];
    this.#entries = 0;
    await this.#pace.inTurn(async () => {
      let bytes = 0;
      await compactSegments(this.#context, this.#state, sparse, ({ handle, live: { dataClusters, liveClusters } }) => {
        this.compacted++;
        this.#context.hints.looked(handle, liveClusters, liveClusters, this.#deaths);
        bytes += segmentCostBytes + (dataClusters + liveClusters) * clusterBytes;
      });
      return bytes;
    });
  }
}
