// What differs between two maps of one vPool, by places alone: a place in a segment never changes its bytes, so clusters at the
// same place are equal, and nothing has to be read or hashed. Clusters written anew with the same bytes count as changed.
//
// - Pages that both trees share are skipped, whole subtrees at a time; only leaves that differ, or that a delta touches, are
//   looked at. Work is in proportion to what changed (and to the deltas, which are bounded).
// - What is not in memory is read by windows (page-sweep.ts), which are given back when a batch is done.
// - The maps must not change meanwhile: they are of snapshots, not of open disks.
// - One call at a time.

import { backgroundTurn } from "../../common/turn.ts";
import { pageFanout } from "../limits.ts";
import { BlockMap, newPlaces, type Places } from "./block-map.ts";
import { Delta, zeroHandle } from "./delta.ts";
import { PageSweep } from "./page-sweep.ts";
import type { Pages } from "./pages.ts";
import type { Tree } from "./tree.ts";

export interface MapSide {
  readonly tree: Tree;
  readonly delta: Delta;
}

export interface ChangedRun {
  readonly firstCluster: number;
  readonly clusterCount: number;
  /** What the newer map has there: data, or nothing but zeroes. */
  readonly kind: "data" | "zero";
}

export interface RunBatch {
  readonly runs: readonly ChangedRun[];
  /** Where the next batch begins; `endCluster` when there is nothing more. */
  readonly nextCluster: number;
}

export interface BatchLimits {
  readonly runsMax: number;
  /** Leaves looked at. */
  readonly leavesMax: number;
}

/** Leaves that are compared in one turn of the event loop: less than a millisecond's work. */
const leavesPerTurn = 16;

export class MapDifferences {
  readonly #older: MapSide;
  readonly #newer: MapSide;
  readonly #olderMap: BlockMap;
  readonly #newerMap: BlockMap;
  readonly #endCluster: number;
  readonly #sweep: PageSweep;

  /** Only clusters below `endCluster` are compared. `pages`: of the vPool that both are of. */
  constructor(pages: Pages, older: MapSide, newer: MapSide, endCluster: number) {
    this.#sweep = new PageSweep(pages);
    this.#older = older;
    this.#newer = newer;
    this.#olderMap = new BlockMap(older.tree, older.delta);
    this.#newerMap = new BlockMap(newer.tree, newer.delta);
    this.#endCluster = endCluster;
  }

  /** Changed runs from `fromCluster` on, ascending; those that touch and are of one kind are one, within a batch. */
  next(fromCluster: number, limits: BatchLimits): Promise<RunBatch> {
    return this.#swept(this.#next(fromCluster, limits));
  }

  async #next(fromCluster: number, limits: BatchLimits): Promise<RunBatch> {
    const runs: ChangedRun[] = [];
    let cluster = fromCluster;
    for (let leaves = 0; leaves < limits.leavesMax && cluster < this.#endCluster; leaves++) {
      const leaf = await this.#nextCandidate(Math.floor(cluster / pageFanout));
      cluster = Math.min(this.#endCluster, Math.max(cluster, leaf * pageFanout));
      const end = Math.min(this.#endCluster, (leaf + 1) * pageFanout);
      if (cluster >= end) break;
      const full = await this.#compare(cluster, end, runs, limits.runsMax);
      if (full !== undefined) return { runs, nextCluster: full };
      cluster = end;
    }
    return { runs, nextCluster: cluster };
  }

  /**
   * Tells of each cluster that has data in the older map and is elsewhere in the newer one, or nowhere: the segment's handle.
   * How many leaves were looked at; undefined when more than so many may differ: the others were not.
   */
  eachReplaced(leavesMax: number, replaced: (handle: number) => void): Promise<number | undefined> {
    return this.#swept(this.#eachReplaced(leavesMax, replaced));
  }

  /** What it took is given back at its end. */
  #swept<T>(work: Promise<T>): Promise<T> {
    return work.finally(() => this.#sweep.end());
  }

  async #eachReplaced(leavesMax: number, replaced: (handle: number) => void): Promise<number | undefined> {
    const places = { older: newPlaces(pageFanout), newer: newPlaces(pageFanout) };
    for (let leaf = 0, leaves = 0; ; leaf++) {
      leaf = await this.#nextCandidate(leaf);
      const first = leaf * pageFanout;
      if (first >= this.#endCluster) return leaves;
      if (leaves === leavesMax) return undefined;
      if (++leaves % leavesPerTurn === 0) await backgroundTurn();
      const count = Math.min(pageFanout, this.#endCluster - first);
      if (this.#isSameIn(first, first + count)) continue;
      const isThere = fill(this.#older, first, count, places.older) && fill(this.#newer, first, count, places.newer);
      const { older, newer } = isThere ? places : await this.#placesOf(first, count);
      for (let i = 0; i < count; i++) {
        const handle = older.handles[i]!;
        if (handle !== 0 && !isSamePlace(older, newer, i)) replaced(handle);
      }
    }
  }

  /** Both stand on one tree, and what their deltas have in [first, end) is the same: no page need be read. */
  #isSameIn(first: number, end: number): boolean {
    const older = this.#older.delta;
    const newer = this.#newer.delta;
    if (!this.#newer.tree.isSameAs(this.#older.tree) || older.rangeCount + newer.rangeCount > 0) return false;
    for (let from = first; ; from++) {
      from = Math.min(older.nextEntry(from), newer.nextEntry(from));
      if (from >= end) return true;
      const a = older.find(from);
      const b = newer.find(from);
      if (a < 0 || b < 0 || older.handleAt(a) !== newer.handleAt(b) || older.offsetAt(a) !== newer.offsetAt(b)) return false;
    }
  }

  async #placesOf(first: number, count: number): Promise<{ readonly older: Places; readonly newer: Places }> {
    const older = await this.#olderMap.resolveLoading(first, count, this.#sweep);
    const newer = await this.#newerMap.resolveLoading(first, count, this.#sweep);
    return { older, newer };
  }

  /** Adds what differs in [first, end), which lies in one leaf. Answers where there was no room for another run. */
  async #compare(first: number, end: number, runs: ChangedRun[], runsMax: number): Promise<number | undefined> {
    const count = end - first;
    const { older, newer } = await this.#placesOf(first, count);
    for (let i = 0; i < count; i++) {
      if (isSamePlace(older, newer, i)) continue;
      if (!addCluster(runs, first + i, newer.handles[i] === 0 ? "zero" : "data", runsMax)) return first + i;
    }
    return undefined;
  }

  /** First leaf at or after `leaf` that may differ. */
  async #nextCandidate(leaf: number): Promise<number> {
    const first = leaf * pageFanout;
    const ofDeltas = Math.min(this.#older.delta.nextEntry(first), this.#newer.delta.nextEntry(first));
    const inTrees = await this.#newer.tree.nextDifferentLeaf(this.#older.tree, leaf, this.#sweep);
    let found = Math.min(Math.floor(ofDeltas / pageFanout), inTrees);
    for (const { delta } of [this.#older, this.#newer]) found = Math.min(found, await this.#nextInRanges(delta, leaf, found));
    return found;
  }

  /** First leaf of [leaf, before) that a zeroed range touches and that is in a tree: elsewhere it hides nothing. */
  async #nextInRanges(delta: Delta, leaf: number, before: number): Promise<number> {
    for (let cluster = leaf * pageFanout; ;) {
      const start = delta.isInRange(cluster) ? cluster : delta.rangeChangeAfter(cluster);
      if (Math.floor(start / pageFanout) >= before) return before;
      const inOlder = await this.#older.tree.nextLeafWithData(start, this.#sweep);
      const inTrees = Math.min(inOlder, await this.#newer.tree.nextLeafWithData(start, this.#sweep));
      const end = delta.rangeChangeAfter(start);
      if (inTrees < end) return Math.min(before, Math.floor(Math.max(start, inTrees) / pageFanout));
      cluster = end;
      if (cluster === Infinity) return before;
    }
  }
}

const noEntries = new Delta();

/**
 * As BlockMap.resolve(), for clusters of one leaf: the few that a delta has are laid over those of the tree, none is looked for.
 * False when the leaf is not in memory.
 */
function fill({ tree, delta }: MapSide, first: number, count: number, places: Places): boolean {
  if (delta.rangeCount > 0) return new BlockMap(tree, delta).resolve(first, count, places) < 0;
  if (new BlockMap(tree, noEntries).resolve(first, count, places) >= 0) return false;
  for (let cluster = delta.nextEntry(first); cluster < first + count; cluster = delta.nextEntry(cluster + 1)) {
    const slot = delta.find(cluster);
    const handle = delta.handleAt(slot);
    places.handles[cluster - first] = handle === zeroHandle ? 0 : handle;
    places.offsets[cluster - first] = delta.offsetAt(slot);
  }
  return true;
}

function isSamePlace(a: Places, b: Places, i: number): boolean {
  const handle = a.handles[i]!;
  return handle === b.handles[i] && (handle === 0 || a.offsets[i] === b.offsets[i]);
}

function addCluster(runs: ChangedRun[], cluster: number, kind: ChangedRun["kind"], runsMax: number): boolean {
  const last = runs.at(-1);
  if (last?.kind === kind && last.firstCluster + last.clusterCount === cluster) {
    runs[runs.length - 1] = { ...last, clusterCount: last.clusterCount + 1 };
    return true;
  }
  if (runs.length >= runsMax) return false;
  runs.push({ firstCluster: cluster, clusterCount: 1, kind });
  return true;
}
