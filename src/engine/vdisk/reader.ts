// Reading: map, RAM cache, local segment, backend; every cluster that comes from a file is checked against the map's checksum.
//
// - What is all in memory is answered at once, without a promise.
// - Clusters that lie one behind the other in a segment are read with one call, straight into the caller's buffer.
// - A wrong checksum: the other copy is tried, then the read fails. Wrong bytes are never returned.

import { crc32 } from "node:zlib";
import { AndironError } from "../../common/errors.ts";
import type { ClusterCache } from "../cache/cluster-cache.ts";
import { clusterBytes, engineLimits } from "../limits.ts";
import type { BlockMap, Places } from "../map/block-map.ts";
import { newPlaces } from "../map/block-map.ts";
import type { Segments } from "../segments.ts";

const scratch = newPlaces(engineLimits.clustersNowMax);

export class Reader {
  readonly #map: BlockMap;
  readonly #segments: Segments;
  readonly #cache: ClusterCache;

  constructor(map: BlockMap, segments: Segments, cache: ClusterCache) {
    this.#map = map;
    this.#segments = segments;
    this.#cache = cache;
  }

  /** Fills target from byte `offset`; undefined when that is already done. */
  read(offset: number, target: Buffer): Promise<void> | undefined {
    const first = Math.floor(offset / clusterBytes);
    const count = Math.ceil((offset + target.length) / clusterBytes) - first;
    if (count > engineLimits.clustersNowMax || this.#map.resolve(first, count, scratch) >= 0)
      return this.#readSlowly(offset, target, first, count);
    for (let i = 0; i < count;) {
      const taken = this.#fromMemory(scratch, i, count, offset, target, first);
      if (taken === 0) return this.#readSlowly(offset, target, first, count);
      i += taken;
    }
    return undefined;
  }

  /** Reads whole clusters into the cache. */
  async cache(first: number, count: number): Promise<void> {
    const step = 64;
    for (let done = 0; done < count; done += step) {
      const clusters = Math.min(step, count - done);
      await this.#readSlowly((first + done) * clusterBytes, Buffer.allocUnsafe(clusters * clusterBytes), first + done, clusters);
    }
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

  async #readSlowly(offset: number, target: Buffer, first: number, count: number): Promise<void> {
    for (let places = await this.#map.resolveLoading(first, count); ;) {
      try {
        return await this.#readPlaces(places, offset, target, first, count);
      } catch (error) {
        // What was overwritten meanwhile may be gone from its segment: only what is still in its place is missed.
        const now = await this.#map.resolveLoading(first, count);
        if (now.handles.every((handle, i) => handle === places.handles[i] && now.offsets[i] === places.offsets[i])) throw error;
        places = now;
      }
    }
  }

  async #readPlaces(places: Places, offset: number, target: Buffer, first: number, count: number): Promise<void> {
    const runs: Promise<void>[] = [];
    for (let i = 0; i < count;) {
      const taken = this.#fromMemory(places, i, count, offset, target, first);
      if (taken > 0) {
        i += taken;
        continue;
      }
      let end = i + 1;
      while (end < count && follows(places, end) && !this.#cache.has(places.handles[end]!, places.offsets[end]!)) end++;
      runs.push(this.#readRun(places, i, end, offset, target, first));
      i = end;
    }
    // All of them end before anybody may use the buffer again.
    for (const run of await Promise.allSettled(runs)) if (run.status === "rejected") throw run.reason;
  }

  /** Clusters [from, to) of places, which lie one behind the other in one segment. */
  async #readRun(places: Places, from: number, to: number, offset: number, target: Buffer, first: number): Promise<void> {
    const start = (first + from) * clusterBytes - offset;
    const length = (to - from) * clusterBytes;
    const whole = start >= 0 && start + length <= target.length;
    const clusters = whole ? target.subarray(start, start + length) : Buffer.allocUnsafe(length);
    await this.#segments.read(places.handles[from]!, places.offsets[from]!, clusters);
    for (let i = from; i < to; i++) {
      const at = (i - from) * clusterBytes;
      const cluster = clusters.subarray(at, at + clusterBytes);
      if (crc32(cluster) !== places.crcs[i]!) await this.#readOther(places, i, cluster);
      this.#cache.add(places.handles[i]!, places.offsets[i]!, cluster, 0, places.crcs[i]!);
    }
    if (!whole) clusters.copy(target, Math.max(start, 0), Math.max(-start, 0), Math.min(length, target.length - start));
  }

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

const follows = (places: Places, i: number): boolean =>
  places.handles[i] !== 0 &&
  places.handles[i] === places.handles[i - 1] &&
  places.offsets[i] === places.offsets[i - 1]! + clusterBytes;
