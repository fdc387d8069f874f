// A local disk for tests: the machine's own, that can run full, fail its syncs, and lose what was not synced.
//
// Power loss keeps, of each file's unsynced tail, a random part in sectors of 512 bytes, and forgets names whose directory
// was not synced. Files of the journal only ever grow, so a file's synced length says all.

import { rmSync, statSync, truncateSync, writeFileSync, readFileSync } from "node:fs";
import { dirname } from "node:path";
import type { Random } from "../common/random.ts";
import type { DiskFile, LocalDisk, OpenMode } from "./local-disk.ts";
import { nodeDisk } from "./node-disk.ts";

const sectorBytes = 512;

interface FileState {
  syncedBytes: number;
  named: boolean;
}

export class FaultDisk implements LocalDisk {
  /** Bytes that may still be written. */
  freeBytes = Number.POSITIVE_INFINITY;
  failSyncs = false;
  syncCount = 0;
  /** Syncs wait for this. */
  syncGate: Promise<void> = Promise.resolve();
  readonly #files = new Map<string, FileState>();

  open(path: string, mode: OpenMode): DiskFile {
    if (mode !== "existing" && this.freeBytes <= 0) throw systemError("ENOSPC", path);
    const file = nodeDisk.open(path, mode);
    const length = file.lengthBytes();
    const state = (mode === "existing" ? this.#files.get(path) : undefined) ?? { syncedBytes: length, named: mode !== "new" };
    this.#files.set(path, state);
    return new FaultFile(this, file, path, state);
  }

  async rename(source: string, target: string): Promise<void> {
    await nodeDisk.rename(source, target);
    const state = this.#files.get(source);
    this.#files.delete(source);
    if (state !== undefined) this.#files.set(target, { ...state, named: true });
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
      const length = statSync(path, { throwIfNoEntry: false })?.size ?? 0;
      if (length <= state.syncedBytes) continue;
      truncateSync(path, state.syncedBytes + random.below(length - state.syncedBytes + 1));
      const bytes = readFileSync(path);
      const kind = random.below(3);
      for (let at = Math.ceil(state.syncedBytes / sectorBytes) * sectorBytes; at < bytes.length && kind > 0; at += sectorBytes) {
        if (random.below(kind === 1 ? 2 : 20) === 0) bytes.fill(0, at, Math.min(at + sectorBytes, bytes.length));
      }
      writeFileSync(path, bytes);
      state.syncedBytes = bytes.length;
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
  readonly #state: FileState;

  constructor(disk: FaultDisk, file: DiskFile, path: string, state: FileState) {
    this.#disk = disk;
    this.#file = file;
    this.#path = path;
    this.#state = state;
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

  writeNow(buffers: readonly Buffer[], offset: number): void {
    const all = Buffer.concat(buffers);
    const fits = this.#disk.take(all.length);
    if (fits > 0) this.#file.writeNow([all.subarray(0, fits)], offset);
    if (fits < all.length) throw systemError("ENOSPC", this.#path);
  }

  truncateNow(lengthBytes: number): void {
    this.#disk.freeBytes += Math.max(0, this.#file.lengthBytes() - lengthBytes);
    this.#file.truncateNow(lengthBytes);
  }

  async sync(): Promise<void> {
    const length = this.#file.lengthBytes();
    this.#disk.syncCount++;
    await this.#disk.syncGate;
    if (this.#disk.failSyncs) throw systemError("EIO", this.#path);
    await this.#file.sync();
    this.#state.syncedBytes = Math.max(this.#state.syncedBytes, length);
  }

  close(): Promise<void> {
    return this.#file.close();
  }
}

export function systemError(code: string, path: string): NodeJS.ErrnoException {
  return Object.assign(new Error(`${code}: injected, ${path}`), { code });
}
