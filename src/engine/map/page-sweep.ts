// Map pages for somebody who goes through many clusters in ascending order, cold: few large reads instead of one for each page.
//
//     page ──in memory (pages.ts)──────────────► a copy
//          ──in the window of its object───────► decoded
//          ──else──► the window moves there ───► decoded
//
// - A fold writes pages in the order of their clusters, those above behind what is below them: an object has a window for its
//   leaves and one for those above. Pages of the upper levels are few, and go by pages.ts.
// - A window is twice as large as it was if what is wanted is beyond its beginning and no further than a little behind its end,
//   and else no larger than the page. What is read in vain costs little beside the request.
// - What a window has beside the page may not be there any more: then the page is read alone.
// - Leaves do not go into memory: a large map would drive out what guests use. Pages above do, for who comes next.
// - The memory of windows is lent, and all there is in a pool. Where none is left pages are read one by one.
// - One load at a time, none under way at end(). A sweep may go on after that, from nothing.

import type { Lineage } from "../format/page.ts";
import { decodePage } from "../format/page.ts";
import type { PagePlace } from "../format/page-words.ts";
import { engineLimits, KiB } from "../limits.ts";
import { SpanBuffers } from "../span-buffers.ts";
import type { Pages, PageSource } from "./pages.ts";

/** Behind the end of a window. */
const nearBytes = 32 * KiB;
const windowBytesMin = 4 * KiB;

/** What all windows of a pool have for memory. */
export class WindowMemory {
  /** Kept for the next sweep: as much as one may have. */
  readonly #buffers = new SpanBuffers(engineLimits.sweepWindowsMax * engineLimits.sweepWindowBytesMax);
  #lent = 0;

  /** Undefined when all is lent. */
  take(): Buffer | undefined {
    if (this.#lent === engineLimits.windowsLentMax) return undefined;
    this.#lent++;
    return this.#buffers.take(engineLimits.sweepWindowBytesMax);
  }

  /** Nobody reads it or writes to it any more. */
  give(memory: Buffer): void {
    this.#lent--;
    this.#buffers.give(memory);
  }
}

class Window {
  /** Where it begins in the object. */
  from = 0;
  bytes: Buffer = Buffer.alloc(0);
  /** Of the last move, if it was meant to grow. */
  wanted = 0;
  objectBytes: number | undefined;
  /** Lent. */
  memory: Buffer | undefined;

  get end(): number {
    return this.from + this.bytes.length;
  }

  forget(): void {
    this.bytes = this.bytes.subarray(0, 0);
  }

  has({ offset, length }: PagePlace): boolean {
    return offset >= this.from && offset + length <= this.end;
  }
}

export class PageSweep implements PageSource {
  readonly #pages: Pages;
  /** The one that was used last stands last. */
  readonly #windows = new Map<string, Window>();
  /** That one. */
  #used: { readonly origin: number; readonly number: number; readonly level: number; readonly window: Window } | undefined;
  /** Those above level 0 that were loaded last: the next leaf is mostly below them too. */
  readonly #last: ({ readonly place: PagePlace; readonly page: Uint32Array } | undefined)[] = [];

  constructor(pages: Pages) {
    this.#pages = pages;
  }

  /** Gives back what was lent. */
  end(): void {
    for (const { memory } of this.#windows.values()) if (memory !== undefined) this.#pages.windows.give(memory);
    this.#windows.clear();
    this.#used = undefined;
  }

  async load(place: PagePlace, level: number, lineage: Lineage): Promise<Uint32Array> {
    const last = this.#last[level];
    if (last !== undefined && isSame(last.place, place)) return last.page;
    let page = level > 1 ? await this.#pages.load(place, level, lineage) : this.#pages.copyOf(place);
    if (page === undefined) {
      const window = this.#windowOf(place, level);
      if (!window.has(place)) await this.#move(window, place);
      page = this.#decode(window, place, level, lineage);
      if (level > 0) this.#pages.add(place, page);
    }
    if (level > 0) this.#last[level] = { place, page };
    return page;
  }

  #decode(window: Window, place: PagePlace, level: number, lineage: Lineage): Uint32Array {
    const at = place.offset - window.from;
    const bytes = window.bytes.subarray(at, at + place.length);
    try {
      return decodePage(bytes, this.#pages.refOf(place), level, lineage, this.#pages.names);
    } catch (error) {
      window.forget(); // what is wanted next is read anew
      throw error;
    }
  }

  #windowOf({ origin, number }: PagePlace, level: number): Window {
    const used = this.#used;
    if (used?.number === number && used.origin === origin && used.level === level) return used.window;
    const key = `${origin}.${number}.${level}`;
    const window = this.#windows.get(key) ?? this.#newWindow();
    this.#windows.delete(key);
    this.#windows.set(key, window);
    this.#used = { origin, number, level, window };
    return window;
  }

  /** With the memory of the one that was used longest ago, if there are as many as there may be. */
  #newWindow(): Window {
    const window = new Window();
    if (this.#windows.size < engineLimits.sweepWindowsMax) return window;
    const [key, oldest] = this.#windows.entries().next().value!;
    this.#windows.delete(key);
    window.memory = oldest.memory;
    return window;
  }

  /** To where the page begins. */
  async #move(window: Window, place: PagePlace): Promise<void> {
    const isNear = window.bytes.length > 0 && place.offset > window.from && place.offset < window.end + nearBytes;
    const wanted = isNear ? Math.min(engineLimits.sweepWindowBytesMax, Math.max(windowBytesMin, 2 * window.wanted)) : 0;
    const target = await this.#targetOf(window, place, wanted);
    window.forget();
    window.bytes = await this.#read(place, target);
    window.from = place.offset;
    window.wanted = wanted;
  }

  /** Fills `target`, or if it is for more than the page and cannot be filled, another one of the page. */
  async #read(place: PagePlace, target: Buffer): Promise<Buffer> {
    try {
      await this.#pages.read(place, place.offset, target);
      return target;
    } catch (error) {
      if (target.length === place.length) throw error;
    }
    const page = Buffer.allocUnsafe(place.length);
    await this.#pages.read(place, place.offset, page);
    return page;
  }

  /** Memory for the page, and for what the object has behind it up to `wanted` bytes. Rejects as Pages.read(). */
  async #targetOf(window: Window, place: PagePlace, wanted: number): Promise<Buffer> {
    const { length } = this.#pages.checked(place);
    if (wanted > length) window.memory ??= this.#pages.windows.take();
    if (wanted <= length || window.memory === undefined) return Buffer.allocUnsafe(length);
    window.objectBytes ??= await this.#pages.objectBytes(place);
    return window.memory.subarray(0, Math.max(length, Math.min(wanted, window.objectBytes - place.offset)));
  }
}

const isSame = (a: PagePlace, b: PagePlace): boolean => a.offset === b.offset && a.number === b.number && a.origin === b.origin;
