// An open log as a block device of some size (device.ts): checks ranges, splits off what is not whole clusters, reports extents.
// When the disk moves to another log (disk-move.ts) each request goes to the log that is the disk's at that moment.

import { AndironError } from "../../common/errors.ts";
import type { BlockDevice, Extent, LentBytes, WriteOptions, ZeroOptions } from "../device.ts";
import { clusterBytes, engineLimits, pageFanout } from "../limits.ts";
import type { Places } from "../map/block-map.ts";
import { newPlaces } from "../map/block-map.ts";
import type { OpenLog } from "./open-log.ts";

/** Clusters looked at in one step of extents(), at most. */
const extentStepClusters = 16_384;
const scratch = newPlaces(engineLimits.clustersNowMax);

type GrowingExtent = { lengthBytes: number; allocated: boolean };

export class VdiskDevice implements BlockDevice {
  readonly readOnly: boolean;
  #current: OpenLog;
  #isRevoked = false;
  readonly #sizeBytes: () => number;

  constructor(log: OpenLog, options: { readonly readOnly: boolean; readonly sizeBytes: () => number }) {
    this.#current = log;
    this.readOnly = options.readOnly;
    this.#sizeBytes = options.sizeBytes;
  }

  get #log(): OpenLog {
    while (this.#current.movedTo !== undefined) this.#current = this.#current.movedTo;
    return this.#current;
  }

  get sizeBytes(): number {
    return this.#sizeBytes();
  }

  /** What is read is only answered while the log is ours: another owner, or a later opening, may have newer bytes. */
  read(offset: number, target: Buffer): Promise<void> | undefined {
    this.#check(offset, target.length);
    const log = this.#log;
    log.guests.bytes += target.length;
    const reading = log.reader.read(offset, target);
    if (reading !== undefined) return reading.then(() => log.assertOwned());
    try {
      log.assertOwned();
    } catch (error) {
      return Promise.reject(error);
    }
    return undefined;
  }

  lend(offset: number, lengthBytes: number): readonly LentBytes[] | undefined {
    this.#check(offset, lengthBytes);
    const log = this.#log;
    log.assertOwned();
    const lent = log.reader.lend(offset, lengthBytes);
    if (lent !== undefined) log.guests.bytes += lengthBytes;
    return lent;
  }

  write(offset: number, data: Buffer, options: WriteOptions): Promise<void> {
    if (this.#isRevoked) return Promise.reject(revoked());
    this.#checkWritable(offset, data.length);
    const log = this.#log;
    log.guests.bytes += data.length;
    return log.queue.write(offset, data, options.fua, this);
  }

  flush(): Promise<void> {
    return this.#log.flush();
  }

  async trim(offset: number, lengthBytes: number, options: WriteOptions): Promise<void> {
    this.#checkWritable(offset, lengthBytes);
    const { first, end } = this.#wholeClusters(offset, lengthBytes);
    if (end > first) await this.#log.queue.zero(first, end - first, options.fua, this);
    else if (options.fua) await this.flush();
  }

  async writeZeroes(offset: number, lengthBytes: number, options: ZeroOptions): Promise<void> {
    this.#checkWritable(offset, lengthBytes);
    const { first, end } = this.#wholeClusters(offset, lengthBytes);
    if (end <= first) return this.#log.queue.write(offset, Buffer.alloc(lengthBytes), options.fua, this);
    const head = first * clusterBytes - offset;
    const tail = offset + lengthBytes - end * clusterBytes;
    const parts = [this.#log.queue.zero(first, end - first, options.fua, this)];
    if (head > 0) parts.push(this.#log.queue.write(offset, Buffer.alloc(head), options.fua, this));
    if (tail > 0) parts.push(this.#log.queue.write(end * clusterBytes, Buffer.alloc(tail), options.fua, this));
    await Promise.all(parts);
  }

  async cache(offset: number, lengthBytes: number): Promise<void> {
    this.#check(offset, lengthBytes);
    const first = Math.floor(offset / clusterBytes);
    await this.#log.reader.cache(first, Math.ceil((offset + lengthBytes) / clusterBytes) - first);
  }

  extents(offset: number, lengthBytes: number, countMax: number): Extent[] | Promise<Extent[]> {
    this.#check(offset, lengthBytes);
    const log = this.#log;
    const first = Math.floor(offset / clusterBytes);
    const count = Math.ceil((offset + lengthBytes) / clusterBytes) - first;
    if (count > engineLimits.clustersNowMax || log.map.resolve(first, count, scratch) >= 0)
      return extentsLoading(log, offset, lengthBytes, countMax);
    log.assertOwned();
    const extents: GrowingExtent[] = [];
    for (let at = offset, i = 0; i < count;) {
      const allocated = scratch.handles[i] !== 0;
      while (i < count && (scratch.handles[i] !== 0) === allocated) i++;
      const end = Math.min(offset + lengthBytes, (first + i) * clusterBytes);
      if (!addExtent(extents, end - at, allocated, countMax)) break;
      at = end;
    }
    return extents;
  }

  /** Clusters that lie wholly in the range; a last, cut-off cluster of the disk does not exist: sizes are whole clusters. */
  #wholeClusters(offset: number, lengthBytes: number): { readonly first: number; readonly end: number } {
    return { first: Math.ceil(offset / clusterBytes), end: Math.floor((offset + lengthBytes) / clusterBytes) };
  }

  /** No request of this device is written from now on; those that wait are refused. */
  revoke(): void {
    this.#isRevoked = true;
    this.#log.queue.cancel(this);
  }

  #check(offset: number, lengthBytes: number): void {
    if (offset >= 0 && lengthBytes >= 0 && offset + lengthBytes <= this.sizeBytes) return;
    throw new AndironError("out_of_range", `${lengthBytes} bytes at ${offset} are not inside a disk of ${this.sizeBytes}`);
  }

  #checkWritable(offset: number, lengthBytes: number): void {
    if (this.#isRevoked) throw revoked();
    if (this.readOnly) throw new AndironError("read_only", "this export is read only");
    this.#check(offset, lengthBytes);
  }
}

const revoked = (): AndironError => new AndironError("export_revoked", "the export was revoked");

/** Goes over holes by whole subtrees of the map, and over data in steps that grow. */
async function extentsLoading(log: OpenLog, offset: number, lengthBytes: number, countMax: number): Promise<Extent[]> {
  const extents: GrowingExtent[] = [];
  const end = offset + lengthBytes;
  let step: number = pageFanout;
  for (let at = offset; at < end;) {
    const first = Math.floor(at / clusterBytes);
    const hole = await log.map.holeAfter(first);
    const holeEnd = Math.min(end, (first + hole) * clusterBytes);
    if (hole > 0) {
      if (!addExtent(extents, holeEnd - at, false, countMax)) break;
      at = holeEnd;
      step = pageFanout;
      continue;
    }
    const count = Math.min(step, Math.ceil(end / clusterBytes) - first);
    const run = dataRun(await log.map.resolveLoading(first, count), count);
    // Trimmed since the look before: a hole by now.
    if (run === 0) continue;
    const runEnd = Math.min(end, (first + run) * clusterBytes);
    if (!addExtent(extents, runEnd - at, true, countMax)) break;
    at = runEnd;
    step = Math.min(step * 2, extentStepClusters);
  }
  log.assertOwned();
  return extents;
}

/** Adds to the last extent or a new one; false when there is no room for a new one. */
function addExtent(extents: GrowingExtent[], lengthBytes: number, allocated: boolean, countMax: number): boolean {
  const last = extents.at(-1);
  if (last?.allocated === allocated) {
    last.lengthBytes += lengthBytes;
    return true;
  }
  if (extents.length >= countMax) return false;
  extents.push({ lengthBytes, allocated });
  return true;
}

function dataRun(places: Places, count: number): number {
  let run = 0;
  while (run < count && places.handles[run] !== 0) run++;
  return run;
}
