// A local disk for tests: the machine's own, that can run full, fail its syncs, and lose what was not synced.
//
// Power loss keeps a random part of what was not synced of each file (unsynced-file.fixture.ts), and forgets names whose
// directory was not synced.

import { closeSync, openSync, rmSync } from "node:fs";
import { dirname } from "node:path";
import type { Random } from "../common/random.ts";
import type { DiskFile, LocalDisk, OpenMode, PreparedWrite } from "./local-disk.ts";
import { nodeDisk } from "./node-disk.ts";
import { UnsyncedFile } from "./unsynced-file.fixture.ts";

export class FaultDisk implements LocalDisk {
  /** Bytes that may still be written. */
  freeBytes = Number.POSITIVE_INFINITY;
  failSyncs = false;
  syncCount = 0;
  /** Of them, those that had a new length of a file to keep. */
  growingSyncs = 0;
  /** Syncs wait for this. */
  syncGate: Promise<void> = Promise.resolve();
  readonly #files = new Map<string, UnsyncedFile>();

  open(path: string, mode: OpenMode): DiskFile {
    if (mode !== "existing" && this.freeBytes <= 0) throw systemError("ENOSPC", path);
    const file = nodeDisk.open(path, mode);
    const known = mode === "existing" ? this.#files.get(path) : undefined;
    const state = known ?? new UnsyncedFile(file.lengthBytes(), mode !== "new");
    this.#files.set(path, state);
    return new FaultFile(this, file, path, state);
  }

  async rename(source: string, target: string): Promise<void> {
    await nodeDisk.rename(source, target);
    const state = this.#files.get(source);
    this.#files.delete(source);
    if (state === undefined) return;
    state.named = true;
    this.#files.set(target, state);
  }

  async unlink(path: string): Promise<void> {
    this.#files.delete(path);
    await nodeDisk.unlink(path);
  }

  list(directory: string): Promise<string[]> {
    return nodeDisk.list(directory);
  }

  makeDirectory(directory: string): Promise<void> {
    return nodeDisk.makeDirectory(directory);
  }

  removeDirectory(directory: string): Promise<void> {
    return nodeDisk.removeDirectory(directory);
  }

  async syncDirectory(directory: string): Promise<void> {
    if (this.failSyncs) throw systemError("EIO", directory);
    await nodeDisk.syncDirectory(directory);
    for (const [path, state] of this.#files) if (dirname(path) === directory) state.named = true;
  }

  /** Nothing may be under way. */
  losePower(random: Random): void {
    for (const [path, state] of this.#files) {
      if (!state.named) {
        rmSync(path, { force: true });
        this.#files.delete(path);
        continue;
      }
      state.losePower(path, random);
    }
  }

  /** How many of so many bytes fit. */
  take(bytes: number): number {
    const taken = Math.min(bytes, Math.max(this.freeBytes, 0));
    this.freeBytes -= taken;
    return taken;
  }
}

class FaultFile implements DiskFile {
  readonly #disk: FaultDisk;
  readonly #file: DiskFile;
  readonly #path: string;
  readonly #state: UnsyncedFile;
  /** To see what a write replaces. */
  readonly #fd: number;

  constructor(disk: FaultDisk, file: DiskFile, path: string, state: UnsyncedFile) {
    this.#disk = disk;
    this.#file = file;
    this.#path = path;
    this.#state = state;
    this.#fd = openSync(path, "r");
  }

  lengthBytes(): number {
    return this.#file.lengthBytes();
  }

  read(offset: number, target: Buffer): Promise<number> {
    return this.#file.read(offset, target);
  }

  async write(buffers: readonly Buffer[], offset: number): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve));
    this.writeNow(buffers, offset);
  }

  /** Written is what was copied, not what is there by then. */
  prepare(buffers: readonly Buffer[], offset: number): PreparedWrite {
    const copy = Buffer.concat(buffers);
    return { write: () => this.write([copy], offset), drop: () => undefined };
  }

  writeNow(buffers: readonly Buffer[], offset: number): void {
    const all = Buffer.concat(buffers);
    const grown = Math.max(0, offset + all.length - this.#file.lengthBytes());
    const fits = all.length - grown + this.#disk.take(grown);
    this.#state.willChange(this.#fd, offset, offset + fits);
    if (fits > 0) this.#file.writeNow([all.subarray(0, fits)], offset);
    if (fits < all.length) throw systemError("ENOSPC", this.#path);
  }

  truncateNow(lengthBytes: number): void {
    const present = this.#file.lengthBytes();
    this.#disk.freeBytes += Math.max(0, present - lengthBytes);
    this.#state.willChange(this.#fd, lengthBytes, present);
    this.#file.truncateNow(lengthBytes);
  }

  async sync(): Promise<void> {
    const length = this.#file.lengthBytes();
    const sync = this.#state.syncBegins(length);
    this.#disk.syncCount++;
    if (length > this.#state.syncedBytes) this.#disk.growingSyncs++;
    await this.#disk.syncGate;
    if (this.#disk.failSyncs) throw systemError("EIO", this.#path);
    await this.#file.sync();
    this.#state.syncEnds(sync);
  }

  endWrites(): void {
    this.#file.endWrites();
  }

  close(): Promise<void> {
    closeSync(this.#fd);
    return this.#file.close();
  }
}

export function systemError(code: string, path: string): NodeJS.ErrnoException {
  return Object.assign(new Error(`${code}: injected, ${path}`), { code });
}
