// Folding: a delta and a tree make a new tree. Touched pages are written anew into map objects, all others are shared.
//
// - The old tree and the delta are not changed; nothing is current until the caller commits the result.
// - Work is bounded by what changed: a zeroed range that covers a page's whole span drops it without reading it.
// - It works in pieces of some pages, with a turn of the event loop after each: requests are served meanwhile.
// - Output leaves in objects of about mapObjectBytes; the last one ends in the checkpoint footer.
// Pages go out leaves first, so every reference points to something written before it.

import { assert } from "../../common/assert.ts";
import { crc32 } from "../../common/crc32.ts";
import { nextTurn } from "../../common/turn.ts";
import type { ObjectBackend } from "../backend/backend.ts";
import type { CheckpointFooter, Lineage } from "../format/page.ts";
import { encodeCheckpointFooter, encodePage } from "../format/page.ts";
import { PageDraft, type PagePlace } from "../format/page-words.ts";
import { engineLimits, KiB, mapLevels, pageFanout } from "../limits.ts";
import type { MapObjectId } from "../names.ts";
import { mapObjectName } from "../names.ts";
import { sortClusters } from "./cluster-sort.ts";
import type { Delta } from "./delta.ts";
import { zeroHandle } from "./delta.ts";
import { PageSweep } from "./page-sweep.ts";
import type { Pages } from "./pages.ts";
import { childAt, Tree } from "./tree.ts";

export interface FoldOptions {
  readonly backend: ObjectBackend;
  readonly pages: Pages;
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
  const { root } = options.old;
  const old = root === undefined ? undefined : options.pages.placeOf(root);
  try {
    return await writer.finish(await folder.foldInner(mapLevels - 1, 0, old, 0, folder.clusters.length));
  } finally {
    folder.end();
  }
}

/** Pages are encoded into buffers of this size. */
const partBytes = 256 * KiB;
/** In one turn of the event loop, a page counting as so many of the delta's entries: a small part of a millisecond's work. */
const entriesPerTurn = 512;
const entriesOfPage = 32;
/** Of a page, which was read perhaps, and is written: in the time of an entry. */
const wordsOfEntry = 16;

class Folder {
  /** Those of the delta, ascending. */
  readonly clusters: Uint32Array;
  readonly #options: FoldOptions;
  readonly #writer: MapWriter;
  readonly #old: PageSweep;
  /** The page of each level that is being made. */
  readonly #drafts = Array.from({ length: mapLevels }, (_, level) => new PageDraft(level));
  /** Of this turn. */
  #entries = 0;

  constructor(options: FoldOptions, writer: MapWriter, clusters: Uint32Array) {
    this.#options = options;
    this.#writer = writer;
    this.#old = new PageSweep(options.pages);
    this.clusters = clusters;
  }

  end(): void {
    this.#old.end();
  }

  /** The new place of the inner page of `level` whose span begins at cluster `start`; it has entries [from, to) of clusters. */
  async foldInner(
    level: number,
    start: number,
    old: PagePlace | undefined,
    from: number,
    to: number,
  ): Promise<PagePlace | undefined> {
    const span = pageFanout ** (level + 1);
    const zeroed = this.#zeroed(start, span);
    if (from === to && zeroed === "none") return old;
    const kept = zeroed === "whole" ? undefined : old;
    if (from === to && kept === undefined) return undefined;
    const oldPage = kept === undefined ? undefined : await this.#load(kept, level);
    const draft = this.#drafts[level]!;
    draft.begin(oldPage);
    const childSpan = span / pageFanout;
    let at = from;
    for (let index = 0; index < pageFanout; index++) {
      // Where nothing is zeroed only children with entries change.
      if (zeroed === "none") {
        if (at === to) break;
        index = Math.floor((this.clusters[at]! - start) / childSpan);
      }
      const childStart = start + index * childSpan;
      const end = this.#endOf(at, to, childStart + childSpan);
      if (at === end && this.#zeroed(childStart, childSpan) === "none") continue;
      const oldChild = oldPage === undefined ? undefined : childAt(oldPage, index);
      const child =
        level === 1
          ? await this.#foldLeaf(childStart, oldChild, at, end)
          : await this.foldInner(level - 1, childStart, oldChild, at, end);
      if (child === undefined) draft.clear(index);
      else draft.setChild(index, child);
      at = end;
    }
    return this.#write(draft, 0);
  }

  async #foldLeaf(start: number, old: PagePlace | undefined, from: number, to: number): Promise<PagePlace | undefined> {
    const zeroed = this.#zeroed(start, pageFanout);
    if (from === to && zeroed === "none") return old;
    const draft = this.#drafts[0]!;
    draft.begin(old === undefined || zeroed === "whole" ? undefined : await this.#load(old, 0));
    const delta = this.#options.delta;
    if (zeroed === "part") {
      for (let i = 0; i < pageFanout; i++) if (delta.isInRange(start + i)) draft.clear(i);
    }
    for (let at = from; at < to; at++) {
      const cluster = this.clusters[at]!;
      const slot = delta.find(cluster);
      const index = cluster - start;
      if (draft.has(index)) this.#options.onReplaced(draft.firstOf(index));
      const handle = delta.handleAt(slot);
      if (handle === zeroHandle) draft.clear(index);
      else draft.setCluster(index, handle, delta.offsetAt(slot), delta.crcAt(slot));
    }
    return this.#write(draft, to - from);
  }

  async #write(draft: PageDraft, entries: number): Promise<PagePlace | undefined> {
    if (this.#entries >= entriesPerTurn) {
      this.#entries = 0;
      await nextTurn();
    }
    const page = draft.pack();
    this.#entries += entriesOfPage + entries + Math.ceil((page?.length ?? 0) / wordsOfEntry);
    return page === undefined ? undefined : this.#writer.add(page);
  }

  /** The first of entries [from, to) that is at or beyond `cluster`. */
  #endOf(from: number, to: number, cluster: number): number {
    let low = from;
    let high = to;
    // It is mostly near: look ever further ahead before halving.
    for (let ahead = 1; low + ahead < to && this.clusters[low + ahead - 1]! < cluster; ahead *= 2) low += ahead;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.clusters[middle]! < cluster) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #zeroed(start: number, span: number): "none" | "part" | "whole" {
    const inRange = this.#options.delta.isInRange(start);
    const change = this.#options.delta.rangeChangeAfter(start);
    if (change >= start + span) return inRange ? "whole" : "none";
    return "part";
  }

  #load(place: PagePlace, level: number): Promise<Uint32Array> {
    return this.#old.load(place, level, this.#options.old.lineage);
  }
}

class MapWriter {
  readonly #options: FoldOptions;
  readonly #origin: number;
  #number: number;
  /** Full ones, and what is in the last one. */
  #parts: Buffer[] = [];
  #part: Buffer | undefined;
  #inPart = 0;
  #objectBytes = 0;
  #bytesWritten = 0;

  constructor(options: FoldOptions) {
    this.#options = options;
    this.#origin = options.pages.names.origins.handleOf(options.log, options.epoch);
    this.#number = options.takeNumber();
  }

  async add(page: Uint32Array): Promise<PagePlace> {
    const { pages, lineage } = this.#options;
    if (this.#inPart + engineLimits.pageBytesMax > partBytes) this.#endPart();
    const start = this.#inPart;
    const part = (this.#part ??= Buffer.allocUnsafeSlow(partBytes));
    this.#inPart = encodePage(page, lineage, pages.names, part, start);
    const length = this.#inPart - start;
    assert(length <= engineLimits.pageBytesMax, "a page fits its limit");
    const crc = crc32(part.subarray(start, this.#inPart));
    const place = { origin: this.#origin, number: this.#number, offset: this.#objectBytes, length, crc };
    this.#objectBytes += length;
    pages.add(place, page);
    if (this.#objectBytes >= engineLimits.mapObjectBytes) await this.#flush(true);
    return place;
  }

  async finish(rootPlace: PagePlace | undefined): Promise<FoldResult> {
    const { lineage, sequence, pages, log, epoch } = this.#options;
    const self: MapObjectId = { log, epoch, number: this.#number };
    const root = rootPlace === undefined ? undefined : pages.refOf(rootPlace);
    const footer: CheckpointFooter = root === undefined ? { self, lineage, sequence } : { self, lineage, sequence, root };
    const bytes = encodeCheckpointFooter(footer);
    this.#endPart();
    this.#parts.push(bytes);
    this.#objectBytes += bytes.length;
    const checkpointBytes = this.#objectBytes;
    await this.#flush(false);
    const tree = new Tree(pages, lineage, root, sequence);
    return { tree, checkpoint: self, checkpointBytes, bytesWritten: this.#bytesWritten };
  }

  /** The next one has memory of its own: a backend may still read this one. */
  #endPart(): void {
    if (this.#part !== undefined) this.#parts.push(this.#part.subarray(0, this.#inPart));
    this.#part = undefined;
    this.#inPart = 0;
  }

  async #flush(more: boolean): Promise<void> {
    const { log, epoch } = this.#options;
    if (more) this.#endPart();
    await this.#options.backend.put(mapObjectName({ log, epoch, number: this.#number }), this.#parts);
    this.#bytesWritten += this.#objectBytes;
    this.#parts = [];
    this.#objectBytes = 0;
    if (more) this.#number = this.#options.takeNumber();
  }
}
