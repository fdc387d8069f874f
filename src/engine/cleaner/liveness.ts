// Which clusters of a segment anybody can still see (docs/design/0002-log-engine.md, "Cleaner").
//
// For an entry with sequence s let k be the smallest cut at or above s. It is live exactly if the view at k maps its cluster
// to it.
// Without such a cut the head decides, by its committed checkpoint: what is younger than that is live (the delta in memory may
// be lost with the power), and without a head nothing is.

import { backgroundTurn } from "../../common/turn.ts";
import type { IndexEntry } from "../format/segment.ts";
import {
  clusterCountAt,
  eachEntry,
  entryAt,
  firstClusterAt,
  kindAt,
  originalOffsetAt,
  recordKinds,
  sequenceAt,
} from "../format/segment.ts";
import { clusterBytes, engineLimits } from "../limits.ts";
import { BlockMap, newPlaces, type Places } from "../map/block-map.ts";
import type { SegmentIndex } from "../segments.ts";
import type { OpenedView } from "../view.ts";
import type { JudgeViews } from "./judge-views.ts";
import { hasHead, type LogState } from "./log-state.ts";

export interface LiveSegment {
  /** What a compacted generation keeps: zero records, and runs of live clusters. */
  readonly kept: readonly IndexEntry[];
  readonly liveClusters: number;
  readonly dataClusters: number;
}

/** In one turn of the event loop, whatever segments they are of, an entry counting as so many: less than a millisecond's work. */
const clustersPerTurn = 4096;
const clustersOfEntry = 16;

/** Decides for the entries with sequences in (after, upTo]: by a map, or all alike. */
interface Judge {
  readonly after: number;
  readonly upTo: number;
  readonly verdict: BlockMap | "live" | "dead";
}

export class Liveness {
  readonly #state: LogState;
  readonly #views: JudgeViews;
  /** Of the entry before: mostly that of the next one too. */
  #judge: Judge = { after: 0, upTo: 0, verdict: "live" };
  readonly #places = newPlaces(engineLimits.recordClustersMax);
  /** Of this turn. */
  #clusters = 0;

  constructor(state: LogState, views: JudgeViews) {
    this.#state = state;
    this.#views = views;
  }

  async of(index: SegmentIndex, handle: number): Promise<LiveSegment> {
    const kept: IndexEntry[] = [];
    let liveClusters = 0;
    let dataClusters = 0;
    const { words, starts } = entriesIn(index);
    for (const at of starts) {
      const sequence = sequenceAt(words, at, index.encoded.firstSequence);
      if (kindAt(words, at) === recordKinds.zero) {
        kept.push(entryAt(words, at, sequence));
        continue;
      }
      const clusterCount = clusterCountAt(words, at);
      this.#clusters += clustersOfEntry + clusterCount;
      if (this.#clusters >= clustersPerTurn) {
        this.#clusters = 0;
        await backgroundTurn();
      }
      const { after, upTo } = this.#judge;
      if (sequence <= after || sequence > upTo) this.#judge = await this.#judgeOf(sequence);
      dataClusters += clusterCount;
      const { verdict } = this.#judge;
      if (verdict === "dead") continue;
      if (verdict === "live") {
        kept.push(entryAt(words, at, sequence));
        liveClusters += clusterCount;
        continue;
      }
      const firstCluster = firstClusterAt(words, at);
      const isAway = verdict.resolve(firstCluster, clusterCount, this.#places) >= 0;
      const places = isAway ? await verdict.resolveLoading(firstCluster, clusterCount) : this.#places;
      const runs = runsAt(places, clusterCount, handle, originalOffsetAt(words, at));
      if (runs.length === 0) continue;
      const entry = entryAt(words, at, sequence);
      for (const { from, to } of runs) {
        kept.push(runOf(entry, from, to));
        liveClusters += to - from;
      }
    }
    return { kept, liveClusters, dataClusters };
  }

  async #judgeOf(sequence: number): Promise<Judge> {
    const { cuts, record } = this.#state;
    const at = cuts.findIndex(({ view }) => view.cut >= sequence);
    const before = (at < 0 ? cuts.at(-1) : cuts[at - 1])?.view.cut ?? 0;
    if (at >= 0) {
      const { view } = cuts[at]!;
      return { after: before, upTo: view.cut, verdict: mapOf(await this.#views.at(view)) };
    }
    if (!hasHead(this.#state)) return { after: before, upTo: Infinity, verdict: "dead" };
    const { checkpoint } = record;
    const committed = checkpoint?.sequence ?? 0;
    if (checkpoint === null || sequence > committed)
      return { after: Math.max(before, committed), upTo: Infinity, verdict: "live" };
    return { after: before, upTo: committed, verdict: mapOf(await this.#views.head(checkpoint)) };
  }
}

const mapOf = ({ tree, delta }: OpenedView): BlockMap => new BlockMap(tree, delta);

interface Entries {
  readonly words: Uint32Array;
  /** Where each begins. */
  readonly starts: Uint32Array;
}

/** No objects: of most segments that are looked at next to nothing is kept. Throws segment_damaged. */
function entriesIn({ encoded }: SegmentIndex): Entries {
  const starts = new Uint32Array(encoded.entryCount);
  let words: Uint32Array = starts;
  let count = 0;
  eachEntry(encoded, (_kind, _sequence, _firstCluster, _clusterCount, ofIndex, at) => {
    words = ofIndex;
    starts[count++] = at;
  });
  return { words, starts };
}

interface Run {
  readonly from: number;
  readonly to: number;
}

/** Clusters of an entry that the map has there. */
function runsAt({ handles, offsets }: Places, clusterCount: number, handle: number, originalOffset: number): readonly Run[] {
  const runs: Run[] = [];
  for (let from = 0; from < clusterCount; from++) {
    let to = from;
    while (to < clusterCount && handles[to] === handle && offsets[to] === originalOffset + to * clusterBytes) to++;
    if (to > from) runs.push({ from, to });
    from = to;
  }
  return runs;
}

/** The clusters [from, to) of a data entry as an entry of their own, at the same original offsets. */
const runOf = (entry: IndexEntry, from: number, to: number): IndexEntry => ({
  ...entry,
  firstCluster: entry.firstCluster + from,
  clusterCount: to - from,
  originalOffset: entry.originalOffset + from * clusterBytes,
  presentOffset: entry.presentOffset + from * clusterBytes,
  clusterCrcs: entry.clusterCrcs.subarray(from, to),
});
