// The query string of a list request, by microversion and role, to the ListQuery that cinder/ executes.
//
// - What a microversion does not know yet is dropped in silence, as Cinder does; from 3.31 a filter that is not in
//   resource_filters.json is refused. Administrators may filter by anything.
// - Values are Python literals where they look like one (`['a', 'b']`: any of them); everything else is plain text.
// Errors are HttpFault 400 with Cinder's sentences. Sort keys and markers are checked by cinder/, which knows them.

import type { ListQuery, SortKey, TimeFilter } from "../cinder/list-query.ts";
import { parseBoolean, readBooleanParameter } from "./booleans.ts";
import { badRequest, invalidInput } from "./http-fault.ts";
import { asText, asTextRecord, parsePythonLiteral } from "./python-literal.ts";
import type { ListRules } from "./resource-filters.ts";

export interface ListRequest {
  readonly query: URLSearchParams;
  readonly minor: number;
  readonly isAdmin: boolean;
  /** osapi_max_limit. */
  readonly limitMax: number;
}

const offsetMax = 2_147_483_647;
const parametersMax = 64;
const valuesMax = 1000;
const controls: ReadonlySet<string> = new Set([
  "limit",
  "offset",
  "marker",
  "sort",
  "sort_key",
  "sort_dir",
  "all_tenants",
  "with_count",
]);
const timeOperators: ReadonlySet<string> = new Set(["gt", "gte", "eq", "neq", "lt", "lte"]);
/** First microversion of filters that came later; below it they are dropped. */
const filterSinceMinor: Readonly<Record<string, number>> = { group_id: 10, glance_metadata: 4, consumes_quota: 65 };
const strictFiltersMinor = 31;
const strictBootableMinor = 2;

/** The query string of any request. Of a parameter that is given twice the last one counts. Throws HttpFault 400. */
export function readQuery(text: string): URLSearchParams {
  const all = new URLSearchParams(text);
  if (all.size > parametersMax) throw badRequest(`More than ${parametersMax} query parameters.`);
  return all.size < 2 ? all : new URLSearchParams([...new Map(all)]);
}

/** Throws HttpFault 400. */
export function parseListQuery(request: ListRequest, rules: ListRules): ListQuery {
  const { query, minor, isAdmin, limitMax } = request;
  if (minor < rules.pagedSinceMinor) return { ...noFilters, ...noControls, limit: limitMax };
  const allTenants = isAdmin && readBooleanParameter(query, "all_tenants");
  const marker = query.get("marker");
  return {
    ...parseFilters(request, rules, allTenants),
    limit: parseLimit(query.get("limit"), limitMax),
    offset: parseOffset(query.get("offset")),
    ...(marker === null ? {} : { marker }),
    sort: parseSort(query, minor, rules),
    allTenants,
    withCount: minor >= rules.countSinceMinor && readBooleanParameter(query, "with_count"),
  };
}

type Filters = Pick<ListQuery, "filters" | "like" | "metadata" | "imageMetadata" | "times">;

const noFilters: Filters = { filters: {}, like: {}, metadata: {}, imageMetadata: {}, times: [] };
const noControls = { offset: 0, sort: [], allTenants: false, withCount: false };

/** Number of items that a page may have, for next links too. Throws HttpFault 400. */
export function parseLimit(text: string | null, limitMax: number): number {
  if (text === null) return limitMax;
  if (!/^\s*[-+]?[0-9]{1,20}\s*$/.test(text)) throw badRequest("limit param must be an integer");
  const limit = Number(text);
  if (limit < 0) throw badRequest("limit param must be positive");
  return Math.min(limit, limitMax);
}

function parseOffset(text: string | null): number {
  if (text === null) return 0;
  if (!/^\s*[-+]?[0-9]{1,20}\s*$/.test(text)) throw badRequest("offset must be an integer");
  const offset = Number(text);
  if (offset < 0) throw badRequest("offset must be >= 0");
  if (offset > offsetMax) throw badRequest(`offset must be <= ${offsetMax}`);
  return offset;
}

function parseSort(query: URLSearchParams, minor: number, rules: ListRules): SortKey[] {
  const sort = query.get("sort");
  const oldKey = query.get("sort_key");
  const oldDirection = query.get("sort_dir");
  if (sort !== null && (oldKey !== null || oldDirection !== null)) {
    throw badRequest("The 'sort_key' and 'sort_dir' parameters are deprecated and cannot be used with the 'sort' parameter.");
  }
  if (sort === null && oldKey === null && oldDirection === null) return [];
  const wanted =
    sort === null
      ? [[oldKey ?? "created_at", oldDirection ?? "desc"] as const]
      : sort.split(",", 16).map((part) => {
          const [key = "", direction = ""] = part.trim().split(":");
          return [key.trim() || "created_at", direction.trim() || "desc"] as const;
        });
  return wanted.map(([key, direction]) => {
    if (direction !== "asc" && direction !== "desc") throw invalidInput("Unknown sort direction, must be 'desc' or 'asc'.");
    if (minor < (rules.sortSinceMinor[key] ?? 0)) throw invalidInput("Invalid sort key");
    return { key, descending: direction === "desc" };
  });
}

function parseFilters({ query, minor, isAdmin }: ListRequest, rules: ListRules, allTenants: boolean): Filters {
  const given = new Map<string, string>();
  for (const [name, value] of query) if (!controls.has(name) && rules.others?.has(name) !== true) given.set(name, value);
  if (given.size === 0) return noFilters;
  for (const [name, sinceMinor] of Object.entries(filterSinceMinor)) if (minor < sinceMinor) given.delete(name);
  if (!isAdmin) dropForeignFilters(given, minor, rules);
  if (!allTenants) given.delete("project_id");

  const filters: Record<string, readonly string[]> = {};
  const like: Record<string, string> = {};
  const times: TimeFilter[] = [];
  let metadata: Record<string, string> = {};
  let imageMetadata: Record<string, string> = {};
  for (const [name, text] of given) {
    if (name === "created_at" || name === "updated_at") {
      if (minor >= rules.timesSinceMinor) times.push(...parseTimes(name, text));
    } else if (name === "metadata") metadata = parsePairs(name, text);
    else if (name === "glance_metadata") imageMetadata = parsePairs(name, text);
    else if (name === "bootable") filters[name] = [parseBootable(text, minor)];
    else if (name.endsWith("~") && minor >= rules.likeSinceMinor) like[name.slice(0, -1)] = text;
    else filters[name] = name === "consumes_quota" ? [parseTruth(name, text)] : parseValues(text);
  }
  return { filters, like, metadata, imageMetadata, times };
}

/** Below 3.31 in silence, from there on with an error. glance_metadata was open to everybody up to 3.30. */
function dropForeignFilters(given: Map<string, string>, minor: number, rules: ListRules): void {
  const foreign = [...given.keys()].filter((name) => !rules.filters.has(name));
  if (minor >= strictFiltersMinor && foreign.length > 0) {
    throw badRequest(`Invalid filters ${foreign.join(",")} are found in query options.`);
  }
  for (const name of foreign) if (name !== "glance_metadata") given.delete(name);
}

function parseBootable(text: string, minor: number): string {
  if (minor < strictBootableMinor) return text.toLowerCase() === "false" ? "false" : "true";
  const value = parseBoolean(text);
  if (value === undefined) throw invalidInput(`'bootable = ${text}'`);
  return String(value);
}

function parseTruth(name: string, text: string): string {
  const value = parseBoolean(text);
  if (value === undefined) throw badRequest(`Invalid value '${text}' for ${name}. Accepted values: a boolean.`);
  return String(value);
}

function parsePairs(name: string, text: string): Record<string, string> {
  const pairs = asTextRecord(parsePythonLiteral(text));
  if (pairs === undefined) throw invalidInput(`the filter ${name} must be a dictionary, such as {'key': 'value'}`);
  return pairs;
}

/** Several values for a list, the text inside quotes, otherwise the text itself ("True" as the field writes it). */
function parseValues(text: string): string[] {
  if (text === "True" || text === "False") return [text.toLowerCase()];
  if (!/^[[('"]/.test(text)) return [text];
  const literal = parsePythonLiteral(text);
  if (typeof literal === "string") return [literal];
  if (!Array.isArray(literal)) return [text];
  const values = literal.slice(0, valuesMax).map(asText);
  return values.every((value) => value !== undefined) ? values : [text];
}

/** "gt:2020-01-01T00:00:00,lt:..."; a time without zone is UTC. */
function parseTimes(name: "created_at" | "updated_at", text: string): TimeFilter[] {
  return text.split(",", 16).map((part) => {
    const colon = part.indexOf(":");
    const operator = part.slice(0, Math.max(colon, 0));
    if (!timeOperators.has(operator)) throw badRequest(`Invalid ${operator || part} operator`);
    return { key: name, operator: operator as TimeFilter["operator"], atMs: parseTime(name, part.slice(colon + 1)) };
  });
}

function parseTime(name: string, text: string): number {
  const iso = text.trim().replace(" ", "T");
  const atMs = /^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d{1,6})?)?)?$/.test(iso)
    ? Date.parse(iso.includes("T") ? `${iso}Z` : `${iso}T00:00Z`)
    : Date.parse(/^\d{4}-\d\d-\d\dT.*([zZ]|[-+]\d\d:?\d\d)$/.test(iso) ? iso : "");
  if (Number.isNaN(atMs)) throw badRequest(`Invalid ${name} value: ${text.slice(0, 64)} is not an ISO 8601 time`);
  return atMs;
}
