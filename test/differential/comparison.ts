// What two transcripts of one area do not agree about. Answers are compared to the last value; names stand for what may
// differ by nature. Pure.

import type { Entry } from "./driver.ts";

export interface Difference {
  /** Of the transcripts' entries. */
  readonly key: string;
  readonly operation: string | undefined;
  /** "status", "headers.vary", "body.volume.size". */
  readonly where: string;
  readonly reference: string;
  readonly andiron: string;
}

/** Of an extension only the shape and the names count. */
const prose = /^body\.extensions?(\[\])?\.(description|updated)$/;
const shownCharsMax = 400;
const absent = "(none)";

export function compare(reference: readonly Entry[], andiron: readonly Entry[]): Difference[] {
  const ours = new Map(andiron.map((entry) => [entry.key, entry]));
  return reference.flatMap((theirs) => {
    const { key, operation } = theirs;
    const own = ours.get(key);
    if (own === undefined) return [{ key, operation, where: "call", reference: "made", andiron: "not made" }];
    const found = [...differences("status", theirs.status, own.status), ...differences("headers", theirs.headers, own.headers)];
    // Two kinds of success or refusal have nothing in common to be compared.
    if (theirs.status === own.status) found.push(...differences("body", theirs.body, own.body));
    return found.map(([where, a, b]) => ({ key, operation, where, reference: show(a), andiron: show(b) }));
  });
}

/** What two values do not agree about; the reference's comes first. */
export function compareValues(key: string, where: string, reference: unknown, andiron: unknown): Difference[] {
  return differences(where, reference, andiron).map(([at, a, b]) => ({
    key,
    operation: undefined,
    where: at,
    reference: show(a),
    andiron: show(b),
  }));
}

type Found = [where: string, reference: unknown, andiron: unknown];

function differences(where: string, a: unknown, b: unknown): Found[] {
  if (prose.test(where)) return typeof a === typeof b ? [] : [[where, a, b]];
  if (Array.isArray(a) && Array.isArray(b)) return listDifferences(where, a, b);
  if (isObject(a) && isObject(b)) {
    const keys = new Set([...Object.keys(a), ...Object.keys(b)]);
    return [...keys].flatMap((key) => {
      if (!(key in a)) return [[`${where}.${key}`, absent, b[key]] satisfies Found];
      if (!(key in b)) return [[`${where}.${key}`, a[key], absent] satisfies Found];
      return differences(`${where}.${key}`, a[key], b[key]);
    });
  }
  return a === b ? [] : [[where, a, b]];
}

/** Items with a name of their own are compared with those of the same name. */
function listDifferences(where: string, a: readonly unknown[], b: readonly unknown[]): Found[] {
  const found: Found[] = a.length === b.length ? [] : [[`${where}.length`, a.length, b.length]];
  if (!a.every(nameOf) || !b.every(nameOf)) {
    const [theirs, own] = [a, b].map(inOrderOfIds) as [readonly unknown[], readonly unknown[]];
    for (let at = 0; at < Math.min(a.length, b.length); at++) found.push(...differences(`${where}[]`, theirs[at], own[at]));
    return found;
  }
  const own = new Map(b.map((item) => [nameOf(item), item]));
  const seen = new Set(a.map(nameOf));
  for (const item of a) {
    const name = nameOf(item);
    if (own.has(name)) found.push(...differences(`${where}[]`, item, own.get(name)));
    else found.push([`${where}[${name}]`, item, absent]);
  }
  for (const item of b) if (!seen.has(nameOf(item))) found.push([`${where}[${nameOf(item)}]`, absent, item]);
  return found;
}

/**
 * Cinder's database keeps whole seconds, so that what was made within one is listed in any order: the order of things that
 * have ids is not compared.
 */
function inOrderOfIds(items: readonly unknown[]): readonly unknown[] {
  const idOf = (item: unknown): string => {
    const { id, name } = Object(item) as { readonly id?: unknown; readonly name?: unknown };
    return typeof id === "string" ? `${id} ${String(name)}` : "";
  };
  const sorted = items.map((item) => ({ item, id: idOf(item) }));
  if (sorted.some(({ id }) => id === "")) return items;
  return sorted.sort((x, y) => (x.id < y.id ? -1 : x.id > y.id ? 1 : 0)).map(({ item }) => item);
}

function nameOf(item: unknown): string | undefined {
  const { alias, resource, binary, host, host_name: hostName, zone } = Object(item) as Readonly<Record<string, unknown>>;
  const parts = [alias, resource, binary ?? (item as { service?: unknown }).service, host ?? hostName, zone];
  const name = parts.filter((part) => typeof part === "string").join(" ");
  return name === "" ? undefined : name;
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return value !== null && typeof value === "object" && !Array.isArray(value);
}

function show(value: unknown): string {
  return JSON.stringify(value).slice(0, shownCharsMax);
}
