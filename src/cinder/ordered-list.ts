// Records in the order (createdAtMs, id), in one array: a page is found by binary search, whatever the length. New records
// almost always go to the end. While many are loaded in any order, sorting waits for the first look.

export interface Ordered {
  readonly id: string;
  readonly createdAtMs: number;
}

export function compareOrder(a: Ordered, b: Ordered): number {
  if (a.createdAtMs !== b.createdAtMs) return a.createdAtMs - b.createdAtMs;
  return a.id < b.id ? -1 : a.id > b.id ? 1 : 0;
}

export class OrderedList<T extends Ordered> {
  #items: T[] = [];
  #sorted = true;

  get size(): number {
    return this.#items.length;
  }

  at(position: number): T | undefined {
    this.#sort();
    return this.#items[position];
  }

  /** Position of the first record that does not come before `bound`. */
  position(bound: Ordered): number {
    this.#sort();
    let low = 0;
    let high = this.#items.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (compareOrder(this.#items[middle]!, bound) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** Adds without keeping the order yet; the caller knows that it is not in the list. */
  append(item: T): void {
    const last = this.#items.at(-1);
    if (last !== undefined && compareOrder(last, item) > 0) this.#sorted = false;
    this.#items.push(item);
  }

  /** Adds, or puts in the place of the record with the same order. */
  put(item: T): void {
    const position = this.position(item);
    const present = this.#items[position];
    if (present !== undefined && compareOrder(present, item) === 0) this.#items[position] = item;
    else if (position === this.#items.length) this.#items.push(item);
    else this.#items.splice(position, 0, item);
  }

  delete(item: Ordered): void {
    const position = this.position(item);
    const present = this.#items[position];
    if (present !== undefined && compareOrder(present, item) === 0) this.#items.splice(position, 1);
  }

  [Symbol.iterator](): IterableIterator<T> {
    this.#sort();
    return this.#items.values();
  }

  #sort(): void {
    if (this.#sorted) return;
    this.#items.sort(compareOrder);
    this.#sorted = true;
  }
}
