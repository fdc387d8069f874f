// What all list handlers do: parse the query, ask for a page, show the items, and link to the next page when this one is
// full.

import type { ListQuery, Page } from "../../cinder/list-query.ts";
import type { Answer, Call } from "../call.ts";
import { parseListQuery } from "../list-query.ts";
import type { ListRules } from "../resource-filters.ts";

export interface ListForm<T> {
  readonly rules: ListRules;
  /** Key of the items, and of the links when the list has them. */
  readonly key: string;
  readonly linksKey?: string;
  /** Path of the collection, for the next link. */
  readonly path: string;
  readonly idOf: (item: T) => string;
  readonly view: (item: T) => unknown;
}

/** The list query of a request. Throws HttpFault 400. */
export function readListQuery(call: Call, rules: ListRules): ListQuery {
  const { query, minor, context, listLimitMax } = call;
  return parseListQuery({ query, minor, isAdmin: context.isAdmin, limitMax: listLimitMax }, rules);
}

/** The call as an operation sees it that looks at these parameters alone: whatever else there is does nothing. */
export function withOnly(call: Call, parameters: ReadonlySet<string>): Call {
  return { ...call, query: new URLSearchParams([...call.query].filter(([name]) => parameters.has(name))) };
}

/** Answers a list request with one page. */
export async function answerList<T>(
  call: Call,
  form: ListForm<T>,
  fetchPage: (query: ListQuery) => Promise<Page<T>>,
): Promise<Answer> {
  const query = readListQuery(call, form.rules);
  const { items, count } = await fetchPage(query);
  const body: Record<string, unknown> = { [form.key]: items.map(form.view) };
  const last = items.at(-1);
  if (form.linksKey !== undefined && last !== undefined && items.length === query.limit) {
    body[form.linksKey] = call.links.next(form.path, call.query, form.idOf(last));
  }
  if (count !== undefined) body["count"] = count;
  return { body };
}
