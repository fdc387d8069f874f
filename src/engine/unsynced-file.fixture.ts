// What power loss leaves of one file of the fault disk. Sectors of 512 bytes arrive one by one, in any order:
//
// - A sector that was on disk and was written or cut off since the last sync is as before or as after.
// - Of what was added behind the synced length a random part is there, and of that some sectors are zeroes.
// - A cut that was not synced may not have happened.
// A sync covers what was changed before it began.

import { readFileSync, readSync, statSync, truncateSync, writeFileSync } from "node:fs";
import type { Random } from "../common/random.ts";

const sectorBytes = 512;

/** Sectors as they were before they were changed, by number. */
type Images = Map<number, Buffer>;

/** A sync that is under way. */
interface Sync {
  readonly images: Images;
  readonly lengthBytes: number;
}

const roundedUp = (bytes: number): number => Math.ceil(bytes / sectorBytes) * sectorBytes;

export class UnsyncedFile {
  named: boolean;
  syncedBytes: number;
  #syncs: Sync[] = [];
  /** Of those changed since the last sync began. */
  #images: Images = new Map();

  constructor(lengthBytes: number, named: boolean) {
    this.syncedBytes = lengthBytes;
    this.named = named;
  }

  /** Bytes [from, to) of the open file are about to be written or cut off. */
  willChange(fd: number, from: number, to: number): void {
    const covered = roundedUp(Math.max(this.syncedBytes, ...this.#syncs.map((sync) => sync.lengthBytes)));
    const first = Math.floor(from / sectorBytes);
    const end = Math.ceil(Math.min(to, covered) / sectorBytes);
    if (end <= first) return;
    const target = Buffer.alloc((end - first) * sectorBytes);
    const present = target.subarray(0, readSync(fd, target, 0, target.length, first * sectorBytes));
    for (let at = 0; at < present.length; at += sectorBytes) {
      const sector = first + at / sectorBytes;
      if (!this.#images.has(sector)) this.#images.set(sector, present.subarray(at, at + sectorBytes));
    }
  }

  syncBegins(lengthBytes: number): Sync {
    const sync = { images: this.#images, lengthBytes };
    this.#syncs.push(sync);
    this.#images = new Map();
    return sync;
  }

  syncEnds(sync: Sync): void {
    const index = this.#syncs.indexOf(sync);
    if (index < 0) return; // a later one has ended before
    this.#syncs.splice(0, index + 1);
    this.syncedBytes = sync.lengthBytes;
  }

  losePower(path: string, random: Random): void {
    const length = statSync(path, { throwIfNoEntry: false })?.size;
    if (length === undefined) return;
    const images: Images = new Map();
    for (const older of [...this.#syncs.map((sync) => sync.images), this.#images]) {
      for (const [sector, image] of older) if (!images.has(sector)) images.set(sector, image);
    }
    const cutIsLost = length < this.syncedBytes && random.below(2) === 0;
    const keptBytes = cutIsLost ? this.syncedBytes : length - random.below(Math.max(length - this.syncedBytes, 0) + 1);
    truncateSync(path, keptBytes);
    const bytes = readFileSync(path);
    this.#loseSectors(bytes, images, cutIsLost ? length : bytes.length, random);
    this.#loseAdded(bytes, random);
    writeFileSync(path, bytes);
    this.syncedBytes = bytes.length;
    this.#syncs = [];
    this.#images = new Map();
  }

  /** Those from `cutAt` on were cut off by what did not happen. */
  #loseSectors(bytes: Buffer, images: Images, cutAt: number, random: Random): void {
    const lostShare = [0, 10, 50, 100][random.below(4)]!;
    for (const [sector, image] of images) {
      const at = sector * sectorBytes;
      if (at >= Math.min(this.syncedBytes, bytes.length)) continue;
      if (at + sectorBytes <= cutAt && random.below(100) >= lostShare) continue;
      bytes.fill(0, at, Math.min(at + sectorBytes, bytes.length));
      image.copy(bytes, at);
    }
  }

  #loseAdded(bytes: Buffer, random: Random): void {
    const kind = random.below(3);
    for (let at = roundedUp(this.syncedBytes); at < bytes.length && kind > 0; at += sectorBytes) {
      if (random.below(kind === 1 ? 2 : 20) === 0) bytes.fill(0, at, Math.min(at + sectorBytes, bytes.length));
    }
  }
}
