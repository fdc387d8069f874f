// Which clusters to read before they are asked for: where somebody reads a disk in order, and what he wanted was not in memory.
//
//     miss in order ──► stream of some length ──► a window ahead of it, as long as what it has read, up to the maximum
//                                                   └ again when half of it is used; never while all is in memory anyway
//
// - A few streams a disk, whoever reads; the one that was idle longest makes room for what goes on nowhere.
// - A read that goes on at some distance still belongs to its stream: several requests under way are not quite in order.
// It says what to read and reads nothing.

import { clusterBytes, pageFanout } from "../limits.ts";

export interface ClusterRange {
  readonly first: number;
  readonly count: number;
}

/** What all disks together may have on its way to the cache before anybody asked: an eighth of it. */
export class AheadBudget {
  readonly #clustersMax: number;
  /** Clusters ahead of one stream. */
  readonly windowMax: number;
  #taken = 0;

  constructor(cacheBytes: number, readAheadBytes: number) {
    this.#clustersMax = Math.floor(cacheBytes / clusterBytes / 8);
    this.windowMax = Math.min(Math.floor(readAheadBytes / clusterBytes), this.#clustersMax >> 1);
  }

  /** False when too much is on its way already; else give() follows. */
  take(clusters: number): boolean {
    if (this.#taken + clusters > this.#clustersMax) return false;
    this.#taken += clusters;
    return true;
  }

  give(clusters: number): void {
    this.#taken -= clusters;
  }
}

interface Stream {
  /** The cluster after the last that was read. */
  next: number;
  /** Clusters read in order. */
  run: number;
  /** Up to here all was read or is being read ahead. */
  aheadEnd: number;
  usedAt: number;
}

const streamsMax = 8;
/** Reads, and clusters, in order before anything is read ahead. */
const runClustersMin = 32;
const slackClusters = pageFanout;

export class ReadAhead {
  readonly #windowMax: number;
  readonly #streams: Stream[] = [];
  #reads = 0;
  /** Streams of which something was read ahead. */
  #ahead = 0;

  /** `windowMax`: clusters; 0 for none. */
  constructor(windowMax: number) {
    this.#windowMax = windowMax;
  }

  /** What is all in memory is of interest, too: it may have been read ahead. */
  get isActive(): boolean {
    return this.#ahead > 0;
  }

  /** Takes note of a read; `missed`: it was not all in memory. Returns what is to be read into memory now. */
  note(first: number, count: number, missed: boolean): ClusterRange | undefined {
    if (this.#windowMax === 0) return undefined;
    const end = first + count;
    this.#reads++;
    const stream = this.#streams.find(({ next }) => first >= next - slackClusters && first <= next + slackClusters);
    if (stream === undefined) {
      if (missed) this.#begin(end);
      return undefined;
    }
    stream.usedAt = this.#reads;
    if (end <= stream.next) return undefined;
    stream.run += Math.min(count, end - stream.next);
    stream.next = end;
    if (stream.run < runClustersMin || (!missed && stream.aheadEnd <= end)) return undefined;
    const window = Math.min(stream.run, this.#windowMax);
    const from = Math.max(stream.aheadEnd, end);
    if (from - end > window / 2) return undefined;
    if (stream.aheadEnd === 0) this.#ahead++;
    stream.aheadEnd = end + window;
    return stream.aheadEnd > from ? { first: from, count: stream.aheadEnd - from } : undefined;
  }

  #begin(next: number): void {
    const stream = { next, run: 0, aheadEnd: 0, usedAt: this.#reads };
    if (this.#streams.length < streamsMax) {
      this.#streams.push(stream);
      return;
    }
    let oldest = 0;
    this.#streams.forEach(({ usedAt }, i) => {
      if (usedAt < this.#streams[oldest]!.usedAt) oldest = i;
    });
    if (this.#streams[oldest]!.aheadEnd > 0) this.#ahead--;
    this.#streams[oldest] = stream;
  }
}
