// Which names, prefixes, ranges and pages are allowed: what is safe as a path below a directory, in a URL, and in a canonical
// request of S3, without any encoding. Text of users never becomes a name but through here. Pure.

import { AndironError } from "../common/errors.ts";
import { type ByteRange, type ListOptions, objectLimits } from "./object-store.ts";

const namePattern = /^[A-Za-z0-9_-][A-Za-z0-9._-]*(\/[A-Za-z0-9_-][A-Za-z0-9._-]*)*$/;
const prefixPattern = /^[A-Za-z0-9._/-]*$/;
const containerPattern = /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/;
/** Names of other programs are longer, in bytes. */
const afterCharactersMax = 1024;

export function isName(name: string): boolean {
  if (name.length > objectLimits.nameBytesMax || !namePattern.test(name)) return false;
  return name.split("/").every((part) => part.length <= objectLimits.namePartBytesMax);
}

/** Throws invalid_request unless `name` is parts of [A-Za-z0-9._-] that begin with no dot, joined by "/". */
export function checkName(name: string): void {
  if (!isName(name)) throw invalid(`not a name of an object: ${shown(name)}`);
}

/** Throws invalid_request unless it may name a container of Swift and a bucket of S3. */
export function checkContainer(name: string): void {
  if (!containerPattern.test(name) || name.includes("..")) throw invalid(`not a name of a container: ${shown(name)}`);
}

export function checkRange({ offset, length }: ByteRange): void {
  const isCount = (value: number): boolean => Number.isSafeInteger(value) && value >= 0;
  if (!isCount(offset) || !isCount(length) || length === 0) throw invalid(`not a range of bytes: ${length} from ${offset}`);
  if (length > objectLimits.objectBytesMax) throw tooLong("a range", length);
}

export function checkObjectBytes(bytes: Buffer): void {
  if (bytes.length > objectLimits.objectBytesMax) throw tooLong("an object", bytes.length);
}

/** The options with their defaults. */
export function checkList(prefix: string, options: ListOptions): Required<ListOptions> {
  const { after = "", limit = objectLimits.listNamesMax } = options;
  if (prefix.length > objectLimits.nameBytesMax || !prefixPattern.test(prefix))
    throw invalid(`not a prefix of names: ${shown(prefix)}`);
  if (after.length > afterCharactersMax || !after.isWellFormed()) throw invalid(`not where a page begins: ${shown(after)}`);
  if (!Number.isInteger(limit) || limit < 1 || limit > objectLimits.listNamesMax)
    throw invalid(`a page is of 1 to ${objectLimits.listNamesMax} names, not ${limit}`);
  return { after, limit };
}

function tooLong(what: string, length: number): AndironError {
  return new AndironError("limit_exceeded", `${what} is at most ${objectLimits.objectBytesMax} bytes, not ${length}`);
}

function invalid(message: string): AndironError {
  return new AndironError("invalid_request", message);
}

function shown(text: string): string {
  return JSON.stringify(text.slice(0, 250));
}
