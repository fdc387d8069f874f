// Which clusters of a segment anybody can still see (docs/design/0002-log-engine.md, "Cleaner").
//
// For an entry with sequence s let k be the smallest cut at or above s. It is live exactly if the view at k maps its cluster
// to it.
// Without such a cut the head decides, by its committed checkpoint: what is younger than that is live (the delta in memory may
// be lost with the power), and without a head nothing is.

import { nextTurn } from "../../common/turn.ts";
import type { IndexEntry } from "../format/segment.ts";
import { recordKinds } from "../format/segment.ts";
import { clusterBytes } from "../limits.ts";
import { BlockMap } from "../map/block-map.ts";
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

/** Entries in one turn of the event loop: about a millisecond's work. */
const entriesPerTurn = 256;

type Judge = { readonly kind: "map"; readonly map: BlockMap } | { readonly kind: "live" } | { readonly kind: "dead" };

export class Liveness {
  readonly #state: LogState;
  readonly #views: JudgeViews;

  constructor(state: LogState, views: JudgeViews) {
    this.#state = state;
    this.#views = views;
  }

  async of(index: SegmentIndex, handle: number): Promise<LiveSegment> {
    const kept: IndexEntry[] = [];
    let liveClusters = 0;
    let dataClusters = 0;
    let looks = 0;
    for (const entry of index.entries) {
      if (++looks % entriesPerTurn === 0) await nextTurn();
      if (entry.kind === recordKinds.zero) {
        kept.push(entry);
        continue;
      }
      dataClusters += entry.clusterCount;
      const live = await this.#liveIn(entry, handle);
      for (const run of runsOf(entry, live)) {
        liveClusters += run.clusterCount;
        kept.push(run);
      }
    }
    return { kept, liveClusters, dataClusters };
  }

  async #liveIn(entry: IndexEntry, handle: number): Promise<boolean[]> {
    const judge = await this.#judgeOf(entry.sequence);
    if (judge.kind !== "map") return Array.from({ length: entry.clusterCount }, () => judge.kind === "live");
    const places = await judge.map.resolveLoading(entry.firstCluster, entry.clusterCount);
    return Array.from(
      { length: entry.clusterCount },
      (_, i) => places.handles[i] === handle && places.offsets[i] === entry.originalOffset + i * clusterBytes,
    );
  }

  async #judgeOf(sequence: number): Promise<Judge> {
    const cut = this.#state.cuts.find(({ view }) => view.cut >= sequence);
    if (cut !== undefined) return mapOf(await this.#views.at(cut.view));
    if (!hasHead(this.#state)) return { kind: "dead" };
    const { checkpoint } = this.#state.record;
    if (checkpoint === null || sequence > checkpoint.sequence) return { kind: "live" };
    return mapOf(await this.#views.head(checkpoint));
  }
}

const mapOf = ({ tree, delta }: OpenedView): Judge => ({ kind: "map", map: new BlockMap(tree, delta) });

/** The live runs of a data entry as entries of their own, at the same original offsets. */
function runsOf(entry: IndexEntry, live: readonly boolean[]): IndexEntry[] {
  const runs: IndexEntry[] = [];
  for (let from = 0; from < live.length;) {
    if (live[from] !== true) {
      from++;
      continue;
    }
    let to = from + 1;
    while (to < live.length && live[to] === true) to++;
    runs.push({
      ...entry,
      firstCluster: entry.firstCluster + from,
      clusterCount: to - from,
      originalOffset: entry.originalOffset + from * clusterBytes,
      presentOffset: entry.presentOffset + from * clusterBytes,
      clusterCrcs: entry.clusterCrcs.subarray(from, to),
    });
    from = to;
  }
  return runs;
}
