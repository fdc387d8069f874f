// A checkpoint's tree, read only: from a cluster to its leaf. Four levels of 256: inner pages at levels 3 (root), 2, 1,
// leaves at level 0 (docs/design/0002-log-engine.md, "Map pages").
//
// - A tree never changes; a fold (fold.ts) makes a new one that shares what it did not touch.
// - leafInMemory() costs a few look-ups and never waits; loadLeaf() may go to the backend.

import { assert } from "../../common/assert.ts";
import { backgroundTurn } from "../../common/turn.ts";
import type { Lineage, PageRef } from "../format/page.ts";
import { entryAt, newPage, nextPresent, type PagePlace, placeAt } from "../format/page-words.ts";
import { mapLevels, pageFanout } from "../limits.ts";
import { PageSweep } from "./page-sweep.ts";
import type { Pages, PageSource } from "./pages.ts";

/** The leaf of a range in which no cluster was ever written. */
const holeLeaf = newPage(0, 0);
/** The same in `words`. */
const holeAt = 0;

const rootLevel = mapLevels - 1;
/** Inner pages that a walk looks at in one turn of the event loop. */
const pagesPerTurn = 32;

/** Which child of an inner page at `level` leads to leaf `leafIndex`. */
const childIndex = (leafIndex: number, level: number): number => Math.floor(leafIndex / pageFanout ** (level - 1)) % pageFanout;

/** Told of a page; says whether to go below. */
export type PageVisitor = (place: PagePlace, level: number, firstLeaf: number) => boolean;

interface Walk {
  readonly visit: PageVisitor;
  readonly pages: PageSource;
  visited: number;
}

export class Tree {
  readonly lineage: Lineage;
  readonly root: PageRef | undefined;
  /** Every record of the log up to this one is in the tree. */
  readonly sequence: number;
  readonly #pages: Pages;
  readonly #root: PagePlace | undefined;
  readonly #id: number;
  /** The inner page that was compared last, by level. */
  readonly #lastInner: ({ readonly place: PagePlace; readonly page: Uint32Array } | undefined)[] = [];

  constructor(pages: Pages, lineage: Lineage, root: PageRef | undefined, sequence: number) {
    this.#pages = pages;
    this.lineage = lineage;
    this.root = root;
    this.sequence = sequence;
    this.#root = root === undefined ? undefined : pages.placeOf(root);
    this.#id = pages.leaves.newTree();
  }

  /** What leafInMemory() answers a position in. */
  get words(): Uint32Array {
    return this.#pages.words;
  }

  /** Where the leaf of clusters [leafIndex * 256, +256) is, until the next await; -1 when a page on the way is not in memory. */
  leafInMemory(leafIndex: number): number {
    if (this.#root === undefined) return holeAt;
    const pages = this.#pages;
    const known = pages.leaves.find(this.#id, leafIndex, pages.version);
    if (known >= 0) return known;
    const { words } = pages;
    let at = pages.find(this.#root.origin, this.#root.number, this.#root.offset);
    for (let level = rootLevel; at >= 0 && level >= 1; level--) {
      const entry = entryAt(words, at, childIndex(leafIndex, level));
      if (entry < 0) return holeAt;
      at = pages.find(words[entry]!, words[entry + 1]!, words[entry + 2]!);
    }
    if (at >= 0) pages.leaves.keep(this.#id, leafIndex, pages.version, at);
    return at;
  }

  /** A copy. */
  async loadLeaf(leafIndex: number, pages: PageSource = this.#pages): Promise<Uint32Array> {
    if (this.#root === undefined) return holeLeaf;
    const { words } = this.#pages;
    let place = this.#root;
    let level = rootLevel;
    // What is above it is looked at where it is, as long as it is in memory.
    for (; level >= 1; level--) {
      const at = this.#pages.find(place.origin, place.number, place.offset);
      if (at < 0) break;
      const entry = entryAt(words, at, childIndex(leafIndex, level));
      if (entry < 0) return holeLeaf;
      place = placeAt(words, entry);
    }
    let page = await pages.load(place, level, this.lineage);
    for (; level >= 1; level--) {
      const child = childAt(page, childIndex(leafIndex, level));
      if (child === undefined) return holeLeaf;
      page = await pages.load(child, level - 1, this.lineage);
    }
    return page;
  }

  /** First cluster of the first leaf at or after `cluster` that exists, or Infinity. */
  async nextLeafWithData(cluster: number, pages: PageSource = this.#pages): Promise<number> {
    if (this.#root === undefined) return Infinity;
    return this.#nextLeaf(this.#root, rootLevel, 0, Math.floor(cluster / pageFanout), pages);
  }

  async #nextLeaf(place: PagePlace, level: number, firstLeaf: number, from: number, pages: PageSource): Promise<number> {
    if (level === 0) return firstLeaf * pageFanout;
    const page = await pages.load(place, level, this.lineage);
    const span = pageFanout ** (level - 1);
    const first = Math.max(0, Math.floor((from - firstLeaf) / span));
    for (let index = nextPresent(page, 0, first); index < pageFanout; index = nextPresent(page, 0, index + 1)) {
      const found = await this.#nextLeaf(childAt(page, index)!, level - 1, firstLeaf + index * span, from, pages);
      if (found < Infinity) return found;
    }
    return Infinity;
  }

  isSameAs(other: Tree): boolean {
    return isSamePage(this.#root, other.#root);
  }

  /** The first leaf at or after `from` whose page is not the same one in `other`, or Infinity. Equal pages are not read. */
  async nextDifferentLeaf(other: Tree, from: number, pages: PageSource = this.#pages): Promise<number> {
    assert(other.#pages === this.#pages, "two trees of one pool are compared");
    return this.#nextDifferent(other, pages, this.#root, other.#root, rootLevel, 0, from);
  }

  async #nextDifferent(
    other: Tree,
    pages: PageSource,
    mine: PagePlace | undefined,
    theirs: PagePlace | undefined,
    level: number,
    firstLeaf: number,
    from: number,
  ): Promise<number> {
    if (isSamePage(mine, theirs)) return Infinity;
    if (level === 0) return firstLeaf;
    const myPage = await this.#loadInner(pages, mine, level);
    const theirPage = await other.#loadInner(pages, theirs, level);
    const span = pageFanout ** (level - 1);
    for (let index = Math.max(0, Math.floor((from - firstLeaf) / span)); index < pageFanout; index++) {
      const first = firstLeaf + index * span;
      const myChild = childAt(myPage, index);
      const theirChild = childAt(theirPage, index);
      if (isSamePage(myChild, theirChild)) continue;
      const found = await this.#nextDifferent(other, pages, myChild, theirChild, level - 1, first, from);
      if (found < Infinity) return found;
    }
    return Infinity;
  }

  /** Whoever asks for one leaf after the other comes by the same pages again. */
  async #loadInner(pages: PageSource, place: PagePlace | undefined, level: number): Promise<Uint32Array> {
    if (place === undefined) return holeLeaf;
    const last = this.#lastInner[level];
    if (last !== undefined && isSamePage(last.place, place)) return last.page;
    const page = await pages.load(place, level, this.lineage);
    this.#lastInner[level] = { place, page };
    return page;
  }

  /** Visits the places of all pages, each before those below it. */
  async walk(visit: PageVisitor): Promise<void> {
    if (this.#root === undefined) return;
    const pages = new PageSweep(this.#pages);
    try {
      await this.#walk(this.#root, rootLevel, 0, { visit, pages, visited: 0 });
    } finally {
      pages.end();
    }
  }

  async #walk(place: PagePlace, level: number, firstLeaf: number, walk: Walk): Promise<void> {
    if (!walk.visit(place, level, firstLeaf)) return;
    if (++walk.visited % pagesPerTurn === 0) await backgroundTurn();
    const page = await walk.pages.load(place, level, this.lineage);
    const span = pageFanout ** (level - 1);
    for (let index = nextPresent(page, 0, 0); index < pageFanout; index = nextPresent(page, 0, index + 1)) {
      const child = childAt(page, index)!;
      if (level === 1) walk.visit(child, 0, firstLeaf + index);
      else await this.#walk(child, level - 1, firstLeaf + index * span, walk);
    }
  }
}

/** The child of an inner page, which is all of `page`. */
export function childAt(page: Uint32Array, index: number): PagePlace | undefined {
  const at = entryAt(page, 0, index);
  return at < 0 ? undefined : placeAt(page, at);
}

/** A name on the backend always means the same bytes. */
function isSamePage(a: PagePlace | undefined, b: PagePlace | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  return a.origin === b.origin && a.number === b.number && a.offset === b.offset;
}
