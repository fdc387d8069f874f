// Folding: a delta and a tree make a new tree. Touched pages are written anew into map objects, all others are shared.
//
// - The old tree and the delta are not changed; nothing is current until the caller commits the result.
// - Work is bounded by what changed: a zeroed range that covers a page's whole span drops it without reading it.
// - It works in pieces of a few leaves, with a turn of the event loop after each: requests are served meanwhile.
// - Output leaves in objects of about mapObjectBytes; the last one ends in the checkpoint footer.
// Pages go out leaves first, so every reference points to something written before it.

import { assert } from "../../common/assert.ts";
import { crc32 } from "../../common/crc32.ts";
import { nextTurn } from "../../common/turn.ts";
import type { ObjectBackend } from "../backend/backend.ts";
import type { CheckpointFooter, InnerPage, LeafPage, Lineage, PageRef, SegmentHandles } from "../format/page.ts";
import { emptyLeaf, encodeCheckpointFooter, encodeInner, encodeLeaf } from "../format/page.ts";
import { engineLimits, mapLevels, pageFanout } from "../limits.ts";
import type { MapObjectId } from "../names.ts";
import { mapObjectName } from "../names.ts";
import { sortClusters } from "./cluster-sort.ts";
import type { Delta } from "./delta.ts";
import { zeroHandle } from "./delta.ts";
import type { Pages } from "./pages.ts";
import { isLeaf } from "./pages.ts";
import { Tree } from "./tree.ts";

export interface FoldOptions {
  readonly backend: ObjectBackend;
  readonly pages: Pages;
  readonly handles: SegmentHandles;
  readonly old: Tree;
  readonly delta: Delta;
  /** Ends in the log that writes. */
  readonly lineage: Lineage;
  /** Every record up to this one is in old or delta. */
  readonly sequence: number;
  readonly log: string;
  readonly epoch: number;
  /** Told how many clusters of a segment the fold has replaced: a hint for the cleaner. */
  readonly onReplaced: (handle: number) => void;
  /** Gives numbers for map objects, none twice in an epoch (also after a fold that failed). */
  readonly takeNumber: () => number;
}

export interface FoldResult {
  readonly tree: Tree;
  /** The object that ends in the footer. */
  readonly checkpoint: MapObjectId;
  readonly checkpointBytes: number;
  readonly bytesWritten: number;
}

/** Rejects with the backend's errors or map_damaged; then nothing has changed but for objects that no record names. */
export async function fold(options: FoldOptions): Promise<FoldResult> {
  const writer = new MapWriter(options);
  const folder = new Folder(options, writer, await sortClusters(options.delta.clusters()));
  const root = await folder.foldInner(mapLevels - 1, 0, options.old.root, 0, folder.clusters.length);
  return writer.finish(root);
}

/** Leaves in one turn of the event loop: about a millisecond's work. */
const leavesPerTurn = 16;

class Folder {
  /** Those of the delta, ascending. */
  readonly clusters: Uint32Array;
  readonly #options: FoldOptions;
  readonly #writer: MapWriter;
  #leaves = 0;

  constructor(options: FoldOptions, writer: MapWriter, clusters: Uint32Array) {
    this.#options = options;
    this.#writer = writer;
    this.clusters = clusters;
  }

  /** New reference for the inner page of `level` whose span begins at cluster `start`; it has entries [from, to) of clusters. */
  async foldInner(
    level: number,
    start: number,
    old: PageRef | undefined,
    from: number,
    to: number,
  ): Promise<PageRef | undefined> {
    const span = pageFanout ** (level + 1);
    const zeroed = this.#zeroed(start, span);
    if (from === to && zeroed === "none") return old;
    const kept = zeroed === "whole" ? undefined : old;
    if (from === to && kept === undefined) return undefined;
    const oldPage = kept === undefined ? undefined : await this.#loadInner(kept, level);
    const childSpan = span / pageFanout;
    const children: (PageRef | undefined)[] = [];
    let at = from;
    for (let index = 0; index < pageFanout; index++) {
      const childStart = start + index * childSpan;
      let end = at;
      while (end < to && this.clusters[end]! < childStart + childSpan) end++;
      const oldChild = oldPage?.children[index];
      if (at === end && this.#zeroed(childStart, childSpan) === "none") {
        children.push(oldChild);
        continue;
      }
      const child =
        level === 1
          ? await this.#foldLeaf(childStart, oldChild, at, end)
          : await this.foldInner(level - 1, childStart, oldChild, at, end);
      children.push(child);
      at = end;
    }
    return this.#writer.addInner({ level, children });
  }

  async #foldLeaf(start: number, old: PageRef | undefined, from: number, to: number): Promise<PageRef | undefined> {
    const zeroed = this.#zeroed(start, pageFanout);
    if (from === to && zeroed === "none") return old;
    if (++this.#leaves % leavesPerTurn === 0) await nextTurn();
    const leaf = emptyLeaf();
    if (old !== undefined && zeroed !== "whole") {
      const page = await this.#options.pages.load(old, this.#options.pages.keyOf(old), 0, this.#options.old.lineage);
      assert(isLeaf(page), "level 0 is a leaf");
      leaf.handles.set(page.handles);
      leaf.offsets.set(page.offsets);
      leaf.crcs.set(page.crcs);
    }
    const delta = this.#options.delta;
    if (zeroed === "part") {
      for (let i = 0; i < pageFanout; i++) if (delta.isInRange(start + i)) clearEntry(leaf, i);
    }
    for (let at = from; at < to; at++) {
      const cluster = this.clusters[at]!;
      const slot = delta.find(cluster);
      const replaced = leaf.handles[cluster - start]!;
      if (replaced !== 0) this.#options.onReplaced(replaced);
      const handle = delta.handleAt(slot);
      if (handle === zeroHandle) clearEntry(leaf, cluster - start);
      else setEntry(leaf, cluster - start, handle, delta.offsetAt(slot), delta.crcAt(slot));
    }
    return this.#writer.addLeaf(leaf);
  }

  #zeroed(start: number, span: number): "none" | "part" | "whole" {
    const inRange = this.#options.delta.isInRange(start);
    const change = this.#options.delta.rangeChangeAfter(start);
    if (change >= start + span) return inRange ? "whole" : "none";
    return "part";
  }

  async #loadInner(ref: PageRef, level: number): Promise<InnerPage> {
    const page = await this.#options.pages.load(ref, this.#options.pages.keyOf(ref), level, this.#options.old.lineage);
    assert(!isLeaf(page), "inner pages lead to leaves");
    return page;
  }
}

class MapWriter {
  readonly #options: FoldOptions;
  #number: number;
  #parts: Buffer[] = [];
  #partBytes = 0;
  #bytesWritten = 0;

  constructor(options: FoldOptions) {
    this.#options = options;
    this.#number = options.takeNumber();
  }

  addLeaf(leaf: LeafPage): Promise<PageRef | undefined> {
    return this.#add(leaf, encodeLeaf(leaf, this.#options.lineage, this.#options.handles));
  }

  addInner(page: InnerPage): Promise<PageRef | undefined> {
    return this.#add(page, encodeInner(page, this.#options.lineage));
  }

  async finish(root: PageRef | undefined): Promise<FoldResult> {
    const { lineage, sequence, pages } = this.#options;
    const self = this.#object();
    const footer: CheckpointFooter = root === undefined ? { self, lineage, sequence } : { self, lineage, sequence, root };
    const bytes = encodeCheckpointFooter(footer);
    this.#parts.push(bytes);
    this.#partBytes += bytes.length;
    const checkpointBytes = this.#partBytes;
    await this.#flush(false);
    const tree = new Tree(pages, lineage, root, sequence);
    return { tree, checkpoint: self, checkpointBytes, bytesWritten: this.#bytesWritten };
  }

  async #add(page: LeafPage | InnerPage, bytes: Buffer | undefined): Promise<PageRef | undefined> {
    if (bytes === undefined) return undefined;
    assert(bytes.length <= engineLimits.pageBytesMax, "a page fits its limit");
    const ref: PageRef = { ...this.#object(), offset: this.#partBytes, length: bytes.length, crc: crc32(bytes) };
    this.#parts.push(bytes);
    this.#partBytes += bytes.length;
    this.#options.pages.add(this.#options.pages.keyOf(ref), page);
    if (this.#partBytes >= engineLimits.mapObjectBytes) await this.#flush(true);
    return ref;
  }

  async #flush(more: boolean): Promise<void> {
    await this.#options.backend.put(mapObjectName(this.#object()), this.#parts);
    this.#bytesWritten += this.#partBytes;
    this.#parts = [];
    this.#partBytes = 0;
    if (more) this.#number = this.#options.takeNumber();
  }

  #object(): MapObjectId {
    return { log: this.#options.log, epoch: this.#options.epoch, number: this.#number };
  }
}

function setEntry(leaf: LeafPage, index: number, handle: number, offset: number, crc: number): void {
  leaf.handles[index] = handle;
  leaf.offsets[index] = offset;
  leaf.crcs[index] = crc;
}

const clearEntry = (leaf: LeafPage, index: number): void => setEntry(leaf, index, 0, 0, 0);
