// All records of one kind in memory, findable by id, and in order of creation: all, and by the values of the fields that
// lists are asked for by (project, volume, name, status), so that a filtered list costs what it finds, not what there is.
// Fed by the record index only.

import type { ListQuery } from "./list-query.ts";
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

/** Where to look for what a query asks for: every record of the answer is in the list, and passes the query. */
export interface Search<T extends Ordered> {
  readonly list: OrderedList<T>;
  readonly query: ListQuery;
}

/** A list for each value of one text field. What has no text there is in none. */
class ValueLists<T extends Ordered> {
  readonly #field: string;
  readonly #lists = new Map<string, OrderedList<T>>();

  constructor(field: string) {
    this.#field = field;
  }

  of(value: string): OrderedList<T> {
    return this.#lists.get(value) ?? nothing;
  }

  clear(): void {
    this.#lists.clear();
  }

  change(before: T | undefined, after: T | undefined, loading: boolean): void {
    const [old, value] = [this.#valueOf(before), this.#valueOf(after)];
    if (old !== undefined && old !== value) {
      const list = this.#lists.get(old);
      list?.delete(before!);
      if (list?.size === 0) this.#lists.delete(old);
    }
    if (value === undefined) return;
    let list = this.#lists.get(value);
    if (list === undefined) this.#lists.set(value, (list = new OrderedList<T>()));
    if (before === undefined && loading) list.append(after!);
    else list.put(after!);
  }

  #valueOf(record: T | undefined): string | undefined {
    const value = (record as Readonly<Record<string, unknown>> | undefined)?.[this.#field];
    return typeof value === "string" && value !== "" ? value : undefined;
  }
}

export class ListedCollection<T extends Listed> extends Collection<T> {
  #all = new OrderedList<T>();
  readonly #byProject = new ValueLists<T>("projectId");
  readonly #byVolume = new ValueLists<T>("volumeId");
  /** By the name of the filter. */
  readonly #byFilter: ReadonlyMap<string, ValueLists<T>>;
  readonly #lists: readonly ValueLists<T>[];
  /** True while a load brings records in any order. */
  loading = false;

  constructor(kind: Kind<T>, texts: SharedTexts) {
    super(kind, texts);
    const filters = Object.entries(kind.filters ?? {}).map(([name, field]) => [name, new ValueLists<T>(field)] as const);
    this.#byFilter = new Map([...filters, ["volume_id", this.#byVolume]]);
    this.#lists = [this.#byProject, ...this.#byFilter.values()];
  }

  get all(): OrderedList<T> {
    return this.#all;
  }

  ofProject(projectId: string): OrderedList<T> {
    return this.#byProject.of(projectId);
  }

  ofVolume(volumeId: string): OrderedList<T> {
    return this.#byVolume.of(volumeId);
  }

  /** By one of the kind's filters. */
  ofText(filter: string, value: string): OrderedList<T> {
    return this.#byFilter.get(filter)?.of(value) ?? nothing;
  }

  /** The shortest list that has what passes `query` among the records of the project, or of all where none is named. */
  search(query: ListQuery, projectId: string | undefined): Search<T> {
    const [named, ...others] = query.filters["project_id"] ?? [];
    const project = projectId ?? (others.length === 0 ? named : undefined);
    const whole = project === undefined ? this.#all : this.ofProject(project);
    let list = whole;
    for (const [name, lists] of this.#byFilter) {
      const [value, ...more] = query.filters[name] ?? [];
      if (value === undefined || value === "" || more.length > 0) continue;
      const candidate = lists.of(value);
      if (candidate.size < list.size) list = candidate;
    }
    if (list === whole || projectId === undefined) return { list, query };
    return { list, query: { ...query, filters: { ...query.filters, project_id: [projectId] } } };
  }

  override clear(): void {
    super.clear();
    this.#all = new OrderedList<T>();
    for (const lists of this.#lists) lists.clear();
  }

  protected override changed(before: T | undefined, after: T | undefined): void {
    for (const lists of this.#lists) lists.change(before, after, this.loading);
    if (after === undefined) this.#all.delete(before!);
    else if (before === undefined && this.loading) this.#all.append(after);
    else this.#all.put(after);
  }
}
