// Map pages in memory: loaded on demand from the backend, shared by all trees of the process, bounded in bytes.
//
// - A page is immutable, so a cached one is never stale.
// - What is in memory is looked at in place (`words`, page-ring.ts), until the next await; what is loaded is a copy to keep.
// - At most one load() of a page is under way; all who want it share it. (Sweeps, page-sweep.ts, read for themselves.)
// It does not know what a tree is for, and never writes.

import { AndironError } from "../../common/errors.ts";
import type { ObjectBackend } from "../backend/backend.ts";
import type { CheckpointFooter, Lineage, PageNames, PageRef, SegmentHandles } from "../format/page.ts";
import { checkpointTailBytes, decodeCheckpointFooter, decodeCheckpointTail, decodePage } from "../format/page.ts";
import { lengthOf, type PagePlace } from "../format/page-words.ts";
import { engineLimits } from "../limits.ts";
import type { MapObjectId } from "../names.ts";
import { mapObjectName } from "../names.ts";
import { LeafMemo } from "./leaf-memo.ts";
import { OriginTable } from "./origins.ts";
import { PageRing } from "./page-ring.ts";
import { WindowMemory } from "./page-sweep.ts";

/** Where somebody gets pages from who has not found them in memory. */
export interface PageSource {
  /** A copy of the page, which others may have too. Rejects with map_damaged, or the backend's error. */
  load(place: PagePlace, level: number, lineage: Lineage): Promise<Uint32Array>;
}

export class Pages implements PageSource {
  /** What the numbers in its pages mean. */
  readonly names: PageNames;
  readonly leaves = new LeafMemo();
  readonly windows = new WindowMemory();
  readonly #backend: ObjectBackend;
  readonly #ring: PageRing;
  readonly #loads = new Map<string, Promise<Uint32Array>>();

  constructor(options: { backend: ObjectBackend; handles: SegmentHandles; bytesMax: number }) {
    this.#backend = options.backend;
    this.names = { handles: options.handles, origins: new OriginTable() };
    this.#ring = new PageRing(options.bytesMax);
  }

  get bytes(): number {
    return this.#ring.bytes;
  }

  /** All pages in memory. */
  get words(): Uint32Array {
    return this.#ring.words;
  }

  /** Another number when positions in `words` may mean something else. */
  get version(): number {
    return this.#ring.version;
  }

  /** Position in `words` of the page if it is in memory, or -1. */
  find(origin: number, number: number, offset: number): number {
    return this.#ring.find(origin, number, offset);
  }

  /** A copy of the page, if it is in memory. */
  copyOf({ origin, number, offset }: PagePlace): Uint32Array | undefined {
    const at = this.#ring.find(origin, number, offset);
    return at < 0 ? undefined : this.words.slice(at, at + lengthOf(this.words, at));
  }

  load(place: PagePlace, level: number, lineage: Lineage): Promise<Uint32Array> {
    const { origin, number, offset } = place;
    const known = this.copyOf(place);
    if (known !== undefined) return Promise.resolve(known);
    const key = `${origin}.${number}.${offset}`;
    const running = this.#loads.get(key);
    if (running !== undefined) return running;
    const load = this.#load(place, level, lineage)
      .then((page) => {
        this.add(place, page);
        return page;
      })
      .finally(() => this.#loads.delete(key));
    this.#loads.set(key, load);
    return load;
  }

  /** Puts a page that was just written into the cache; `page` may change later. */
  add({ origin, number, offset }: PagePlace, page: Uint32Array): void {
    this.#ring.add(origin, number, offset, page);
  }

  placeOf({ log, epoch, number, offset, length, crc }: PageRef): PagePlace {
    return { origin: this.names.origins.handleOf(log, epoch), number, offset, length, crc };
  }

  refOf({ origin, number, offset, length, crc }: PagePlace): PageRef {
    const { log, epoch } = this.names.origins.originOf(origin);
    return { log, epoch, number, offset, length, crc };
  }

  /** The footer of a checkpoint whose last map object is `id`, `objectBytes` long. */
  async loadFooter(id: MapObjectId, objectBytes: number): Promise<CheckpointFooter> {
    const name = mapObjectName(id);
    const tail = Buffer.allocUnsafe(checkpointTailBytes);
    await this.#backend.read(name, objectBytes - checkpointTailBytes, tail);
    const { jsonBytes, jsonCrc } = decodeCheckpointTail(tail, name);
    const json = Buffer.allocUnsafe(jsonBytes);
    await this.#backend.read(name, objectBytes - checkpointTailBytes - jsonBytes, json);
    return decodeCheckpointFooter(json, jsonCrc, name);
  }

  /** Fills `target` from byte `offset` on of the object that the page is in. Rejects with the backend's error. */
  read(place: PagePlace, offset: number, target: Buffer): Promise<void> {
    return this.#backend.read(this.#objectOf(place), offset, target);
  }

  /** How long that object is. */
  async objectBytes(place: PagePlace): Promise<number> {
    return (await this.#backend.size(this.#objectOf(place))) ?? 0;
  }

  /** The place, if a page can be as long as it says; else throws map_damaged. */
  checked(place: PagePlace): PagePlace {
    if (place.length <= engineLimits.pageBytesMax) return place;
    throw new AndironError("map_damaged", `map page of ${place.length} bytes in ${this.#objectOf(place)}`);
  }

  async #load(place: PagePlace, level: number, lineage: Lineage): Promise<Uint32Array> {
    const { offset, length } = this.checked(place);
    const bytes = Buffer.allocUnsafe(length);
    await this.read(place, offset, bytes);
    return decodePage(bytes, this.refOf(place), level, lineage, this.names);
  }

  #objectOf(place: PagePlace): string {
    return mapObjectName(this.refOf(place));
  }
}
