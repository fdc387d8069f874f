// What the write path tells the cleaner in passing, so that it need not look at every segment: counts since it last looked.
// In memory only and never trusted: the cleaner finds out exactly (liveness.ts) before it touches anything.

export class CleanerHints {
  readonly #died = new Map<number, number>();
  readonly #rescan = new Set<string>();

  /** One cluster of the segment was overwritten. */
  died(handle: number): void {
    this.#died.set(handle, (this.#died.get(handle) ?? 0) + 1);
  }

  /** Much of the log may have died at once: a large trim, a deleted snapshot, a lost head. */
  rescan(log: string): void {
    this.#rescan.add(log);
  }

  diedIn(handle: number): number {
    return this.#died.get(handle) ?? 0;
  }

  forget(handle: number): void {
    this.#died.delete(handle);
  }

  wantsRescan(log: string): boolean {
    return this.#rescan.has(log);
  }

  /** True once after rescan(). */
  takeRescan(log: string): boolean {
    return this.#rescan.delete(log);
  }
}
