// What a cut held alone, counted when it is gone (docs/design/freed-space.md): its map is compared with that of the next cut, or
// of the head, and what only the former has has died.
//
//     cuts that a pass judged by ──some are gone in the next pass's state──► compared with the next ones ──► hints: so many died
//                                                      └──too many at once, maps gone or damaged──► hints: the log is doubted
//
// - Costs in proportion to what differs, whatever the length of the log.
// - Too many may be counted, too few never.
// - In memory only: after a restart all is unknown anyway.

import { AndironError } from "../../common/errors.ts";
import type { CleanerContext } from "../engine-context.ts";
import { diskClustersMax } from "../limits.ts";
import { Delta } from "../map/delta.ts";
import { MapDifferences, type MapSide } from "../map/differences.ts";
import { Tree } from "../map/tree.ts";
import { comparePositions, type LogPosition, type View } from "../records.ts";
import { openView } from "../view.ts";
import type { JudgeViews } from "./judge-views.ts";
import { hasHead, type LogState } from "./log-state.ts";

/** A cut that is gone, and what has its place among those that judge. */
interface Gone {
  readonly view: View;
  /** Undefined: the head, or nothing when there is none. */
  readonly next: View | undefined;
  readonly isNextGone: boolean;
  /** What lies before is held by the cut before it, which is there. */
  readonly from: LogPosition;
}

const start: LogPosition = { epoch: 0, number: 0 };
/** Cuts that are compared in one pass; when more are gone a look at all of the log comes sooner to its end. */
const goneMax = 64;
/** In which two maps may differ: what was written at random is in every leaf, and a look at the segments is less in the end. */
const leavesMax = 8192;
/** Of all cuts that are gone at once. */
const leavesTogetherMax = 8 * leavesMax;

export class FreedSpace {
  readonly #context: CleanerContext;
  /** Cuts of each log by which what is known of its segments was found out, ascending. */
  readonly #judged = new Map<string, readonly View[]>();
  #stopped = false;

  constructor(context: CleanerContext) {
    this.#context = context;
  }

  /** Ends a count() that is under way; it rejects. */
  stop(): void {
    this.#stopped = true;
  }

  forget(log: string): void {
    this.#judged.delete(log);
  }

  /**
   * Tells the hints what died with the cuts that are not in `state` any more; so does it `deaths`, which a look by this state
   * knows of. From now on the log is judged by the state's cuts. Rejects with backend kinds: then nothing was counted.
   */
  async count(state: LogState, views: JudgeViews, deaths: Uint32Array): Promise<void> {
    const { id } = state.record;
    const { hints } = this.#context;
    const held = distinct(state.cuts.map(({ view }) => view));
    const gone = goneCuts(this.#judged.get(id) ?? [], held);
    if (gone.length > 0 && !hints.wantsRescan(id)) {
      const died = gone.length > goneMax ? undefined : await this.#deathsWith(gone, state, views);
      if (died === undefined) hints.rescan(id);
      for (const [handle, count] of died ?? []) {
        hints.died(handle, count);
        if (handle < deaths.length) deaths[handle]! += count;
      }
    }
    if (held.length > 0) this.#judged.set(id, held);
    else this.#judged.delete(id);
  }

  /** Undefined when the maps to be compared are not there any more, or too much of them differs. */
  async #deathsWith(gone: readonly Gone[], state: LogState, views: JudgeViews): Promise<Map<number, number> | undefined> {
    const died = new Map<number, number>();
    try {
      // From the youngest on: a cut's map is the next one's when that of the cut before it is looked at.
      let next: MapSide | undefined;
      let leavesLeft = leavesTogetherMax;
      for (const cut of gone.toReversed()) {
        if (next === undefined || !cut.isNextGone) next = await this.#nextSide(cut, state, views);
        const side = await openView(this.#context, cut.view);
        const differences = new MapDifferences(this.#context.pages, side, next, diskClustersMax);
        await side.delta.sort();
        await next.delta.sort();
        const tell = this.#counter(cut, state, died);
        const leaves = await differences.eachReplaced(Math.min(leavesMax, leavesLeft), tell);
        if (leaves === undefined) return undefined;
        leavesLeft -= leaves;
        next = side;
      }
      return died;
    } catch (error) {
      if (!isMissing(error)) throw error;
      this.#context.log.info(`what deleted snapshots of log ${state.record.id} held is looked for in all of it`, { error });
      return undefined;
    }
  }

  async #nextSide(cut: Gone, state: LogState, views: JudgeViews): Promise<MapSide> {
    if (cut.next !== undefined) return views.at(cut.next);
    if (hasHead(state)) return views.head(state.record.checkpoint);
    return { tree: new Tree(this.#context.pages, [], undefined, 0), delta: new Delta() };
  }

  /** Counts what died of those segments that the cut alone may have held. */
  #counter(cut: Gone, state: LogState, died: Map<number, number>): (handle: number) => void {
    const { segments } = this.#context;
    const { record } = state;
    // What the head replays is live by rule.
    const end = cut.next === undefined && hasHead(state) ? (record.checkpoint?.next ?? start) : undefined;
    const isCounted = (handle: number): boolean => {
      const segment = segments.segmentOf(handle);
      if (segment.log !== record.id || comparePositions(segment, cut.from) < 0) return false;
      return end === undefined || comparePositions(segment, end) < 0;
    };
    const counted = new Map<number, boolean>();
    return (handle) => {
      if (this.#stopped) throw new AndironError("shutting_down", "the cleaner is stopped");
      let counts = counted.get(handle);
      if (counts === undefined) counted.set(handle, (counts = isCounted(handle)));
      if (counts) died.set(handle, (died.get(handle) ?? 0) + 1);
    };
  }
}

/** Deleted meanwhile, or damaged. */
const isMissing = (error: unknown): boolean =>
  error instanceof AndironError && (error.kind === "data" || error.code === "object_not_found");

/** The same cut may have several holders. */
function distinct(views: readonly View[]): View[] {
  return views.filter(({ cut }, i) => i === 0 || cut !== views[i - 1]!.cut);
}

/** Ascending. */
function goneCuts(judged: readonly View[], held: readonly View[]): Gone[] {
  const present = new Set(held.map(({ cut }) => cut));
  const gone = judged.filter(({ cut }) => !present.has(cut));
  return gone.map((view, i) => {
    const nextHeld = held.find(({ cut }) => cut > view.cut);
    const nextGone = gone[i + 1];
    const isNextGone = nextGone !== undefined && (nextHeld === undefined || nextGone.cut < nextHeld.cut);
    const before = held.findLast(({ cut }) => cut < view.cut);
    return { view, next: isNextGone ? nextGone : nextHeld, isNextGone, from: before?.checkpoint?.next ?? start };
  });
}
