// All records of one kind in memory, findable by id, and in order of creation: all, by project, and by volume where that
// makes sense. Fed by the record index only.

import { OrderedList, type Ordered } from "./ordered-list.ts";
import { encodeId, parseRecord, type Kind } from "./records.ts";

export interface Listed extends Ordered {
  readonly v: 1;
  readonly projectId: string;
  readonly volumeId?: string;
}

interface Slot<T> {
  readonly record: T;
  readonly modRevision: number;
}

const sharedTextsMax = 100_000;

/** One copy of each text that many records have. */
export class SharedTexts {
  readonly #texts = new Map<string, string>();

  keep(text: string): string {
    const kept = this.#texts.get(text);
    if (kept !== undefined) return kept;
    if (this.#texts.size >= sharedTextsMax) this.#texts.clear();
    this.#texts.set(text, text);
    return text;
  }
}

export class Collection<T extends { readonly v: 1 }> {
  readonly kind: Kind<T>;
  readonly #slots = new Map<string, Slot<T>>();
  readonly #texts: SharedTexts;

  constructor(kind: Kind<T>, texts: SharedTexts) {
    this.kind = kind;
    this.#texts = texts;
  }

  get size(): number {
    return this.#slots.size;
  }

  get(id: string): T | undefined {
    return this.#slots.get(encodeId(id))?.record;
  }

  *values(): IterableIterator<T> {
    for (const slot of this.#slots.values()) yield slot.record;
  }

  /** Those that pass, as of now. */
  select(test: (record: T) => boolean): T[] {
    const selected: T[] = [];
    for (const slot of this.#slots.values()) if (test(slot.record)) selected.push(slot.record);
    return selected;
  }

  /** Takes a record in unless a newer one is here already (pages of a load and the watch overlap). */
  put(key: string, text: string, modRevision: number): void {
    const id = key.slice(this.kind.prefix.length);
    const present = this.#slots.get(id);
    if (present !== undefined && present.modRevision >= modRevision) return;
    const record = parseRecord(this.kind, key, text);
    const fields = record as Record<string, unknown>;
    for (const field of this.kind.shared) {
      const value = fields[field];
      if (typeof value === "string") fields[field] = this.#texts.keep(value);
    }
    this.#slots.set(id, { record, modRevision });
    this.changed(present?.record, record);
  }

  /** `revision`: of the deletion; a record written later stays. */
  delete(key: string, revision: number): void {
    const id = key.slice(this.kind.prefix.length);
    const present = this.#slots.get(id);
    if (present === undefined || present.modRevision > revision) return;
    this.#slots.delete(id);
    this.changed(present.record, undefined);
  }

  clear(): void {
    this.#slots.clear();
  }

  /** For the lists below; a plain collection has none. */
  protected changed(_before: T | undefined, _after: T | undefined): void {}
}

const nothing = new OrderedList<never>();

export class ListedCollection<T extends Listed> extends Collection<T> {
  #all = new OrderedList<T>();
  readonly #byProject = new Map<string, OrderedList<T>>();
  readonly #byVolume = new Map<string, OrderedList<T>>();
  /** True while a load brings records in any order. */
  loading = false;

  get all(): OrderedList<T> {
    return this.#all;
  }

  ofProject(projectId: string): OrderedList<T> {
    return this.#byProject.get(projectId) ?? nothing;
  }

  ofVolume(volumeId: string): OrderedList<T> {
    return this.#byVolume.get(volumeId) ?? nothing;
  }

  override clear(): void {
    super.clear();
    this.#all = new OrderedList<T>();
    this.#byProject.clear();
    this.#byVolume.clear();
  }

  protected override changed(before: T | undefined, after: T | undefined): void {
    if (before !== undefined && before.projectId !== after?.projectId) remove(this.#byProject, before.projectId, before);
    if (before !== undefined && after === undefined) {
      this.#all.delete(before);
      if (before.volumeId !== undefined) remove(this.#byVolume, before.volumeId, before);
    }
    if (after === undefined) return;
    const add = before === undefined && this.loading ? append : insert;
    add(this.#all, after);
    add(listOf(this.#byProject, after.projectId), after);
    if (after.volumeId !== undefined) add(listOf(this.#byVolume, after.volumeId), after);
  }
}

function append<T extends Ordered>(list: OrderedList<T>, item: T): void {
  list.append(item);
}

function insert<T extends Ordered>(list: OrderedList<T>, item: T): void {
  list.put(item);
}

function listOf<T extends Ordered>(lists: Map<string, OrderedList<T>>, key: string): OrderedList<T> {
  let list = lists.get(key);
  if (list === undefined) {
    list = new OrderedList<T>();
    lists.set(key, list);
  }
  return list;
}

function remove<T extends Ordered>(lists: Map<string, OrderedList<T>>, key: string, item: T): void {
  const list = lists.get(key);
  list?.delete(item);
  if (list?.size === 0) lists.delete(key);
}
