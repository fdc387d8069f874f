// A disk in memory that behaves as badly as the LocalDisk contract allows. Its faults, in prose:
//
// - What a process wrote stays when the process is killed: the kernel has it. A write that a kill interrupts may be there in
//   part; one that is done within the call (writeNow) is there or not.
// - Power loss forgets what no sync covered. Each unsynced write is cut into sectors of 512 bytes, and each of them is there
//   or not by itself, in any order; a truncation may or may not have happened. The length of the file is at least what its
//   surviving sectors need, and the bytes between them that never arrived read as what was there before, or zeroes.
// - A name that was created, renamed or removed since the last sync of its directory may be as before or as after, each by
//   itself; a renamed file is under one of its two names. A directory that vanishes takes everything in it along.
// - A sync that fails (EIO) loses what it covered for good: the bytes are still read until the power goes, the next sync
//   succeeds, and after power loss they are not there. Such failures come alone: the next syncs work, and the process lives
//   long enough to leave its mark (a death in that very moment too is more than the engine says it survives).
// - When the disk is full, a write has an effect in part and fails with ENOSPC.
// - Operations take a moment, a few take long, and those under way at once end in any order.
// What was synced is never lost, and sectors are never torn: other damage is for other tests.

import type { Random } from "../src/common/random.ts";
import type { DiskFile, LocalDisk, OpenMode } from "../src/engine/local-disk.ts";
import type { Life } from "./life.ts";
import { FileNode } from "./sim-file.ts";

/** How badly; shares are of 1. May be changed at any time. */
export interface DiskFaults {
  syncFailShare: number;
  full: boolean;
}

/** Calls after a failed sync in which nothing else happens to disk and process. */
const callsToRecover = 30;

type Node = FileNode | DirectoryNode;

/** Entries as they are, and as they would be after power loss if none of `unsynced` survived. */
class DirectoryNode {
  live = new Map<string, Node>();
  durable = new Map<string, Node>();
  /** Each is one change that happens as a whole: names and what they then stand for. */
  unsynced: (readonly (readonly [name: string, node: Node | undefined])[])[] = [];

  change(...entries: readonly (readonly [name: string, node: Node | undefined])[]): void {
    apply(this.live, entries);
    this.unsynced.push(entries);
  }

  sync(count: number): void {
    for (const entries of this.unsynced.splice(0, count)) apply(this.durable, entries);
  }

  losePower(random: Random): void {
    for (const entries of this.unsynced) if (random.below(2) === 0) apply(this.durable, entries);
    this.unsynced = [];
    this.live = new Map(this.durable);
    for (const node of this.live.values()) node.losePower(random);
  }
}

export class SimDisk {
  readonly faults: DiskFaults = { syncFailShare: 0, full: false };
  readonly #random: Random;
  #root = new DirectoryNode();
  #syncsToSucceed = 0;

  constructor(random: Random) {
    this.#random = random;
  }

  /** The disk as a process sees it. */
  mount(life: Life): LocalDisk {
    return {
      open: (path, mode) => new OpenFile(this, life, path, this.#open(life, path, mode)),
      rename: async (source, target) => {
        await life.beginLater(1);
        this.#rename(source, target);
        await life.later(0.2);
      },
      unlink: async (path) => {
        await life.beginLater(1);
        const { directory, name } = this.#placeOf(path);
        if (directory.live.has(name)) directory.change([name, undefined]);
        await life.later(0.2);
      },
      list: async (path) => {
        await life.beginLater(1);
        return [...this.#directory(path).live.keys()];
      },
      makeDirectory: async (path) => {
        await life.beginLater(1);
        this.makeDirectory(path);
      },
      removeDirectory: async (path) => {
        await life.beginLater(1);
        if (this.#directory(path).live.size > 0) throw systemError("ENOTEMPTY", path);
        const { directory, name } = this.#placeOf(path);
        directory.change([name, undefined]);
      },
      syncDirectory: async (path) => {
        await life.beginLater(0.1);
        const directory = this.#directory(path);
        const count = directory.unsynced.length;
        await life.later(5);
        directory.sync(Math.min(count, directory.unsynced.length));
        await life.later(0.2);
      },
    };
  }

  /** The bytes of a file, for whoever reads beside the process, and whether all of them are on the disk. */
  readFile(path: string): { readonly bytes: Buffer; readonly isSynced: boolean } {
    const { directory, name } = this.#placeOf(path);
    const node = directory.live.get(name);
    if (!(node instanceof FileNode)) throw systemError("ENOENT", path);
    return { bytes: Buffer.from(node.bytes), isSynced: !node.hasUnsynced };
  }

  /** Nobody has anything open any more, and what was not synced may be gone. */
  losePower(): void {
    this.#root.losePower(this.#random);
  }

  /** A directory that has been there for long, with those above it. */
  prepare(path: string): void {
    this.makeDirectory(path);
    let directory = this.#root;
    for (const name of partsOf(path)) {
      directory.sync(directory.unsynced.length);
      directory = directory.live.get(name) as DirectoryNode;
    }
  }

  makeDirectory(path: string): void {
    let directory = this.#root;
    for (const name of partsOf(path)) {
      let next = directory.live.get(name);
      if (next === undefined) {
        next = new DirectoryNode();
        directory.change([name, next]);
      }
      if (next instanceof FileNode) throw systemError("ENOTDIR", path);
      directory = next;
    }
  }

  syncFails(): boolean {
    if (this.#syncsToSucceed > 0) {
      this.#syncsToSucceed--;
      return false;
    }
    const { syncFailShare } = this.faults;
    if (syncFailShare === 0 || this.#random.below(1_000_000) >= syncFailShare * 1_000_000) return false;
    this.#syncsToSucceed = callsToRecover;
    return true;
  }

  below(bound: number): number {
    return this.#random.below(bound);
  }

  #open(life: Life, path: string, mode: OpenMode): FileNode {
    if (!life.begin()) return new FileNode();
    const { directory, name } = this.#placeOf(path);
    const node = directory.live.get(name);
    if (node instanceof DirectoryNode) throw systemError("EISDIR", path);
    if (node === undefined) {
      if (mode === "existing") throw systemError("ENOENT", path);
      if (this.faults.full) throw systemError("ENOSPC", path);
      const file = new FileNode();
      directory.change([name, file]);
      return file;
    }
    if (mode === "new") throw systemError("EEXIST", path);
    if (mode === "replace") node.truncate(0);
    return node;
  }

  #rename(source: string, target: string): void {
    const from = this.#placeOf(source);
    const to = this.#placeOf(target);
    const node = from.directory.live.get(from.name);
    if (node === undefined) throw systemError("ENOENT", source);
    if (from.directory !== to.directory) throw systemError("EXDEV", target);
    to.directory.change([to.name, node], [from.name, undefined]);
  }

  #directory(path: string): DirectoryNode {
    let directory = this.#root;
    for (const name of partsOf(path)) {
      const next = directory.live.get(name);
      if (next === undefined) throw systemError("ENOENT", path);
      if (next instanceof FileNode) throw systemError("ENOTDIR", path);
      directory = next;
    }
    return directory;
  }

  #placeOf(path: string): { readonly directory: DirectoryNode; readonly name: string } {
    const parts = partsOf(path);
    const name = parts.pop() ?? "";
    return { directory: this.#directory(parts.join("/")), name };
  }
}

/** A file that a process has open. */
class OpenFile implements DiskFile {
  readonly #disk: SimDisk;
  readonly #life: Life;
  readonly #path: string;
  readonly #node: FileNode;

  constructor(disk: SimDisk, life: Life, path: string, node: FileNode) {
    this.#disk = disk;
    this.#life = life;
    this.#path = path;
    this.#node = node;
  }

  lengthBytes(): number {
    return this.#node.bytes.length;
  }

  async read(offset: number, target: Buffer): Promise<number> {
    await this.#life.beginLater(0.5);
    return this.#node.bytes.copy(target, 0, Math.min(offset, this.#node.bytes.length));
  }

  async write(buffers: readonly Buffer[], offset: number): Promise<void> {
    await this.#life.beginLater(1);
    const bytes = Buffer.concat(buffers);
    const half = this.#disk.below(bytes.length + 1);
    this.#node.write(bytes.subarray(0, half), offset);
    await this.#life.later(1);
    if (this.#disk.faults.full) throw systemError("ENOSPC", this.#path);
    this.#node.write(bytes.subarray(half), offset + half);
    await this.#life.later(0.2);
  }

  prepare(): undefined {}

  writeNow(buffers: readonly Buffer[], offset: number): void {
    if (!this.#life.begin()) return;
    const bytes = Buffer.concat(buffers);
    if (this.#disk.faults.full) {
      this.#node.write(bytes.subarray(0, this.#disk.below(bytes.length + 1)), offset);
      throw systemError("ENOSPC", this.#path);
    }
    this.#node.write(bytes, offset);
  }

  truncateNow(lengthBytes: number): void {
    if (this.#life.begin()) this.#node.truncate(lengthBytes);
  }

  async sync(): Promise<void> {
    await this.#life.beginLater(0.1);
    const mark = this.#node.syncBegins();
    await this.#life.later(5);
    if (this.#disk.syncFails()) {
      this.#node.syncFails(mark);
      this.#life.spare(callsToRecover);
      throw systemError("EIO", this.#path);
    }
    this.#node.syncEnds(mark);
    await this.#life.later(0.2);
  }

  endWrites(): void {}

  async close(): Promise<void> {
    await this.#life.guard(Promise.resolve());
  }
}

function apply(entries: Map<string, Node>, changes: readonly (readonly [name: string, node: Node | undefined])[]): void {
  for (const [name, node] of changes) {
    if (node === undefined) entries.delete(name);
    else entries.set(name, node);
  }
}

const partsOf = (path: string): string[] => path.split("/").filter((part) => part !== "");

function systemError(code: string, path: string): NodeJS.ErrnoException {
  return Object.assign(new Error(`${code}: simulated, ${path}`), { code });
}
