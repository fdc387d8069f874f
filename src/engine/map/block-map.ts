// Where the clusters of one open disk are: the active delta over the frozen one (while a fold is under way) over the tree.
//
//     put, zero ──► active ──freeze──► frozen ──fold, commit──► tree
//
// - Look-ups see one instant: the caller resolves a whole request without awaiting in between.
// - Writing never waits for a page.

import { assert } from "../../common/assert.ts";
import { entryAt } from "../format/page-words.ts";
import { diskClustersMax, pageFanout } from "../limits.ts";
import { Delta, zeroHandle } from "./delta.ts";
import type { PageSource } from "./pages.ts";
import type { Tree } from "./tree.ts";

/** One column each for the clusters of a request; handle 0 is a hole. */
export interface Places {
  readonly handles: Uint32Array;
  readonly offsets: Uint32Array;
  readonly crcs: Uint32Array;
}

export const newPlaces = (count: number): Places => ({
  handles: new Uint32Array(count),
  offsets: new Uint32Array(count),
  crcs: new Uint32Array(count),
});

export function copyPlaces(places: Places, count: number): Places {
  const copy = newPlaces(count);
  for (let i = 0; i < count; i++) {
    copy.handles[i] = places.handles[i]!;
    copy.offsets[i] = places.offsets[i]!;
    copy.crcs[i] = places.crcs[i]!;
  }
  return copy;
}

export class BlockMap {
  #tree: Tree;
  #active: Delta;
  #frozen: Delta | undefined;

  constructor(tree: Tree, delta: Delta) {
    this.#tree = tree;
    this.#active = delta;
  }

  get tree(): Tree {
    return this.#tree;
  }

  get active(): Delta {
    return this.#active;
  }

  get isFrozen(): boolean {
    return this.#frozen !== undefined;
  }

  get isEmptyDelta(): boolean {
    return this.#active.isEmpty && this.#frozen === undefined;
  }

  /** Later writes go to a new active delta; the old one is returned to be folded. */
  freeze(): Delta {
    assert(this.#frozen === undefined, "one fold at a time");
    this.#frozen = this.#active;
    this.#active = new Delta();
    return this.#frozen;
  }

  /** The frozen delta is in `tree` now. */
  replaceTree(tree: Tree): void {
    this.#tree = tree;
    this.#frozen = undefined;
  }

  /**
   * Fills places[at...] for clusters [first, first + count). Returns -1, or the index of the first leaf that is needed and
   * not in memory (then places are not complete). `leaves` may hold leaves of the present tree that were just loaded.
   */
  resolve(first: number, count: number, places: Places, leaves?: ReadonlyMap<number, Uint32Array>): number {
    const end = first + count;
    for (let cluster = first; cluster < end;) {
      const leafIndex = Math.floor(cluster / pageFanout);
      const leafEnd = Math.min(end, (leafIndex + 1) * pageFanout);
      let leaf: Uint32Array | undefined;
      let leafAt = 0;
      for (; cluster < leafEnd; cluster++) {
        const at = cluster - first;
        if (findInDelta(this.#active, cluster, places, at)) continue;
        if (this.#frozen !== undefined && findInDelta(this.#frozen, cluster, places, at)) continue;
        if (leaf === undefined) {
          leaf = leaves?.get(leafIndex);
          if (leaf === undefined) {
            leaf = this.#tree.words;
            leafAt = this.#tree.leafInMemory(leafIndex);
            if (leafAt < 0) return leafIndex;
          }
        }
        const entry = entryAt(leaf, leafAt, cluster % pageFanout);
        places.handles[at] = entry < 0 ? 0 : leaf[entry]!;
        places.offsets[at] = entry < 0 ? 0 : leaf[entry + 1]!;
        places.crcs[at] = entry < 0 ? 0 : leaf[entry + 2]!;
      }
    }
    return -1;
  }

  /** As resolve(), loading what it takes, from `pages` if told so. The result shows one instant. */
  async resolveLoading(first: number, count: number, pages?: PageSource): Promise<Places> {
    const places = newPlaces(count);
    let tree = this.#tree;
    let leaves = new Map<number, Uint32Array>();
    for (;;) {
      if (tree !== this.#tree) {
        tree = this.#tree;
        leaves = new Map();
      }
      const missing = this.resolve(first, count, places, leaves);
      if (missing < 0) return places;
      leaves.set(missing, await tree.loadLeaf(missing, pages));
    }
  }

  /** How many clusters from `first` on are holes (0 when it holds data), up to the map's end; goes by whole subtrees. */
  async holeAfter(first: number): Promise<number> {
    for (let cluster = first; ;) {
      const leafEnd = (Math.floor(cluster / pageFanout) + 1) * pageFanout;
      const places = await this.resolveLoading(cluster, leafEnd - cluster);
      let data = 0;
      while (places.handles[data] === 0) data++;
      if (cluster + data < leafEnd) return cluster + data - first;
      const nextData = await this.#nextData(leafEnd);
      if (nextData >= diskClustersMax) return diskClustersMax - first;
      cluster = nextData;
    }
  }

  /** No data lies in [first, the result), by one tree: what was frozen when the look began may be in the next one at its end. */
  async #nextData(first: number): Promise<number> {
    for (;;) {
      const tree = this.#tree;
      const inTree = await tree.nextLeafWithData(first);
      if (tree !== this.#tree) continue;
      return Math.min(inTree, this.#active.nextEntry(first), this.#frozen?.nextEntry(first) ?? Infinity);
    }
  }
}

function findInDelta(delta: Delta, cluster: number, places: Places, at: number): boolean {
  if (delta.isEmpty) return false;
  const slot = delta.find(cluster);
  if (slot >= 0) {
    const handle = delta.handleAt(slot);
    places.handles[at] = handle === zeroHandle ? 0 : handle;
    places.offsets[at] = delta.offsetAt(slot);
    places.crcs[at] = delta.crcAt(slot);
    return true;
  }
  if (!delta.isInRange(cluster)) return false;
  places.handles[at] = 0;
  return true;
}
