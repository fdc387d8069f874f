// Work on many things whose results are taken in their order: the next ones are under way while one is dealt with.
//
// - Ever more of them, as results are taken: who stops early has begun little that nobody wants.
// - Nobody hears of the failure of a result that is not taken.

export class WorkAhead<T> {
  readonly #count: number;
  readonly #aheadMax: number;
  readonly #work: (at: number) => Promise<T>;
  #underWay: Promise<T>[] = [];
  #begun = 0;
  #taken = 0;

  /** `work` is asked for 0, 1 and so on up to `count` (which may be Infinity), `aheadMax` of them at a time. */
  constructor(count: number, aheadMax: number, work: (at: number) => Promise<T>) {
    this.#count = count;
    this.#aheadMax = aheadMax;
    this.#work = work;
  }

  /** The next result; at most `count` times. */
  take(): Promise<T> {
    const end = Math.min(this.#count, this.#taken + Math.min(this.#taken + 1, this.#aheadMax));
    while (this.#begun < end) {
      const result = this.#work(this.#begun++);
      result.catch(() => undefined);
      this.#underWay.push(result);
    }
    this.#taken++;
    return this.#underWay.shift()!;
  }

  /** Resolves when nothing is under way any more. */
  async settled(): Promise<void> {
    await Promise.allSettled(this.#underWay);
  }
}
