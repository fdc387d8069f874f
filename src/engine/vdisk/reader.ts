// Reading: map, RAM cache, local segment, backend; every cluster that comes from a file is checked against the map's checksum.
//
// - What is all in memory is answered at once, without a promise.
// - Where somebody reads in order and misses, what comes next is read ahead into the cache (read-ahead.ts); who wants it
//   meanwhile waits for that. Its first use does not count as one: a scan does not drive out what is used again.
// - Clusters that lie one behind the other in a segment are read with one call, with the heads of records between them; straight
//   into the caller's buffer where there is nothing between.
// - A wrong checksum: the other copy is tried, then the read fails. Wrong bytes are never returned.

import { crc32 } from "../../common/crc32.ts";
import { AndironError } from "../../common/errors.ts";
import type { ClusterCache } from "../cache/cluster-cache.ts";
import type { LentBytes } from "../device.ts";
import { clusterBytes, engineLimits, MiB, pageFanout } from "../limits.ts";
import type { BlockMap, Places } from "../map/block-map.ts";
import { copyPlaces, newPlaces } from "../map/block-map.ts";
import type { Segments } from "../segments.ts";
import { SpanBuffers } from "../span-buffers.ts";
import type { ClusterRange } from "./read-ahead.ts";
import { AheadBudget, ReadAhead } from "./read-ahead.ts";

/** What is read into the cache is read in pieces of this. */
const fetchClusters = pageFanout;
/** In a piece that is lent, but for the last: a copy costs less than many pieces. */
const lentClustersMin = 8;
const spans = new SpanBuffers(32 * MiB);
/** The target of what goes into the cache only. */
const nowhere = Buffer.alloc(0);
const scratch = newPlaces(engineLimits.clustersNowMax);

interface Fetch {
  readonly first: number;
  readonly end: number;
  readonly ended: Promise<void>;
}

export class Reader {
  readonly #map: BlockMap;
  readonly #segments: Segments;
  readonly #cache: ClusterCache;
  readonly #budget: AheadBudget;
  readonly #ahead: ReadAhead;
  readonly #fetches = new Set<Fetch>();
  #readsInFlight = 0;
  readonly #readsWaiting: (() => void)[] = [];

  /** Without a budget nothing is read ahead. */
  constructor(map: BlockMap, segments: Segments, cache: ClusterCache, budget?: AheadBudget) {
    this.#map = map;
    this.#segments = segments;
    this.#cache = cache;
    this.#budget = budget ?? new AheadBudget(0, 0);
    this.#ahead = new ReadAhead(this.#budget.windowMax);
  }

  /** Fills target from byte `offset`; undefined when that is already done. */
  read(offset: number, target: Buffer): Promise<void> | undefined {
    const first = Math.floor(offset / clusterBytes);
    const count = Math.ceil((offset + target.length) / clusterBytes) - first;
    if (count > engineLimits.clustersNowMax || this.#map.resolve(first, count, scratch) >= 0)
      return this.#readMissed(offset, target, first, count);
    for (let i = 0; i < count;) {
      const taken = this.#fromMemory(scratch, i, count, offset, target, first);
      if (taken === 0) return this.#readMissed(offset, target, first, count, copyPlaces(scratch, count));
      i += taken;
    }
    if (this.#ahead.isActive) this.#fetchAhead(this.#ahead.note(first, count, false));
    return undefined;
  }

  /** The bytes from `offset` where they lie in the cache; undefined when not all of them do, in long pieces. */
  lend(offset: number, lengthBytes: number): readonly LentBytes[] | undefined {
    if (offset % clusterBytes !== 0 || lengthBytes % clusterBytes !== 0) return undefined;
    const first = offset / clusterBytes;
    const count = lengthBytes / clusterBytes;
    if (count > engineLimits.clustersNowMax || this.#map.resolve(first, count, scratch) >= 0) return undefined;
    const lent = this.#cache.lend(scratch.handles, scratch.offsets, count, lentClustersMin);
    if (lent === undefined) return undefined;
    if (this.#ahead.isActive) this.#fetchAhead(this.#ahead.note(first, count, false));
    return lent;
  }

  /** Reads whole clusters into the cache. */
  async cache(first: number, count: number): Promise<void> {
    for (let done = 0; done < count; done += fetchClusters) {
      await this.#fetch(first + done, Math.min(fetchClusters, count - done), false);
    }
  }

  /** `places`: where the clusters are, if that is known. */
  #readMissed(offset: number, target: Buffer, first: number, count: number, places?: Places): Promise<void> {
    const fetched = this.#fetchesOf(first, first + count);
    this.#fetchAhead(this.#ahead.note(first, count, true));
    if (fetched !== undefined) return fetched.then(() => this.#readLoading(offset, target, first, count));
    if (places === undefined) return this.#readLoading(offset, target, first, count);
    return this.#readPlaces(places, offset, target, first, count);
  }

  /** Until what is on its way to the cache of these clusters is there; undefined when nothing is. */
  #fetchesOf(first: number, end: number): Promise<unknown> | undefined {
    if (this.#fetches.size === 0) return undefined;
    const fetches = [...this.#fetches].filter((fetch) => fetch.first < end && fetch.end > first);
    return fetches.length === 0 ? undefined : Promise.all(fetches.map(({ ended }) => ended));
  }

  /** Piece by piece, all at once; not when enough is on its way to the cache already. Who reads there hears of what fails. */
  #fetchAhead(range: ClusterRange | undefined): void {
    if (range === undefined) return;
    const rangeEnd = range.first + range.count;
    for (let first = range.first; first < rangeEnd; first += fetchClusters) {
      const count = Math.min(fetchClusters, rangeEnd - first);
      if (!this.#budget.take(count)) return;
      const ended = this.#fetch(first, count, true)
        .catch(() => undefined)
        .finally(() => {
          this.#budget.give(count);
          this.#fetches.delete(fetch);
        });
      const fetch = { first, end: first + count, ended };
      this.#fetches.add(fetch);
    }
  }

  async #fetch(first: number, count: number, ahead: boolean): Promise<void> {
    const places = await this.#map.resolveLoading(first, count);
    const runs: Promise<void>[] = [];
    for (let i = 0; i < count;) {
      if (places.handles[i] === 0 || this.#isInMemory(places, i)) {
        i++;
        continue;
      }
      const end = this.#runEnd(places, i, count);
      runs.push(this.#readRun(places, i, end, (first + i) * clusterBytes, nowhere, first, ahead));
      i = end;
    }
    await allOf(runs);
  }

  #isInMemory(places: Places, i: number): boolean {
    return this.#cache.has(places.handles[i]!, places.offsets[i]!);
  }

  /** The end of the run that begins with cluster i, which is not in memory: in one piece, and nothing of it in memory. */
  #runEnd(places: Places, i: number, count: number): number {
    const gapBytesMax = this.#segments.isAsWritten(places.handles[i]!) ? clusterBytes - 1 : 0;
    let end = i + 1;
    while (end < count && follows(places, end, gapBytesMax) && !this.#isInMemory(places, end)) end++;
    return end;
  }

  /** Fills target with clusters i and on, as many as one step can; returns how many, 0 when cluster i is not in memory. */
  #fromMemory(places: Places, i: number, count: number, offset: number, target: Buffer, first: number): number {
    const start = (first + i) * clusterBytes - offset;
    const handle = places.handles[i]!;
    const whole = Math.min(count - i, Math.floor((target.length - start) / clusterBytes));
    if (start < 0 || whole === 0) {
      const from = Math.max(start, 0);
      const to = Math.min(start + clusterBytes, target.length);
      if (handle === 0) target.fill(0, from, to);
      else if (!this.#cache.copyInto(handle, places.offsets[i]!, from - start, to - from, target, from)) return 0;
      return 1;
    }
    if (handle !== 0) return this.#cache.copyRun(places.handles, places.offsets, i, i + whole, target, start);
    let holes = 1;
    while (holes < whole && places.handles[i + holes] === 0) holes++;
    target.fill(0, start, start + holes * clusterBytes);
    return holes;
  }

  async #readLoading(offset: number, target: Buffer, first: number, count: number): Promise<void> {
    return this.#readPlaces(await this.#map.resolveLoading(first, count), offset, target, first, count);
  }

  #readPlaces(places: Places, offset: number, target: Buffer, first: number, count: number): Promise<void> {
    const runs: Promise<void>[] = [];
    for (let i = 0; i < count;) {
      const taken = this.#fromMemory(places, i, count, offset, target, first);
      if (taken > 0) {
        i += taken;
        continue;
      }
      const end = this.#runEnd(places, i, count);
      runs.push(this.#readRun(places, i, end, offset, target, first, false));
      i = end;
    }
    return allOf(runs).then(undefined, (error: unknown) => this.#readMoved(error, places, offset, target, first, count));
  }

  /** What was overwritten meanwhile may be gone from its segment: only what is still in its place is missed. */
  async #readMoved(error: unknown, before: Places, offset: number, target: Buffer, first: number, count: number): Promise<void> {
    const places = await this.#map.resolveLoading(first, count);
    const isSame = (handle: number, i: number): boolean =>
      handle === before.handles[i] && places.offsets[i] === before.offsets[i];
    if (places.handles.every(isSame)) throw error;
    return this.#readPlaces(places, offset, target, first, count);
  }

  /** Clusters [from, to) of places, which lie one behind the other in one segment. */
  #readRun(
    places: Places,
    from: number,
    to: number,
    offset: number,
    target: Buffer,
    first: number,
    ahead: boolean,
  ): Promise<void> {
    const start = (first + from) * clusterBytes - offset;
    const end = start + (to - from) * clusterBytes;
    const spanBytes = places.offsets[to - 1]! + clusterBytes - places.offsets[from]!;
    if (start >= 0 && end <= target.length && spanBytes === end - start) {
      const span = spanBytes === target.length ? target : target.subarray(start, end);
      return this.#readSpan(places, from, to, span, ahead);
    }
    const own = spans.take(spanBytes);
    return this.#readSpan(places, from, to, own.subarray(0, spanBytes), ahead)
      .then(() => {
        if (target.length > 0) copyClusters(places, from, to, own, target, start);
      })
      .finally(() => spans.give(own));
  }

  #readSpan(places: Places, from: number, to: number, span: Buffer, ahead: boolean): Promise<void> {
    return this.#readSegment(places.handles[from]!, places.offsets[from]!, span).then(() =>
      this.#accept(places, from, to, span, ahead),
    );
  }

  /** Checks what was read and adds it to the cache. A promise when other copies must be read first. */
  #accept(places: Places, from: number, to: number, span: Buffer, ahead: boolean): Promise<void> | undefined {
    for (let i = from; i < to; i++) {
      const at = places.offsets[i]! - places.offsets[from]!;
      const cluster = span.length === clusterBytes ? span : span.subarray(at, at + clusterBytes);
      if (crc32(cluster) !== places.crcs[i]!)
        return this.#readOther(places, i, cluster).then(() => this.#accept(places, from, to, span, ahead));
      this.#cache.add(places.handles[i]!, places.offsets[i]!, cluster, 0, places.crcs[i]!, ahead);
    }
    return undefined;
  }

  /** So many at a time, the rest in order. */
  #readSegment(handle: number, offset: number, target: Buffer): Promise<void> {
    if (this.#readsInFlight < engineLimits.diskReadsInFlightMax) {
      this.#readsInFlight++;
      return this.#readInTurn(handle, offset, target);
    }
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#readsWaiting.push(resolve);
    return promise.then(() => this.#readInTurn(handle, offset, target));
  }

  #readInTurn(handle: number, offset: number, target: Buffer): Promise<void> {
    return this.#segments.read(handle, offset, target).then(this.#readEnded, this.#readFailed);
  }

  readonly #readEnded = (): void => {
    const next = this.#readsWaiting.shift();
    if (next === undefined) this.#readsInFlight--;
    else next();
  };

  readonly #readFailed = (error: unknown): never => {
    this.#readEnded();
    throw error;
  };

  async #readOther(places: Places, i: number, cluster: Buffer): Promise<void> {
    const handle = places.handles[i]!;
    const segment = this.#segments.segmentOf(handle);
    await this.#segments.read(handle, places.offsets[i]!, cluster, true).catch(() => undefined);
    if (crc32(cluster) === places.crcs[i]!) return;
    throw new AndironError(
      "segment_damaged",
      `wrong checksum at offset ${places.offsets[i]!} of segment ${segment.epoch}-${segment.number} of log ${segment.log}`,
      { hint: "no good copy is left: andiron-manage vdisk verify lists what is affected" },
    );
  }
}

/** All of them end, before anybody may use their buffers again. */
function allOf(runs: readonly Promise<void>[]): Promise<void> {
  if (runs.length === 1) return runs[0]!;
  return Promise.allSettled(runs).then((ended) => {
    for (const run of ended) if (run.status === "rejected") throw run.reason;
  });
}

/** Those of the clusters that lie in target, the first of which begins there at byte `start`. */
function copyClusters(places: Places, from: number, to: number, span: Buffer, target: Buffer, start: number): void {
  for (let i = from; i < to; i++) {
    const at = places.offsets[i]! - places.offsets[from]!;
    const goal = start + (i - from) * clusterBytes;
    span.copy(target, Math.max(goal, 0), at + Math.max(-goal, 0), at + Math.min(clusterBytes, target.length - goal));
  }
}

/** True when the cluster lies behind the one before it in the same segment, with no more between them than heads of records. */
function follows(places: Places, i: number, gapBytesMax: number): boolean {
  if (places.handles[i] !== places.handles[i - 1]) return false;
  const gapBytes = places.offsets[i]! - places.offsets[i - 1]! - clusterBytes;
  return gapBytes >= 0 && gapBytes <= gapBytesMax;
}
