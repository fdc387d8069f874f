// The object store under a vPool: one interface over a directory, S3 or Swift, one contract suite (contract.ts).
//
// Contract, the same for every implementation:
// - Objects are write-once: a name always means the same bytes, whoever uploads. Putting a name that exists with equal
//   length resolves (somebody was faster); with another length it rejects with object_exists and changes nothing.
// - put() and putFile() are durable when they resolve (power loss of client and store), and an object is never visible
//   before it is whole. A rejection of kind "unavailable" may or may not have stored it: putting it again settles that.
// - The bytes given to put() may not change until it settles, and after backend_timeout never again: a late store could
//   still be reading them. The file given to putFile() may never be written again at all (it may be the object itself,
//   by hard link); unlinking it is allowed once the promise has settled.
// - read() and size() see every put that was acknowledged before they were called, by any process.
// - A delete is as durable as a put. Readers of a deleted object get its bytes or object_not_found, never other bytes.
// - list() may lag behind puts and deletes, by any time: good for finding garbage, never for recovery.
// - A name may not be a leading path of another ("a" and "a/b"): a directory cannot hold both.
// - After close() every verb rejects with shutting_down; what was under way finishes first.
// It knows nothing of segments, epochs or checksums: those are the caller's.

import { AndironError } from "../../common/errors.ts";

export interface ListOptions {
  /** Only names strictly greater than this one, in byte order. */
  readonly after?: string;
  /** At most this many; default and maximum backendLimits.listNamesMax. Fewer than asked for means the end. */
  readonly limit?: number;
}

export interface ReadOptions {
  /** From the store itself, past whatever keeps copies of objects: what those said was found to be wrong. */
  readonly fresh?: boolean;
  /**
   * Nothing else is ever put into `target`, whatever becomes of the read: after backend_timeout, which is not tried again, what
   * comes late may still be put there. Saves a copy, where somebody stands between.
   */
  readonly isOwnTarget?: boolean;
}

export const intoOwnTarget: ReadOptions = { isOwnTarget: true };

export interface Capacity {
  readonly totalBytes: number;
  readonly freeBytes: number;
}

export interface ObjectBackend {
  /** Stores the concatenation of `parts`. Rejects: object_exists, backend_full, unavailable kinds, limit_exceeded. */
  put(name: string, parts: readonly Buffer[]): Promise<void>;
  /** The same from a local file whose content is already on disk (fdatasync); invalid_request when there is no such file. */
  putFile(name: string, path: string): Promise<void>;
  /** Fills `target` wholly from byte `offset`. Rejects: object_not_found, segment_damaged when the object ends before. */
  read(name: string, offset: number, target: Buffer, options?: ReadOptions): Promise<void>;
  /** Length in bytes, or undefined when there is no such object. */
  size(name: string): Promise<number | undefined>;
  /** No error when there is no such object. */
  delete(name: string): Promise<void>;
  /** Names that begin with `prefix`, in byte order. May lag: see the contract. */
  list(prefix: string, options?: ListOptions): Promise<string[]>;
  capacity(): Promise<Capacity>;
  close(): Promise<void>;
}

export type BackendVerb = "put" | "putFile" | "read" | "size" | "delete" | "list" | "capacity";

export const backendLimits = {
  nameBytesMax: 200,
  objectBytesMax: 1024 * 1024 * 1024,
  listNamesMax: 1000,
} as const;

const namePattern = /^[A-Za-z0-9_-][A-Za-z0-9._-]*(\/[A-Za-z0-9_-][A-Za-z0-9._-]*)*$/;
const prefixPattern = /^[A-Za-z0-9._/-]*$/;

/** Throws invalid_request unless `name` is a relative path of [A-Za-z0-9._-] parts that begin with no dot, at most 200 bytes. */
export function checkObjectName(name: string): void {
  if (name.length > backendLimits.nameBytesMax || !namePattern.test(name)) {
    throw new AndironError("invalid_request", `not an object name: ${JSON.stringify(name.slice(0, 250))}`);
  }
}

/** Throws invalid_request unless the arguments of list() are well formed; resolves the default limit. */
export function checkListArguments(prefix: string, options: ListOptions): number {
  const limit = options.limit ?? backendLimits.listNamesMax;
  if (prefix.length > backendLimits.nameBytesMax || !prefixPattern.test(prefix)) {
    throw new AndironError("invalid_request", `not a prefix of object names: ${JSON.stringify(prefix.slice(0, 250))}`);
  }
  if (!Number.isInteger(limit) || limit < 1 || limit > backendLimits.listNamesMax) {
    throw new AndironError("invalid_request", `a list is of 1 to ${backendLimits.listNamesMax} names, not ${limit}`);
  }
  return limit;
}

/** The length of all parts together; throws limit_exceeded beyond backendLimits.objectBytesMax. */
export function objectBytesOf(parts: readonly Buffer[]): number {
  let totalBytes = 0;
  for (const part of parts) totalBytes += part.length;
  if (totalBytes > backendLimits.objectBytesMax) {
    throw new AndironError("limit_exceeded", `an object is at most ${backendLimits.objectBytesMax} bytes, not ${totalBytes}`);
  }
  return totalBytes;
}
