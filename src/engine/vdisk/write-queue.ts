// Writing: requests become records, what arrived together is one journal write, and pieces of clusters are completed first.
//
//     request ──whole clusters──────────────► queue ──batch──► journal ──► map, cache ──► acknowledged
//        └──pieces: lock clusters, barrier, read, merge──┘
//
// - A piece of a cluster is merged with what the cluster held when everything queued before it was applied; until the merged
//   cluster is applied, any other write to it waits (so no acknowledged write is undone by an older merge).
// - The queue is in order; a batch is applied to the map before any of it is acknowledged.
// - What a revoked export has queued is refused, also while the journal has no room: a detach never waits for the backend.
// - Journal full: the batch is refused as a whole, nothing of it happened.
// - A queue that is held takes nothing new: what comes waits, and goes on here or in the queue of another log (disk-move.ts).

import { AndironError } from "../../common/errors.ts";
import type { Append, JournalFile, Placed, StagedAppend } from "../journal/journal-file.ts";
import type { BatchPlaced } from "../journal/journal.ts";
import { checksumsOf } from "../journal/journal-file.ts";
import { recordKinds } from "../format/segment.ts";
import { clusterBytes, engineLimits } from "../limits.ts";

/** What the queue needs of the disk that it writes for. */
export interface WriteTarget {
  /** Resolves when there is room to write: delta, journal budget. Also where a checkpoint may freeze the map. undefined: now. */
  beforeBatch(): Promise<void> | undefined;
  /** Puts an append together while another one is under way; undefined when there is nothing to gain. */
  stage(appends: readonly Append[]): StagedAppend | undefined;
  /** A small one within the call, if nothing is waited for: then it throws. */
  append(appends: readonly Append[], staged: StagedAppend | undefined): BatchPlaced | Promise<BatchPlaced>;
  apply(appends: readonly Append[], file: JournalFile, placed: Placed): void;
  flush(): Promise<void>;
  /** Reads whole clusters as they are now. */
  readClusters(first: number, target: Buffer): Promise<void>;
  /** Throws when this router does not hold the disk any more: asked after the work, before the reply. */
  assertOwned(): void;
  /** Schedules the next turn of the loop, after everything that has arrived by now. */
  readonly soon: (run: () => void) => void;
}

/** Requests that came one after the other from one issuer: they are answered together, by one promise. */
interface Item {
  /** Whose requests they are; undefined for the queue's own. */
  readonly by: object | undefined;
  cancelled: boolean;
  readonly appends: Append[];
  bytes: number;
  readonly fua: boolean;
  readonly promise: Promise<void>;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** A request that came while the queue is held. */
interface Waiter {
  readonly by: object | undefined;
  readonly goOn: (queue: WriteQueue) => void;
  readonly reject: (error: unknown) => void;
}

/** The clusters of a write that is being completed, its middle included: no older merge may come after any of it. */
interface ClusterLock {
  readonly first: number;
  readonly last: number;
  readonly freed: Promise<void>;
}

export class WriteQueue {
  readonly #target: WriteTarget;
  #items: Item[] = [];
  /** The batch that waits for room, nothing of which is written yet. */
  #waiting: readonly Item[] = [];
  /** The batch after the one that is being appended, when it is large. */
  #ahead: { readonly batch: readonly Item[]; readonly staged: StagedAppend | undefined } | undefined;
  #isAppending = false;
  readonly #cancelled = new WeakSet<object>();
  #queuedBytes = 0;
  #running = false;
  readonly #locks = new Set<ClusterLock>();
  #idle: (() => void)[] = [];
  /** Requests that are not queued as a whole yet: they wait for locks, or are being completed. */
  #pieces = 0;
  /** Those that wait while the queue is held. */
  #held: Set<Waiter> | undefined;

  constructor(target: WriteTarget) {
    this.#target = target;
  }

  get queuedBytes(): number {
    return this.#queuedBytes;
  }

  /** `by` is who may be cancelled. */
  write(offset: number, data: Buffer, fua: boolean, by?: object): Promise<void> {
    if (this.#held !== undefined) return this.#whenLetGo(by, (queue) => queue.write(offset, data, fua, by));
    const first = Math.floor(offset / clusterBytes);
    const end = offset + data.length;
    const aligned = offset % clusterBytes === 0 && end % clusterBytes === 0;
    if (aligned && this.#locks.size === 0) return this.#enqueue(dataAppends(first, data), fua, by);
    return this.#writeUnaligned(offset, data, fua, by);
  }

  /** Zeroes whole clusters. */
  zero(first: number, count: number, fua: boolean, by?: object): Promise<void> {
    if (this.#held !== undefined) return this.#whenLetGo(by, (queue) => queue.zero(first, count, fua, by));
    if (this.#locks.size === 0) return this.#enqueue(zeroAppends(first, count), fua, by);
    return this.#zeroAfterLocks(first, count, fua, by);
  }

  /** Refuses what `by` has queued and all that it still asks for; what is being written is written. */
  cancel(by: object): void {
    this.#cancelled.add(by);
    for (const item of [...this.#waiting, ...(this.#ahead?.batch ?? []), ...this.#items]) {
      if (item.by !== by || item.cancelled) continue;
      item.cancelled = true;
      item.reject(revoked());
    }
    for (const waiter of this.#held ?? []) if (waiter.by === by) waiter.reject(revoked());
  }

  /** Takes nothing new from now on; resolves when nothing is queued or under way. */
  hold(): Promise<void> {
    this.#held ??= new Set();
    return this.drained();
  }

  /** Ends the hold. What waits goes on in `queue`. */
  letGo(queue: WriteQueue = this): void {
    const waiting = this.#held ?? [];
    this.#held = undefined;
    for (const waiter of waiting) waiter.goOn(queue);
  }

  /** Calls `request` in this turn of the loop when it is let go of: those that came first go first. */
  #whenLetGo(by: object | undefined, request: (queue: WriteQueue) => Promise<void>): Promise<void> {
    if (by !== undefined && this.#cancelled.has(by)) return Promise.reject(revoked());
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const goOn = (queue: WriteQueue): void => {
      if (by !== undefined && this.#cancelled.has(by)) return;
      request(queue).then(resolve, reject);
    };
    this.#held!.add({ by, goOn, reject });
    return promise;
  }

  async #zeroAfterLocks(first: number, count: number, fua: boolean, by: object | undefined): Promise<void> {
    // It counts as what is under way: a hold that ended before it would let it into a log that is the disk's no more.
    this.#pieces++;
    try {
      const end = first + count;
      for (let lock = this.#lockIn(first, end); lock !== undefined; lock = this.#lockIn(first, end)) await lock;
      await this.#enqueue(zeroAppends(first, count), fua, by);
    } finally {
      this.#pieces--;
      this.#wakeIdle();
    }
  }

  /** Resolves when everything queued before it is applied; one turn of the loop runs for it (a checkpoint may freeze there). */
  barrier(): Promise<void> {
    return this.#enqueue([], false);
  }

  /** Resolves when nothing is queued or under way. */
  async drained(): Promise<void> {
    while (this.#running || this.#items.length > 0 || this.#pieces > 0) {
      await new Promise<void>((resolve) => this.#idle.push(resolve));
    }
  }

  #enqueue(appends: Append[], fua: boolean, by?: object): Promise<void> {
    if (by !== undefined && this.#cancelled.has(by)) return Promise.reject(revoked());
    let bytes = 0;
    for (const append of appends) bytes += append.data?.length ?? 0;
    if (this.#queuedBytes + bytes > engineLimits.queuedBytesMax) {
      return Promise.reject(new AndironError("overloaded", "too many bytes wait for the journal"));
    }
    this.#queuedBytes += bytes;
    const last = this.#items.at(-1);
    if (last?.by === by && last?.fua === fua && fits(last.appends.length + appends.length, last.bytes + bytes)) {
      for (const append of appends) last.appends.push(append);
      last.bytes += bytes;
      this.#putTogether();
      return last.promise;
    }
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#items.push({ by, cancelled: false, appends, bytes, fua, promise, resolve, reject });
    this.#putTogether();
    if (!this.#running) {
      this.#running = true;
      this.#target.soon(() => void this.#run());
    }
    return promise;
  }

  async #run(): Promise<void> {
    while (this.#items.length > 0 || this.#ahead !== undefined) {
      const { batch, staged } = this.#ahead ?? { batch: this.#takeBatch(), staged: undefined };
      this.#ahead = undefined;
      try {
        const room = this.#target.beforeBatch();
        if (room !== undefined) {
          this.#waiting = batch;
          await room.finally(() => (this.#waiting = []));
        }
        const wanted = batch.some((item) => item.cancelled) ? batch.filter((item) => !item.cancelled) : batch;
        const writing = this.#writeBatch(wanted, wanted === batch ? staged : undefined);
        if (writing !== undefined) await writing;
      } catch (error) {
        for (const item of batch) item.reject(error);
      }
      staged?.drop();
      for (const item of batch) this.#queuedBytes -= item.bytes;
    }
    this.#running = false;
    this.#wakeIdle();
  }

  /** The next batch, when it is large by now and another one is being written: the disk then need not wait for it. */
  #putTogether(): void {
    if (!this.#isAppending || this.#ahead !== undefined || this.#items.length === 0) return;
    if (this.#items.reduce((sum, item) => sum + item.bytes, 0) < engineLimits.batchAheadBytesMin) return;
    const batch = this.#takeBatch();
    this.#ahead = { batch, staged: this.#target.stage(batch.flatMap((item) => item.appends)) };
  }

  /** Within the call, where nothing is waited for. */
  #writeBatch(batch: readonly Item[], staged: StagedAppend | undefined): Promise<void> | undefined {
    const appends = batch.length === 1 ? batch[0]!.appends : batch.flatMap((item) => item.appends);
    if (appends.length === 0) return void this.#answer(batch);
    const appending = this.#target.append(appends, staged);
    if (appending instanceof Promise) return this.#writeLarge(batch, appends, appending);
    this.#target.apply(appends, appending.file, appending.placed);
    this.#answer(batch);
    return undefined;
  }

  async #writeLarge(batch: readonly Item[], appends: readonly Append[], appending: Promise<BatchPlaced>): Promise<void> {
    this.#isAppending = true;
    this.#putTogether();
    const { file, placed } = await appending.finally(() => (this.#isAppending = false));
    this.#target.apply(appends, file, placed);
    this.#answer(batch);
  }

  #answer(batch: readonly Item[]): void {
    this.#target.assertOwned();
    const durable = batch.filter((item) => item.fua);
    if (durable.length > 0) void this.#answerDurable(durable);
    for (const item of batch) if (!item.fua) item.resolve();
  }

  /** Beside the loop: later batches are not held up by a sync. */
  async #answerDurable(items: readonly Item[]): Promise<void> {
    try {
      await this.#target.flush();
      this.#target.assertOwned();
      for (const item of items) item.resolve();
    } catch (error) {
      for (const item of items) item.reject(error);
    }
  }

  #takeBatch(): Item[] {
    let records = 0;
    let bytes = 0;
    let count = 0;
    for (const item of this.#items) {
      if (count > 0 && !fits(records + item.appends.length, bytes + item.bytes)) break;
      records += item.appends.length;
      bytes += item.bytes;
      count++;
    }
    if (count === this.#items.length) {
      const all = this.#items;
      this.#items = [];
      return all;
    }
    return this.#items.splice(0, count);
  }

  async #writeUnaligned(offset: number, data: Buffer, fua: boolean, by: object | undefined): Promise<void> {
    const first = Math.floor(offset / clusterBytes);
    const end = offset + data.length;
    const last = Math.ceil(end / clusterBytes) - 1;
    this.#pieces++;
    try {
      for (let lock = this.#lockIn(first, last + 1); lock !== undefined; lock = this.#lockIn(first, last + 1)) await lock;
      // No await between the check above and the enqueue or lock below: others wait for the same lock.
      if (offset % clusterBytes === 0 && end % clusterBytes === 0) return await this.#enqueue(dataAppends(first, data), fua, by);
      const unlock = this.#lock(first, last);
      try {
        await this.#enqueue([], false, by);
        const merged = await this.#merge(first, last, offset, data);
        await this.#enqueue(dataAppends(first, merged), fua, by);
      } finally {
        unlock();
      }
    } finally {
      this.#pieces--;
      this.#wakeIdle();
    }
  }

  /** The clusters [first, last] with data laid over them. */
  async #merge(first: number, last: number, offset: number, data: Buffer): Promise<Buffer> {
    const start = first * clusterBytes;
    const merged = Buffer.allocUnsafe((last - first + 1) * clusterBytes);
    if (offset > start) await this.#target.readClusters(first, merged.subarray(0, clusterBytes));
    const tailPartial = (offset + data.length) % clusterBytes !== 0;
    if (tailPartial && (last > first || offset === start))
      await this.#target.readClusters(last, merged.subarray(merged.length - clusterBytes));
    data.copy(merged, offset - start);
    return merged;
  }

  #lock(first: number, last: number): () => void {
    const { promise: freed, resolve } = Promise.withResolvers<void>();
    const lock = { first, last, freed };
    this.#locks.add(lock);
    return () => {
      this.#locks.delete(lock);
      resolve();
    };
  }

  /** The end of a lock on one of the clusters [start, end), if there is any. */
  #lockIn(start: number, end: number): Promise<void> | undefined {
    for (const { first, last, freed } of this.#locks) if (first < end && last >= start) return freed;
    return undefined;
  }

  #wakeIdle(): void {
    const waiting = this.#idle;
    this.#idle = [];
    for (const wake of waiting) wake();
  }
}

/** Records from this size on are checksummed when they come, which is while the batch before them is being written. */
const largeClusters = 16;

/** In one batch. */
const fits = (records: number, bytes: number): boolean =>
  records <= engineLimits.batchRecordsMax && bytes <= engineLimits.batchBytesMax;

const revoked = (): AndironError => new AndironError("export_revoked", "the export was revoked");

function dataAppends(first: number, data: Buffer): Append[] {
  const appends: Append[] = [];
  const count = data.length / clusterBytes;
  for (let done = 0; done < count; done += engineLimits.recordClustersMax) {
    const clusterCount = Math.min(engineLimits.recordClustersMax, count - done);
    const part = clusterCount === count ? data : data.subarray(done * clusterBytes, (done + clusterCount) * clusterBytes);
    const append = { kind: recordKinds.data, firstCluster: first + done, clusterCount, data: part };
    appends.push(clusterCount < largeClusters ? append : { ...append, crcs: checksumsOf(part) });
  }
  return appends;
}

function zeroAppends(first: number, count: number): Append[] {
  const appends: Append[] = [];
  for (let done = 0; done < count; done += engineLimits.zeroClustersMax) {
    const clusterCount = Math.min(engineLimits.zeroClustersMax, count - done);
    appends.push({ kind: recordKinds.zero, firstCluster: first + done, clusterCount });
  }
  return appends;
}
