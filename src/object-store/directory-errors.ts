// What the errors of the operating system mean for a directory store. What is unknown counts as unavailable.

import { AndironError, type ErrorCode } from "../common/errors.ts";

const codes: Readonly<Record<string, ErrorCode>> = {
  ENOSPC: "backend_full",
  EDQUOT: "backend_full",
  EFBIG: "limit_exceeded",
  EACCES: "store_refused",
  EPERM: "store_refused",
  EROFS: "store_refused",
  // "a/b" where "a" is an object, or "a" where it is a directory.
  ENOTDIR: "invalid_request",
  EISDIR: "invalid_request",
  ENOTEMPTY: "invalid_request",
};

/** The `code` of an error of node:fs, if it is one. */
export function systemCodeOf(error: unknown): string | undefined {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : undefined;
}

/** An AndironError as it is; any other error with its code and what was being done. */
export function directoryErrorOf(error: unknown, what: string): AndironError {
  if (error instanceof AndironError) return error;
  const systemCode = systemCodeOf(error);
  const code = codes[systemCode ?? ""] ?? "backend_unavailable";
  return new AndironError(code, `${what} failed: ${systemCode ?? String(error)}`, { cause: error });
}
