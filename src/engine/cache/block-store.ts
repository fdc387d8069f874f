// Blocks of objects on a local SSD: one file of slots, for all pools of a router (docs/design/read-cache.md).
//
// - The file has no name once it is open: nothing of it outlives the process, and a start begins with none of it.
// - A slot that is read from, or written to, is not given to another block meanwhile.
// - Which block is where is kept in memory, about 30 bytes a block, and a name for each object of which there is a block.
// - The bytes are not checked here: the engine's checksums are the judge (vdisk/reader.ts).
// - The SSD is never needed: a failed read is a block that is not here; after a failed write nothing is kept any more.

import { KiB } from "../limits.ts";
import type { DiskFile, LocalDisk } from "../local-disk.ts";
import { SlotTable } from "./slot-table.ts";

export const storeBlockBytes = 64 * KiB;
/** Blocks in memory that wait to be written; one more is not kept. */
const writingMax = 64;

export interface BlockStoreOptions {
  readonly disk: LocalDisk;
  /** Of the file, which is made anew; its directory exists. */
  readonly path: string;
  /** At least one block. */
  readonly bytesMax: number;
  /** Told once, when the disk fails or is full. */
  readonly failed: (error: unknown) => void;
}

interface ObjectState {
  readonly id: number;
  readonly blocks: Set<number>;
}

export class BlockStore {
  readonly #file: DiskFile;
  readonly #slots: SlotTable;
  readonly #failed: (error: unknown) => void;
  readonly #objects = new Map<string, ObjectState>();
  readonly #names = new Map<number, string>();
  #nextId = 1;
  #writing = 0;
  #isBroken = false;
  #closed: Promise<void> | undefined;
  /** Reads and writes of the file that are under way. */
  readonly #busy = new Set<Promise<unknown>>();
  hits = 0;
  misses = 0;

  private constructor(file: DiskFile, options: BlockStoreOptions) {
    this.#file = file;
    this.#slots = new SlotTable(Math.floor(options.bytesMax / storeBlockBytes));
    this.#failed = options.failed;
  }

  /** Rejects with the system's error. */
  static async open(options: BlockStoreOptions): Promise<BlockStore> {
    const file = options.disk.open(options.path, "replace");
    try {
      await options.disk.unlink(options.path);
      return new BlockStore(file, options);
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  get blockCount(): number {
    return this.#slots.heldCount;
  }

  has(name: string, block: number): boolean {
    return this.#slotOf(name, block) >= 0;
  }

  /** Fills target with the block's bytes from `from` on; resolves false when they can't be had here. */
  async read(name: string, block: number, from: number, target: Buffer): Promise<boolean> {
    const slot = this.#slotOf(name, block);
    if (slot < 0 || this.#closed !== undefined) {
      this.misses++;
      return false;
    }
    this.hits++;
    this.#slots.touch(slot);
    this.#slots.pin(slot);
    try {
      return (await this.#do(this.#file.read(slot * storeBlockBytes + from, target))) === target.length;
    } catch (error) {
      this.#break(error);
      return false;
    } finally {
      this.#slots.unpin(slot);
    }
  }

  /** Keeps a whole block, if there is room for it and for the work. The bytes may not change any more. */
  keep(name: string, block: number, bytes: Buffer): void {
    if (this.#isBroken || this.#closed !== undefined || this.#writing >= writingMax || this.has(name, block)) return;
    const slot = this.#slots.take((evicted) => this.#forgetSlot(evicted));
    if (slot < 0) return;
    this.#writing++;
    void this.#do(this.#file.write([bytes], slot * storeBlockBytes))
      .then(
        // Somebody else may have kept it meanwhile.
        () => (this.has(name, block) ? this.#slots.giveBack(slot) : this.#hold(slot, name, block)),
        (error: unknown) => {
          this.#slots.giveBack(slot);
          this.#break(error);
        },
      )
      .finally(() => this.#writing--);
  }

  /** Forgets the blocks of an object from `first` to `last`, all of them by default. */
  forget(name: string, first = 0, last = Infinity): void {
    const object = this.#objects.get(name);
    if (object === undefined) return;
    for (const block of [...object.blocks]) {
      if (block < first || block > last) continue;
      this.#slots.remove(object.id, block);
      this.#drop(object, name, block);
    }
  }

  /** Resolves when the file is closed. Nothing is found any more. */
  close(): Promise<void> {
    this.#closed ??= Promise.resolve().then(async () => {
      await Promise.allSettled(this.#busy);
      await this.#file.close();
    });
    return this.#closed;
  }

  #slotOf(name: string, block: number): number {
    const object = this.#objects.get(name);
    return object === undefined ? -1 : this.#slots.find(object.id, block);
  }

  #hold(slot: number, name: string, block: number): void {
    let object = this.#objects.get(name);
    if (object === undefined) {
      object = { id: this.#nextId++, blocks: new Set() };
      this.#objects.set(name, object);
      this.#names.set(object.id, name);
    }
    object.blocks.add(block);
    this.#slots.put(slot, object.id, block);
  }

  #forgetSlot(slot: number): void {
    const name = this.#names.get(this.#slots.firstOf(slot))!;
    this.#drop(this.#objects.get(name)!, name, this.#slots.secondOf(slot));
  }

  #drop(object: ObjectState, name: string, block: number): void {
    object.blocks.delete(block);
    if (object.blocks.size > 0) return;
    this.#objects.delete(name);
    this.#names.delete(object.id);
  }

  #break(error: unknown): void {
    if (this.#isBroken) return;
    this.#isBroken = true;
    this.#failed(error);
  }

  async #do<T>(work: Promise<T>): Promise<T> {
    this.#busy.add(work);
    try {
      return await work;
    } finally {
      this.#busy.delete(work);
    }
  }
}
