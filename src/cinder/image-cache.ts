// The cache of images: vDisks with the bytes of an image, of which the next volumes of that image are clones, in one transaction.
//
//   first volume of an image ─► downloaded, checked ─► cut into a vDisk of the cache ─► available
//   the next ones ─► entry there, same bytes, small enough ─► clone ─► available
//
// - An entry belongs to one pool and one image: cinder/image-cache/<pool>/<image>. It is written in the transaction that makes
//   the volume available, of a vDisk that was cut before anybody could write into the volume.
// - Whether an image may be used is asked of Glance each time; an entry whose hash, checksum or size is not the image's is not
//   used.
// - It is no volume: no project, no quota, in no list, not to be managed or attached. Volumes made of it do not need it.
// - Bounds are those of the pool's settings; the one that was used longest ago goes first.

import type { Tx } from "../registry/atomic.ts";
import type { ImageDescription, ImageToCopy } from "./images.ts";
import { commitClaimed } from "./jobs/job-claims.ts";
import type { Job } from "./jobs/job.ts";
import { gibBytes, type ImageCacheEntry, type Volume } from "./model.ts";
import type { CinderPorts } from "./ports.ts";
import { deleteRecord, imageCacheKind, readRecord, volumeKind, writeRecord } from "./records.ts";
import { poolOfHost } from "./scheduler.ts";

const cutLookMs = 20;
const cutMsMax = 10_000;
/** An entry that is used often is not written each time. */
const touchMs = 60_000;
/** In one transaction. */
const evictionsMax = 8;
const copiedFormats = new Set(["raw", "iso"]);

const idOf = (pool: string, imageId: string): string => `${pool}/${imageId}`;

export class ImageCache {
  readonly #ports: CinderPorts;

  constructor(ports: CinderPorts) {
    this.#ports = ports;
  }

  isOn(pool: string): boolean {
    return this.#limits(pool) !== undefined;
  }

  /** The vDisk to clone, which counts as used now; undefined when there is none. */
  async find(tx: Tx, pool: string, image: ImageToCopy, sizeGib: number): Promise<string | undefined> {
    if (!this.isOn(pool) || image.isSigned) return undefined;
    const entry = await readRecord(tx, imageCacheKind, idOf(pool, image.id));
    if (entry === undefined || !isOf(entry, image) || entry.sizeGib > sizeGib) return undefined;
    const nowMs = this.#ports.clock.wallMs();
    if (nowMs - entry.usedAtMs > touchMs) {
      writeRecord(tx, imageCacheKind, idOf(pool, image.id), { ...entry, usedAtMs: nowMs });
    }
    return entry.id;
  }

  /** How large the disk is made that an image is copied into, so that small volumes can be made of it later. */
  firstGib(pool: string, image: ImageDescription, sizeGib: number): number {
    if (!this.isOn(pool)) return sizeGib;
    const { diskFormat, sizeBytes, virtualSizeBytes } = image;
    const bytes = copiedFormats.has(diskFormat ?? "") ? sizeBytes : virtualSizeBytes;
    return bytes === null ? sizeGib : Math.min(Math.max(Math.ceil(bytes / gibBytes), 1), sizeGib);
  }

  /** Cuts a vDisk under the job's id out of the volume that has the image, and waits for it. Without one there is no entry. */
  async cut(job: Job, pool: string, imageId: string): Promise<void> {
    const { control, clock } = this.#ports;
    if (!this.isOn(pool)) return;
    const volumeId = job.resource.id;
    const [disk, present] = [await control.vdisk(volumeId), await control.vdisk(job.id)];
    if (disk === undefined) return;
    if (present === undefined) {
      await commitClaimed(this.#ports, job, async (tx, claimed) => {
        const volume = await readRecord(tx, volumeKind, volumeId);
        if (volume?.jobId !== job.id || volume.status !== "downloading") return claimed;
        const source = { kind: "vdisk", vdiskId: volumeId } as const;
        const { sizeBytes } = disk;
        await control.createVdisk(tx, { id: job.id, pool, name: `image-${imageId}`, sizeBytes, source });
        return claimed;
      });
    }
    const untilMs = clock.monotonicMs() + cutMsMax;
    while ((await control.vdisk(job.id))?.state === "pending" && clock.monotonicMs() < untilMs) await clock.sleep(cutLookMs);
  }

  /** Makes an entry of what was cut, where there is room for one. */
  async keep(tx: Tx, job: Job, volume: Volume, image: ImageToCopy): Promise<void> {
    const disk = await this.#ports.control.vdisk(job.id);
    if (disk === undefined) return;
    const pool = poolOfHost(volume.host ?? "");
    const old = await readRecord(tx, imageCacheKind, idOf(pool, image.id));
    const sizeGib = Math.ceil(disk.sizeBytes / gibBytes);
    const isBetter = old === undefined || !isOf(old, image) || old.sizeGib > sizeGib;
    // Who set another status may have attached it, and somebody written.
    const isWanted = disk.state === "ready" && volume.status === "downloading" && isBetter;
    if (!isWanted || !(await this.#makeRoom(tx, pool, sizeGib, old))) return this.#ports.control.deleteVdisk(tx, job.id);
    const nowMs = this.#ports.clock.wallMs();
    const { checksum, hash, sizeBytes } = image;
    writeRecord(tx, imageCacheKind, idOf(pool, image.id), {
      ...{ v: 1, id: job.id, pool, imageId: image.id, sizeGib, checksum, hash, sizeBytes },
      createdAtMs: nowMs,
      usedAtMs: nowMs,
    });
  }

  /** What was cut for a volume that came to nothing. */
  async drop(tx: Tx, job: Job): Promise<void> {
    if ((await this.#ports.control.vdisk(job.id)) !== undefined) await this.#ports.control.deleteVdisk(tx, job.id);
  }

  /** Removes `old`, and as many others as it takes; false, and nothing removed, when that is not enough. */
  async #makeRoom(tx: Tx, pool: string, sizeGib: number, old: ImageCacheEntry | undefined): Promise<boolean> {
    const limits = this.#limits(pool);
    if (limits === undefined) return false;
    await this.#ports.index.fresh();
    const others = this.#ports.index.imageCache.select((entry) => entry.pool === pool && entry.id !== old?.id);
    others.sort((a, b) => a.usedAtMs - b.usedAtMs);
    let [count, size] = [others.length, others.reduce((sum, entry) => sum + entry.sizeGib, 0)];
    const evicted = old === undefined ? [] : [old];
    const isOver = (): boolean =>
      (limits.countMax > 0 && count + 1 > limits.countMax) || (limits.gibMax > 0 && size + sizeGib > limits.gibMax);
    for (const entry of others) {
      if (!isOver()) break;
      evicted.push(entry);
      count--;
      size -= entry.sizeGib;
    }
    if (isOver() || evicted.length > evictionsMax) return false;
    for (const entry of evicted) await evictEntry(this.#ports, tx, entry);
    return true;
  }

  #limits(pool: string): { readonly countMax: number; readonly gibMax: number } | undefined {
    return this.#ports.settings.pools[pool]?.imageCache;
  }
}

/** Takes an entry out, unless it is another one by now. */
export async function evictEntry(ports: Pick<CinderPorts, "control">, tx: Tx, entry: ImageCacheEntry): Promise<void> {
  const id = idOf(entry.pool, entry.imageId);
  if ((await readRecord(tx, imageCacheKind, id))?.id !== entry.id) return;
  deleteRecord(tx, imageCacheKind, id);
  await ports.control.deleteVdisk(tx, entry.id);
}

function isOf(entry: ImageCacheEntry, image: ImageToCopy): boolean {
  const isSame = entry.sizeBytes === image.sizeBytes && entry.checksum === image.checksum;
  return isSame && entry.hash?.algorithm === image.hash?.algorithm && entry.hash?.value === image.hash?.value;
}
