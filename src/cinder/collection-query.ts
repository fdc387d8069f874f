// Executes a ListQuery over an ordered list of records. In the default order (created_at) a page costs its own length,
// whatever the list's: it starts at the marker and stops when it is full. Other orders and counts look at all of the list,
// which is the project's own (or all, for an administrator who asks for that).

import { notFound, type CinderFault, invalidInput } from "./faults.ts";
import type { ListQuery, Page, SortKey, TimeFilter } from "./list-query.ts";
import type { Metadata } from "./model.ts";
import { compareOrder, type Ordered, type OrderedList } from "./ordered-list.ts";

export type FieldValue = string | number | boolean | null;

/** How one resource is seen by queries. Fields have the API's names. */
export interface Shape<T extends Ordered> {
  readonly fields: Readonly<Record<string, (record: T) => FieldValue>>;
  readonly sortKeys: ReadonlySet<string>;
  /** Fields of words in capitals, which a filter may have in any letters, as Cinder's database takes them. */
  readonly capitals?: ReadonlySet<string>;
  readonly metadata?: (record: T) => Metadata;
  readonly imageMetadata?: (record: T) => Metadata;
  readonly updatedAtMs: (record: T) => number | null;
  /** The marker is the id of no record that the caller sees. */
  readonly unknownMarker: (id: string) => CinderFault;
}

type Test<T> = (record: T) => boolean;
type Order<T> = (a: T, b: T) => number;

/** `findMarker` looks an id up among the records that the caller may see. */
export function runQuery<T extends Ordered>(
  list: OrderedList<T>,
  shape: Shape<T>,
  query: ListQuery,
  findMarker: (id: string) => T | undefined,
): Page<T> {
  const marker = query.marker === undefined ? undefined : findMarker(query.marker);
  if (query.marker !== undefined && marker === undefined) throw shape.unknownMarker(query.marker);
  const test = compileTest(shape, query);
  const byCreation = creationOrder(query.sort);
  const items =
    byCreation === undefined
      ? sortedPage(list, compileOrder(shape, query.sort), test, query, marker)
      : orderedPage(list, byCreation === "descending", test, query, marker);
  if (!query.withCount) return { items };
  if (test === undefined) return { items, count: list.size };
  let count = 0;
  for (const record of list) if (test(record)) count++;
  return { items, count };
}

/** All records that pass the filters of the query, in order of creation. */
export function filterAll<T extends Ordered>(list: OrderedList<T>, shape: Shape<T>, query: ListQuery): readonly T[] {
  const test = compileTest(shape, query);
  return test === undefined ? [...list] : [...list].filter(test);
}

function creationOrder(sort: readonly SortKey[]): "ascending" | "descending" | undefined {
  const [first, second, ...rest] = sort;
  if (first === undefined) return "descending";
  if (first.key !== "created_at" || rest.length > 0) return undefined;
  if (second !== undefined && (second.key !== "id" || second.descending !== first.descending)) return undefined;
  return first.descending ? "descending" : "ascending";
}

function orderedPage<T extends Ordered>(
  list: OrderedList<T>,
  descending: boolean,
  test: Test<T> | undefined,
  query: ListQuery,
  marker: T | undefined,
): T[] {
  const step = descending ? -1 : 1;
  let position = descending ? list.size - 1 : 0;
  if (marker !== undefined) {
    const at = list.position(marker);
    const there = list.at(at);
    const isThere = there !== undefined && compareOrder(there, marker) === 0;
    position = descending ? at - 1 : isThere ? at + 1 : at;
  }
  if (test === undefined) position += step * query.offset;
  let skip = test === undefined ? 0 : query.offset;
  const items: T[] = [];
  while (items.length < query.limit) {
    const record = position < 0 ? undefined : list.at(position);
    if (record === undefined) break;
    position += step;
    if (test !== undefined && !test(record)) continue;
    if (skip > 0) skip--;
    else items.push(record);
  }
  return items;
}

function sortedPage<T extends Ordered>(
  list: OrderedList<T>,
  order: Order<T>,
  test: Test<T> | undefined,
  query: ListQuery,
  marker: T | undefined,
): T[] {
  const matching: T[] = [];
  for (const record of list) {
    if (marker !== undefined && order(record, marker) <= 0) continue;
    if (test === undefined || test(record)) matching.push(record);
  }
  matching.sort(order);
  return matching.slice(query.offset, query.offset + query.limit);
}

function compileOrder<T extends Ordered>(shape: Shape<T>, sort: readonly SortKey[]): Order<T> {
  const orders = sort.map(({ key, descending }): Order<T> => {
    const field = fieldOf(shape, key);
    if (field === undefined || !shape.sortKeys.has(key)) throw invalidInput("Invalid sort key");
    return descending ? (a, b) => compareValues(field(b), field(a)) : (a, b) => compareValues(field(a), field(b));
  });
  const last = sort.at(-1)?.descending ?? true;
  orders.push(last ? (a, b) => compareValues(b.id, a.id) : (a, b) => compareValues(a.id, b.id));
  return (a, b) => {
    for (const order of orders) {
      const result = order(a, b);
      if (result !== 0) return result;
    }
    return 0;
  };
}

/** Nothing comes before everything, as in a database. */
function compareValues(a: FieldValue, b: FieldValue): number {
  if (a === b) return 0;
  if (a === null) return -1;
  if (b === null) return 1;
  return a < b ? -1 : 1;
}

/** One test of all filters; undefined when every record passes. */
function compileTest<T extends Ordered>(shape: Shape<T>, query: ListQuery): Test<T> | undefined {
  const tests: Test<T>[] = [];
  for (const [name, values] of Object.entries(query.filters)) {
    const field = fieldOf(shape, name);
    if (field === undefined) return () => false;
    const wanted = new Set(shape.capitals?.has(name) ? values.map((value) => value.toUpperCase()) : values);
    tests.push((record) => wanted.has(asText(field(record))));
  }
  for (const [name, part] of Object.entries(query.like)) {
    const field = fieldOf(shape, name);
    if (field === undefined) return () => false;
    tests.push((record) => field(record) !== null && asText(field(record)).includes(part));
  }
  addPairs(tests, query.metadata, shape.metadata);
  addPairs(tests, query.imageMetadata, shape.imageMetadata);
  for (const filter of query.times) tests.push(compileTime(shape, filter));
  if (tests.length === 0) return undefined;
  return (record) => tests.every((test) => test(record));
}

function fieldOf<T extends Ordered>(shape: Shape<T>, name: string): ((record: T) => FieldValue) | undefined {
  return Object.hasOwn(shape.fields, name) ? shape.fields[name] : undefined;
}

function asText(value: FieldValue): string {
  return value === null ? "" : String(value);
}

function addPairs<T>(tests: Test<T>[], wanted: Metadata, pairsOf: ((record: T) => Metadata) | undefined): void {
  const pairs = Object.entries(wanted);
  if (pairs.length === 0) return;
  tests.push((record) => {
    const present = pairsOf?.(record) ?? {};
    return pairs.every(([key, value]) => Object.hasOwn(present, key) && present[key] === value);
  });
}

function compileTime<T extends Ordered>(shape: Shape<T>, filter: TimeFilter): Test<T> {
  const { operator, atMs } = filter;
  return (record) => {
    const timeMs = filter.key === "created_at" ? record.createdAtMs : shape.updatedAtMs(record);
    if (timeMs === null) return false;
    switch (operator) {
      case "gt":
        return timeMs > atMs;
      case "gte":
        return timeMs >= atMs;
      case "lt":
        return timeMs < atMs;
      case "lte":
        return timeMs <= atMs;
      case "eq":
        return timeMs === atMs;
      case "neq":
        return timeMs !== atMs;
    }
  };
}

/** For shapes whose missing marker is a plain sentence. */
export function unknownMarker(noun: string): (id: string) => CinderFault {
  return (id) => notFound(`${noun} ${id} could not be found.`);
}
