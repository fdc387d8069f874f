// What the write path tells the cleaner in passing, and freed-space.ts of deleted snapshots, so that it need not look at every
// segment: how much of a segment was there when it was made or last looked at, and how many of its clusters died since.
//
//     (unknown) ──looked──► known ──died, died──► dead enough, or nothing lives ──looked──► known
//     (new) ──made──────────►  │ ▲                                                            ▲
//                              ▼ └──────────────────── looked ────────────────────────────────┘
//                           doubted    much of its log may have died at once (rescan): what is counted stands, and is too little
//
// In memory only and never trusted: the cleaner finds out exactly (liveness.ts) before it touches anything. An unknown segment is
// one to be looked at, and so is one that is doubted.

interface Known {
  readonly clusters: number;
  readonly live: number;
}

/** Of a look at a segment. */
export type LookWorth = "dead" | "sparse" | "doubtful";

const gone: Known = { clusters: 0, live: 0 };

export class CleanerHints {
  readonly #known = new Map<number, Known>();
  /** By handle: small numbers without gaps. Told of with every cluster that is written over, so it costs as little as can be. */
  #died = new Uint32Array(1024);
  readonly #doubted = new Set<number>();
  readonly #rescan = new Set<string>();

  /** The segment is new, and all its clusters live but for those that died() was told of. */
  made(handle: number, clusters: number): void {
    this.#known.set(handle, { clusters, live: clusters });
  }

  /** Clusters of the segment were overwritten. */
  died(handle: number, count = 1): void {
    if (handle >= this.#died.length) this.#grow(handle);
    this.#died[handle]! += count;
  }

  /** What has died by now, by handle; for looked(). */
  deaths(): Uint32Array {
    return this.#died.slice();
  }

  /** The cleaner has found `live` of `clusters` in a state that was read after `deaths`: what died since still counts. */
  looked(handle: number, clusters: number, live: number, deaths: Uint32Array): void {
    this.#known.set(handle, { clusters, live });
    this.#doubted.delete(handle);
    if (handle < this.#died.length) this.#died[handle] = Math.max(0, this.#died[handle]! - (deaths[handle] ?? 0));
  }

  /** The segment was dropped: there is nothing to look at any more. */
  dropped(handle: number): void {
    this.#known.set(handle, gone);
    this.#doubted.delete(handle);
    if (handle < this.#died.length) this.#died[handle] = 0;
  }

  isDropped(handle: number): boolean {
    return this.#known.get(handle) === gone;
  }

  /** It has no clusters at all. */
  isEmpty(handle: number): boolean {
    return this.#known.get(handle)?.clusters === 0;
  }

  /** Of the segment, and how many of them live; both 0 when it is unknown. */
  countsOf(handle: number): { readonly clusters: number; readonly live: number } {
    const { clusters, live } = this.#known.get(handle) ?? gone;
    return { clusters, live: Math.max(0, live - (this.#died[handle] ?? 0)) };
  }

  /** More of the segment may have died than was counted. */
  doubt(handle: number): void {
    if (!this.isDropped(handle)) this.#doubted.add(handle);
  }

  /** What a look may find: nothing that lives; a share of at least `deadShare` dead; nobody knows. undefined: not worth it. */
  worthOf(handle: number, deadShare: number): LookWorth | undefined {
    const known = this.#known.get(handle);
    if (known === undefined) return "doubtful";
    const live = known.live - (this.#died[handle] ?? 0);
    if (live <= 0) return "dead";
    if (known.clusters - live >= known.clusters * deadShare) return "sparse";
    return this.#doubted.has(handle) ? "doubtful" : undefined;
  }

  /** Much of the log may have died at once, and nobody counted: a large trim, a deleted snapshot whose map is gone. */
  rescan(log: string): void {
    this.#rescan.add(log);
  }

  wantsRescan(log: string): boolean {
    return this.#rescan.has(log);
  }

  /** True once after rescan(). */
  takeRescan(log: string): boolean {
    return this.#rescan.delete(log);
  }

  #grow(handle: number): void {
    const died = new Uint32Array(Math.max(handle + 1, this.#died.length * 2));
    died.set(this.#died);
    this.#died = died;
  }
}
