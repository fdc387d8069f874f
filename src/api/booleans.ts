// Booleans as OpenStack writes them (oslo's strutils), in query strings and in bodies.

import { badRequest } from "./http-fault.ts";

const trueTexts: ReadonlySet<string> = new Set(["1", "t", "true", "on", "y", "yes"]);
const falseTexts: ReadonlySet<string> = new Set(["0", "f", "false", "off", "n", "no"]);

/** What a text says; undefined when it is no boolean. */
export function parseBoolean(text: string): boolean | undefined {
  const word = text.trim().toLowerCase();
  if (trueTexts.has(word)) return true;
  return falseTexts.has(word) ? false : undefined;
}

/** A value that the schema has found to be a boolean or its text. */
export function readBoolean(value: unknown): boolean {
  return value === true || (typeof value === "string" && parseBoolean(value) === true);
}

/** A boolean query parameter; false when it is absent. Throws HttpFault 400 when it is none. */
export function readBooleanParameter(query: URLSearchParams, name: string): boolean {
  const text = query.get(name);
  if (text === null) return false;
  const value = parseBoolean(text);
  if (value === undefined) throw badRequest(`Value '${text.slice(0, 255)}' for '${name}' is not a boolean.`);
  return value;
}
