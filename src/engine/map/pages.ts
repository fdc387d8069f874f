// Map pages in memory: loaded on demand from the backend, shared by all trees of the process, bounded in bytes.
//
// - A page is immutable, so a cached one is never stale.
// - Eviction is second chance: a page that was used since the hand last passed stays.
// - At most one load of a page is under way; all who want it share it.
// It does not know what a tree is for, and never writes.

import { AndironError } from "../../common/errors.ts";
import type { ObjectBackend } from "../backend/backend.ts";
import type { CheckpointFooter, InnerPage, LeafPage, Lineage, PageRef, SegmentHandles } from "../format/page.ts";
import { checkpointTailBytes, decodeCheckpointFooter, decodeCheckpointTail, decodePage } from "../format/page.ts";
import { engineLimits, pageFanout } from "../limits.ts";
import type { MapObjectId } from "../names.ts";
import { mapObjectName } from "../names.ts";

/** An inner page with the cache keys of its children. */
export interface CachedInner extends InnerPage {
  readonly keys: Float64Array;
}

export type CachedPage = LeafPage | CachedInner;

interface Slot {
  readonly page: CachedPage;
  readonly bytes: number;
  used: boolean;
}

export const isLeaf = (page: CachedPage): page is LeafPage => page.level === 0;

const leafMemoryBytes = 3 * 4 * pageFanout + 256;
/** Two columns for all children, and an object for each that is there. */
const innerMemoryBytes = (page: InnerPage): number =>
  2 * 8 * pageFanout + 112 * page.children.reduce((count, child) => (child === undefined ? count : count + 1), 0);

export class Pages {
  readonly #backend: ObjectBackend;
  readonly #handles: SegmentHandles;
  readonly #bytesMax: number;
  readonly #slots = new Map<number, Slot>();
  readonly #loads = new Map<number, Promise<CachedPage>>();
  readonly #objects = new Map<string, number>();
  #bytes = 0;

  constructor(options: { backend: ObjectBackend; handles: SegmentHandles; bytesMax: number }) {
    this.#backend = options.backend;
    this.#handles = options.handles;
    this.#bytesMax = options.bytesMax;
  }

  get bytes(): number {
    return this.#bytes;
  }

  keyOf(ref: PageRef): number {
    const name = mapObjectName(ref);
    let handle = this.#objects.get(name);
    if (handle === undefined) {
      handle = this.#objects.size + 1;
      this.#objects.set(name, handle);
    }
    return handle * 2 ** 32 + ref.offset;
  }

  /** The page if it is in memory. */
  cached(key: number): CachedPage | undefined {
    const slot = this.#slots.get(key);
    if (slot === undefined) return undefined;
    slot.used = true;
    return slot.page;
  }

  /** Rejects with map_damaged, or the backend's error. */
  load(ref: PageRef, key: number, level: number, lineage: Lineage): Promise<CachedPage> {
    const cached = this.cached(key);
    if (cached !== undefined) return Promise.resolve(cached);
    const running = this.#loads.get(key);
    if (running !== undefined) return running;
    const load = this.#read(ref, level, lineage)
      .then((page) => this.add(key, page))
      .finally(() => this.#loads.delete(key));
    this.#loads.set(key, load);
    return load;
  }

  /** Puts a page that was just written into the cache. */
  add(key: number, page: LeafPage | InnerPage): CachedPage {
    const cached = "children" in page ? this.#withKeys(page) : page;
    const bytes = isLeaf(cached) ? leafMemoryBytes : innerMemoryBytes(cached);
    if (!this.#slots.has(key)) {
      this.#slots.set(key, { page: cached, bytes, used: false });
      this.#bytes += bytes;
      this.#evict();
    }
    return cached;
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

  async #read(ref: PageRef, level: number, lineage: Lineage): Promise<LeafPage | InnerPage> {
    if (ref.length > engineLimits.pageBytesMax)
      throw new AndironError("map_damaged", `map page of ${ref.length} bytes in ${mapObjectName(ref)}`);
    const bytes = Buffer.allocUnsafe(ref.length);
    await this.#backend.read(mapObjectName(ref), ref.offset, bytes);
    return decodePage(bytes, ref, level, lineage, this.#handles);
  }

  #withKeys(page: InnerPage): CachedInner {
    const keys = new Float64Array(pageFanout);
    page.children.forEach((child, i) => {
      if (child !== undefined) keys[i] = this.keyOf(child);
    });
    return { ...page, keys };
  }

  #evict(): void {
    for (const [key, slot] of this.#slots) {
      if (this.#bytes <= this.#bytesMax) return;
      this.#slots.delete(key);
      if (slot.used) {
        slot.used = false;
        this.#slots.set(key, slot);
      } else {
        this.#bytes -= slot.bytes;
      }
    }
  }
}
