// Which clusters of a segment anybody can still see (docs/design/0002-log-engine.md, "Cleaner").
//
// For an entry with sequence s let k be the smallest cut at or above s. It is live exactly if the view at k maps its cluster
// to it.
// Without such a cut the head decides, by its committed checkpoint: what is younger than that is live (the delta in memory may
// be lost with the power), and without a head nothing is.
//
//     entries ──as many as one view decides for──► in the order of their clusters ──► found in its map, or not
//
// A large map is not in memory, and in the order of a log each cluster may be anywhere in it: in the map's own order what is near
// each other is read together (map/page-sweep.ts).

import { assert } from "../../common/assert.ts";
import { backgroundTurn } from "../../common/turn.ts";
import { countOf } from "../format/page-words.ts";
import type { EncodedIndex, IndexEntry } from "../format/segment.ts";
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
import { BlockMap, newPlaces } from "../map/block-map.ts";
import { PageSweep } from "../map/page-sweep.ts";
import type { Pages } from "../map/pages.ts";
import type { OpenedView } from "../view.ts";
import type { JudgeViews } from "./judge-views.ts";
import { hasHead, type LogState } from "./log-state.ts";

export interface LiveSegment {
  /** What a compacted generation keeps: zero records, and runs of live clusters. */
  readonly kept: readonly IndexEntry[];
  readonly liveClusters: number;
  readonly dataClusters: number;
}

/** What was found of a segment; of most of them no more is asked than how much lives. */
export interface FoundLive {
  readonly liveClusters: number;
  readonly dataClusters: number;
  /** Until the next segment is looked at. */
  readonly whole: () => Promise<LiveSegment>;
}

/** In one turn of the event loop, whatever segments they are of, an entry counting as so many: less than a millisecond's work. */
const clustersPerTurn = 4096;
const clustersOfEntry = 16;
/** What a leaf counts for that was not in memory, and what each of its entries does. */
const clustersOfLeaf = 16;
const clustersOfLeafEntry = 1;
/** So many entries are passed over in the time of a cluster. */
const entriesPassedForCluster = 4;
/** About a millisecond's work: the clusters of a segment of 64 MiB. */
const sortedTogetherMax = 16 * 1024;
/** More than there are clusters in a segment, and small enough that a cluster times it is an exact number. */
const keysMax = 2 ** 20;

/** Decides for the entries with sequences in (after, upTo]: by a map, or all alike. */
interface Judge {
  readonly after: number;
  readonly upTo: number;
  readonly verdict: BlockMap | "live" | "dead";
}

export class Liveness {
  readonly #state: LogState;
  readonly #views: JudgeViews;
  readonly #pages: Pages;
  /** Of the entry before: mostly that of the next one too. */
  #judge: Judge = { after: 0, upTo: 0, verdict: "live" };
  readonly #places = newPlaces(engineLimits.recordClustersMax);
  #marks = new Uint8Array(0);
  /** Of this turn. */
  #clusters = 0;

  constructor(state: LogState, views: JudgeViews, pages: Pages) {
    this.#state = state;
    this.#views = views;
    this.#pages = pages;
  }

  /** Throws segment_damaged. */
  async of(index: EncodedIndex, handle: number): Promise<FoundLive> {
    const entries = entriesIn(index);
    const { starts, bases, dataClusters } = entries;
    if (this.#marks.length < dataClusters) this.#marks = new Uint8Array(dataClusters);
    const marks = this.#marks.fill(0, 0, dataClusters);
    await this.#spend(starts.length / entriesPassedForCluster);
    for (let from = 0; from < starts.length;) {
      // Nobody asks what lives of zeroes: a view that judges nothing else need not be opened.
      if (kindAt(entries.words, starts[from]!) === recordKinds.zero) {
        from++;
        continue;
      }
      const judge = await this.#judgeOf(sequenceIn(entries, from));
      let to = from + 1;
      while (to < starts.length && to - from < sortedTogetherMax && decides(judge, sequenceIn(entries, to))) to++;
      if (judge.verdict === "live") marks.fill(1, bases[from]!, bases[to] ?? dataClusters);
      else if (judge.verdict !== "dead") await this.#look(entries, from, to, judge.verdict, handle);
      from = to;
    }
    let liveClusters = 0;
    for (let cluster = 0; cluster < dataClusters; cluster++) liveClusters += marks[cluster]!;
    const whole = async (): Promise<LiveSegment> => ({ kept: await this.#kept(entries), liveClusters, dataClusters });
    return { liveClusters, dataClusters, whole };
  }

  /** Marks what `map` has of the entries [from, to). */
  async #look(entries: Entries, from: number, to: number, map: BlockMap, handle: number): Promise<void> {
    const sweep = new PageSweep(this.#pages);
    try {
      await this.#lookBy(sweep, entries, from, to, map, handle);
    } finally {
      sweep.end();
    }
  }

  async #lookBy(sweep: PageSweep, entries: Entries, from: number, to: number, map: BlockMap, handle: number): Promise<void> {
    const { words, starts, bases } = entries;
    const { handles, offsets } = this.#places;
    /** The last two: no record lies in more. */
    const leaves = new Map<number, Uint32Array>();
    for (const at of byCluster(entries, from, to)) {
      const start = starts[at]!;
      const firstCluster = firstClusterAt(words, start);
      const clusterCount = clusterCountAt(words, start);
      await this.#spend(clustersOfEntry + clusterCount);
      for (let missing; (missing = map.resolve(firstCluster, clusterCount, this.#places, leaves)) >= 0;) {
        if (leaves.size > 1) leaves.delete(leaves.keys().next().value!);
        const leaf = await map.tree.loadLeaf(missing, sweep);
        leaves.set(missing, leaf);
        await this.#spend(clustersOfLeaf + clustersOfLeafEntry * countOf(leaf, 0));
      }
      const originalOffset = originalOffsetAt(words, start);
      for (let i = 0; i < clusterCount; i++) {
        if (handles[i] === handle && offsets[i] === originalOffset + i * clusterBytes) this.#marks[bases[at]! + i] = 1;
      }
    }
  }

  async #kept({ words, starts, bases, firstSequence }: Entries): Promise<IndexEntry[]> {
    const kept: IndexEntry[] = [];
    for (const [at, start] of starts.entries()) {
      await this.#spend(clustersOfEntry);
      const entry = entryAt(words, start, sequenceAt(words, start, firstSequence));
      if (entry.kind === recordKinds.zero) kept.push(entry);
      else for (const { from, to } of runsIn(this.#marks, bases[at]!, entry.clusterCount)) kept.push(runOf(entry, from, to));
    }
    return kept;
  }

  async #spend(clusters: number): Promise<void> {
    this.#clusters += clusters;
    if (this.#clusters < clustersPerTurn) return;
    this.#clusters = 0;
    await backgroundTurn();
  }

  async #judgeOf(sequence: number): Promise<Judge> {
    if (!decides(this.#judge, sequence)) this.#judge = await this.#newJudge(sequence);
    return this.#judge;
  }

  async #newJudge(sequence: number): Promise<Judge> {
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

const decides = ({ after, upTo }: Judge, sequence: number): boolean => sequence > after && sequence <= upTo;

const mapOf = ({ tree, delta }: OpenedView): BlockMap => new BlockMap(tree, delta);

interface Entries {
  readonly words: Uint32Array;
  readonly firstSequence: number;
  /** Where each begins. */
  readonly starts: Uint32Array;
  /** How many clusters of data those before it have. */
  readonly bases: Uint32Array;
  readonly dataClusters: number;
}

/** No objects: of most segments that are looked at next to nothing is kept. Throws segment_damaged. */
function entriesIn(index: EncodedIndex): Entries {
  const { entryCount, firstSequence } = index;
  const starts = new Uint32Array(entryCount);
  const bases = new Uint32Array(entryCount);
  let words: Uint32Array = starts;
  let count = 0;
  let dataClusters = 0;
  eachEntry(index, (kind, _sequence, _firstCluster, clusterCount, ofIndex, at) => {
    words = ofIndex;
    starts[count] = at;
    bases[count++] = dataClusters;
    if (kind === recordKinds.data) dataClusters += clusterCount;
  });
  return { words, firstSequence, starts, bases, dataClusters };
}

const sequenceIn = ({ words, starts, firstSequence }: Entries, at: number): number =>
  sequenceAt(words, starts[at]!, firstSequence);

/** The numbers of the data entries among [from, to), by their first clusters ascending. */
function byCluster({ words, starts }: Entries, from: number, to: number): Uint32Array {
  const numbers = new Uint32Array(to - from);
  let count = 0;
  for (let at = from; at < to; at++) if (kindAt(words, starts[at]!) === recordKinds.data) numbers[count++] = at;
  assert(count <= keysMax, "keys are exact");
  const keys = new Float64Array(count);
  for (let i = 0; i < count; i++) keys[i] = firstClusterAt(words, starts[numbers[i]!]!) * keysMax + i;
  keys.sort();
  const sorted = new Uint32Array(count);
  for (let i = 0; i < count; i++) sorted[i] = numbers[keys[i]! % keysMax]!;
  return sorted;
}

interface Run {
  readonly from: number;
  readonly to: number;
}

/** Of the clusters of an entry, those that are marked. */
function runsIn(marks: Uint8Array, base: number, clusterCount: number): readonly Run[] {
  const runs: Run[] = [];
  for (let from = 0; from < clusterCount; from++) {
    let to = from;
    while (to < clusterCount && marks[base + to] === 1) to++;
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
