// What a handler gets and gives. A handler translates one operation into one call of cinder/ and the result into JSON; by
// then route, caller, microversion and body have been checked. The status of success stands in openapi.yaml.

import type { IncomingHttpHeaders } from "node:http";
import type { RequestContext } from "../cinder/context.ts";
import type { Cinder } from "../cinder/verbs.ts";
import type { Links } from "./links.ts";

export type JsonObject = Readonly<Record<string, unknown>>;

export interface Call {
  readonly cinder: Cinder;
  readonly context: RequestContext;
  /** Microversion: 27 is 3.27. */
  readonly minor: number;
  readonly params: Readonly<Record<string, string>>;
  readonly query: URLSearchParams;
  /** The checked body; an empty object for operations without. */
  readonly body: JsonObject;
  readonly headers: IncomingHttpHeaders;
  readonly links: Links;
  readonly listLimitMax: number;
}

export interface Answer {
  /** JSON; absent for an answer without a body. */
  readonly body?: unknown;
  /** Plain text instead of JSON. */
  readonly text?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

export type Handler = (call: Call) => Promise<Answer>;
/** By operationId. */
export type Handlers = Readonly<Record<string, Handler>>;

export const emptyAnswer: Answer = {};

/** A path parameter of the operation; that it is there is the route table's promise. */
export function pathParameter(call: Call, name: string): string {
  const value = call.params[name];
  if (value === undefined) throw new TypeError(`the path has no parameter ${name}`);
  return value;
}

/** A member of a checked body that is an object; empty when it is absent or null. */
export function bodyObject(body: JsonObject, key: string): JsonObject {
  const value = body[key];
  return value !== null && typeof value === "object" && !Array.isArray(value) ? (value as JsonObject) : {};
}

/** A text of a checked body; undefined when absent, null or empty. */
export function bodyText(body: JsonObject, key: string): string | undefined {
  const value = body[key];
  return typeof value === "string" && value !== "" ? value : undefined;
}

/** An integer of a checked body, which Cinder takes as text too; undefined when absent or null. */
export function bodyInteger(body: JsonObject, key: string): number | undefined {
  const value = body[key];
  if (typeof value === "number") return value;
  return typeof value === "string" ? Number(value) : undefined;
}
