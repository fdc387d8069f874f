// Decorator: a slow backend is asked once for each block that is read; from then on it comes from the local SSD.
//
//     read ──► block in the store ─────────────────────────► read from there
//       └────► block on its way ───────────────────────────► shared with who asked first
//       └────► a run of blocks that are neither ─► backend ─► answered ─► given to the store
//
// - Objects never change and no name is used twice: a block is never stale, whoever wrote it, and clones share it.
// - `fresh` reads go past the store, which forgets what they cover: somebody found it wrong.
// - The last piece of an object, which fills no block, is read each time from the backend.

import { AndironError } from "../../common/errors.ts";
import type { BlockStore } from "../cache/block-store.ts";
import { storeBlockBytes } from "../cache/block-store.ts";
import type { Capacity, ListOptions, ObjectBackend, ReadOptions } from "./backend.ts";

/** Blocks that are asked for with one request of the backend. */
const runBlocksMax = 16;

export interface ReadCacheOptions {
  readonly store: BlockStore;
  /** The pool: names of objects are its own. */
  readonly pool: string;
}

export function withReadCache(inner: ObjectBackend, options: ReadCacheOptions): ObjectBackend {
  return new CachedBackend(inner, options);
}

/** A run of blocks that the backend was asked for; undefined when the object ends inside it. */
type Fetch = Promise<Buffer | undefined>;

class CachedBackend implements ObjectBackend {
  readonly #inner: ObjectBackend;
  readonly #store: BlockStore;
  readonly #pool: string;
  /** By object and block: the run that it is in, and where that begins. */
  readonly #fetching = new Map<string, { readonly first: number; readonly run: Fetch }>();

  constructor(inner: ObjectBackend, { store, pool }: ReadCacheOptions) {
    this.#inner = inner;
    this.#store = store;
    this.#pool = pool;
  }

  put(name: string, parts: readonly Buffer[]): Promise<void> {
    return this.#inner.put(name, parts);
  }

  putFile(name: string, path: string): Promise<void> {
    return this.#inner.putFile(name, path);
  }

  async read(name: string, offset: number, target: Buffer, options: ReadOptions = {}): Promise<void> {
    if (target.length === 0) return this.#inner.read(name, offset, target);
    const first = Math.floor(offset / storeBlockBytes);
    const last = Math.floor((offset + target.length - 1) / storeBlockBytes);
    if (options.fresh === true) {
      this.#store.forget(this.#key(name), first, last);
      return this.#inner.read(name, offset, target, options);
    }
    const pieces: Promise<void>[] = [];
    for (let block = first; block <= last;) {
      let end = block + 1;
      if (this.#isMissing(name, block)) {
        while (end <= last && end - block < runBlocksMax && this.#isMissing(name, end)) end++;
        this.#fetch(name, block, end);
      }
      for (; block < end; block++) pieces.push(this.#readBlock(name, block, offset, target));
    }
    // All of them end before anybody may use the buffer again.
    for (const piece of await Promise.allSettled(pieces)) if (piece.status === "rejected") throw piece.reason;
  }

  size(name: string): Promise<number | undefined> {
    return this.#inner.size(name);
  }

  delete(name: string): Promise<void> {
    this.#store.forget(this.#key(name));
    return this.#inner.delete(name);
  }

  list(prefix: string, options?: ListOptions): Promise<string[]> {
    return this.#inner.list(prefix, options);
  }

  capacity(): Promise<Capacity> {
    return this.#inner.capacity();
  }

  close(): Promise<void> {
    return this.#inner.close();
  }

  #key(name: string): string {
    return `${this.#pool}/${name}`;
  }

  #isMissing(name: string, block: number): boolean {
    return !this.#store.has(this.#key(name), block) && !this.#fetching.has(`${name}:${block}`);
  }

  /** Fills the part of target that lies in the block. */
  async #readBlock(name: string, block: number, offset: number, target: Buffer): Promise<void> {
    const start = Math.max(offset, block * storeBlockBytes);
    const end = Math.min(offset + target.length, (block + 1) * storeBlockBytes);
    const part = target.subarray(start - offset, end - offset);
    const fetching = this.#fetching.get(`${name}:${block}`);
    if (fetching === undefined) {
      if (await this.#store.read(this.#key(name), block, start - block * storeBlockBytes, part)) return;
    } else {
      this.#store.misses++;
      const run = await fetching.run;
      if (run !== undefined) {
        run.copy(part, 0, start - fetching.first * storeBlockBytes);
        return;
      }
    }
    return this.#inner.read(name, start, part);
  }

  /** Asks the backend for the blocks [first, end), for all who want them meanwhile. */
  #fetch(name: string, first: number, end: number): void {
    const run = this.#fetchRun(name, first, end);
    run.catch(() => undefined);
    for (let block = first; block < end; block++) this.#fetching.set(`${name}:${block}`, { first, run });
  }

  async #fetchRun(name: string, first: number, end: number): Fetch {
    const bytes = Buffer.allocUnsafeSlow((end - first) * storeBlockBytes);
    try {
      await this.#inner.read(name, first * storeBlockBytes, bytes);
      for (let block = first; block < end; block++) {
        const start = (block - first) * storeBlockBytes;
        this.#store.keep(this.#key(name), block, bytes.subarray(start, start + storeBlockBytes));
      }
      return bytes;
    } catch (error) {
      if (error instanceof AndironError && error.code === "segment_damaged") return undefined;
      throw error;
    } finally {
      for (let block = first; block < end; block++) this.#fetching.delete(`${name}:${block}`);
    }
  }
}
