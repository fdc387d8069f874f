// A checkpoint's tree, read only: from a cluster to its leaf. Four levels of 256: inner pages at levels 3 (root), 2, 1,
// leaves at level 0 (docs/design/0002-log-engine.md, "Map pages").
//
// - A tree never changes; a fold (fold.ts) makes a new one that shares what it did not touch.
// - leafInMemory() costs a few look-ups and never waits; loadLeaf() may go to the backend.

import { assert } from "../../common/assert.ts";
import type { LeafPage, Lineage, PageRef } from "../format/page.ts";
import { emptyLeaf } from "../format/page.ts";
import { mapLevels, pageFanout } from "../limits.ts";
import type { CachedPage, Pages } from "./pages.ts";
import { isLeaf } from "./pages.ts";

/** The leaf of a range in which no cluster was ever written. */
export const holeLeaf: LeafPage = emptyLeaf();

const rootLevel = mapLevels - 1;

/** Which child of an inner page at `level` leads to leaf `leafIndex`. */
export const childIndex = (leafIndex: number, level: number): number =>
  Math.floor(leafIndex / pageFanout ** (level - 1)) % pageFanout;

export class Tree {
  readonly lineage: Lineage;
  readonly root: PageRef | undefined;
  /** Every record of the log up to this one is in the tree. */
  readonly sequence: number;
  readonly #pages: Pages;
  readonly #rootKey: number;
  #memoIndex = -1;
  #memoLeaf: LeafPage = holeLeaf;

  constructor(pages: Pages, lineage: Lineage, root: PageRef | undefined, sequence: number) {
    this.#pages = pages;
    this.lineage = lineage;
    this.root = root;
    this.sequence = sequence;
    this.#rootKey = root === undefined ? 0 : pages.keyOf(root);
  }

  /** The leaf that maps clusters [leafIndex * 256, +256), or undefined when some page on the way is not in memory. */
  leafInMemory(leafIndex: number): LeafPage | undefined {
    if (leafIndex === this.#memoIndex) return this.#memoLeaf;
    if (this.root === undefined) return holeLeaf;
    let page = this.#pages.cached(this.#rootKey);
    for (let level = rootLevel; page !== undefined && level >= 1; level--) {
      assert(!isLeaf(page), "inner pages lead to leaves");
      const key: number = page.keys[childIndex(leafIndex, level)]!;
      if (key === 0) return holeLeaf;
      page = this.#pages.cached(key);
    }
    if (page === undefined) return undefined;
    assert(isLeaf(page), "level 0 is a leaf");
    this.#memoIndex = leafIndex;
    this.#memoLeaf = page;
    return page;
  }

  async loadLeaf(leafIndex: number): Promise<LeafPage> {
    if (this.root === undefined) return holeLeaf;
    let page: CachedPage = await this.#pages.load(this.root, this.#rootKey, rootLevel, this.lineage);
    for (let level = rootLevel; level >= 1; level--) {
      assert(!isLeaf(page), "inner pages lead to leaves");
      const index = childIndex(leafIndex, level);
      const child: PageRef | undefined = page.children[index];
      if (child === undefined) return holeLeaf;
      page = await this.#pages.load(child, page.keys[index]!, level - 1, this.lineage);
    }
    assert(isLeaf(page), "level 0 is a leaf");
    return page;
  }

  /** First cluster of the first leaf at or after `cluster` that exists, or Infinity. */
  async nextLeafWithData(cluster: number): Promise<number> {
    if (this.root === undefined) return Infinity;
    return this.#nextLeaf(this.root, rootLevel, 0, Math.floor(cluster / pageFanout));
  }

  async #nextLeaf(ref: PageRef, level: number, firstLeaf: number, from: number): Promise<number> {
    if (level === 0) return firstLeaf * pageFanout;
    const page = await this.#pages.load(ref, this.#pages.keyOf(ref), level, this.lineage);
    assert(!isLeaf(page), "inner pages lead to leaves");
    const span = pageFanout ** (level - 1);
    for (let index = Math.max(0, Math.floor((from - firstLeaf) / span)); index < pageFanout; index++) {
      const child = page.children[index];
      if (child === undefined) continue;
      const found = await this.#nextLeaf(child, level - 1, firstLeaf + index * span, from);
      if (found < Infinity) return found;
    }
    return Infinity;
  }

  /** The first leaf at or after `from` whose page is not the same one in `other`, or Infinity. Equal pages are not read. */
  async nextDifferentLeaf(other: Tree, from: number): Promise<number> {
    return this.#nextDifferent(other, this.root, other.root, rootLevel, 0, from);
  }

  async #nextDifferent(
    other: Tree,
    mine: PageRef | undefined,
    theirs: PageRef | undefined,
    level: number,
    firstLeaf: number,
    from: number,
  ): Promise<number> {
    if (isSamePage(mine, theirs)) return Infinity;
    if (level === 0) return firstLeaf;
    const mineChildren = await this.#childrenOf(mine, level);
    const theirChildren = await other.#childrenOf(theirs, level);
    const span = pageFanout ** (level - 1);
    for (let index = Math.max(0, Math.floor((from - firstLeaf) / span)); index < pageFanout; index++) {
      const first = firstLeaf + index * span;
      const found = await this.#nextDifferent(other, mineChildren[index], theirChildren[index], level - 1, first, from);
      if (found < Infinity) return found;
    }
    return Infinity;
  }

  async #childrenOf(ref: PageRef | undefined, level: number): Promise<readonly (PageRef | undefined)[]> {
    if (ref === undefined) return [];
    const page = await this.#pages.load(ref, this.#pages.keyOf(ref), level, this.lineage);
    assert(!isLeaf(page), "inner pages lead to leaves");
    return page.children;
  }

  /** Visits the references to all inner pages and leaves, inner before outer not guaranteed; `visit` says whether to go below. */
  async walk(visit: (ref: PageRef, level: number, firstLeaf: number) => boolean): Promise<void> {
    if (this.root !== undefined) await this.#walk(this.root, rootLevel, 0, visit);
  }

  async #walk(
    ref: PageRef,
    level: number,
    firstLeaf: number,
    visit: (ref: PageRef, level: number, firstLeaf: number) => boolean,
  ): Promise<void> {
    if (!visit(ref, level, firstLeaf) || level === 0) return;
    const page = await this.#pages.load(ref, this.#pages.keyOf(ref), level, this.lineage);
    assert(!isLeaf(page), "inner pages lead to leaves");
    for (const [index, child] of page.children.entries()) {
      if (child !== undefined) await this.#walk(child, level - 1, firstLeaf + index * pageFanout ** (level - 1), visit);
    }
  }
}

/** A name on the backend always means the same bytes. */
function isSamePage(a: PageRef | undefined, b: PageRef | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  return a.log === b.log && a.epoch === b.epoch && a.number === b.number && a.offset === b.offset;
}
