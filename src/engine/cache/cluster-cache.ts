// Clusters in memory, by where they lie in a segment: what clones share is there once, and nothing is ever stale, since a place
// in a segment never changes its bytes.
//
// One interface; by place (place-cache.ts, the default), and by content, which keeps equal clusters once (content-cache.ts). One
// contract suite (cluster-cache.test.ts):
// - A cache may forget, it is never wrong, and it keeps to its size.
// - What is new counts as unused: a scan passes through without driving out what is used again.
// - What is added together is copied together, as far as it lies together.
// - What is lent stays as it is until it is given back.

import type { LentBytes } from "../device.ts";

export interface ClusterCache {
  /** Look-ups that found their cluster, and that did not. */
  readonly hits: number;
  readonly misses: number;
  /** Places of clusters that are here. */
  readonly clusterCount: number;
  has(handle: number, offset: number): boolean;
  /** Copies [from, from + length) of the cluster into target at targetOffset; false when it is not here. */
  copyInto(handle: number, offset: number, from: number, length: number, target: Buffer, targetOffset: number): boolean;
  /**
   * Copies the whole clusters at places [from, to) to target at targetOffset, as many as lie one behind the other here too.
   * Returns how many; 0 when the first is not here.
   */
  copyRun(handles: Uint32Array, offsets: Uint32Array, from: number, to: number, target: Buffer, targetOffset: number): number;
  /**
   * Where the whole clusters at the first `count` places lie, in pieces of `countMin` or more of them (the last one of what is
   * left); undefined, and nothing was used, when not all of them do. What is lent keeps its place, so only a part of all is, at a
   * time; a cache may lend nothing.
   */
  lend(handles: Uint32Array, offsets: Uint32Array, count: number, countMin: number): readonly LentBytes[] | undefined;
  /**
   * Remembers the cluster at `sourceOffset` of `source`, whose checksum is `crc`. `ahead`: nobody has asked for it yet, and the
   * first to do so does not count.
   */
  add(handle: number, offset: number, source: Buffer, sourceOffset: number, crc: number, ahead?: boolean): void;
}
