// What the errors of the operating system mean for a backend. What is unknown counts as unavailable: the bytes are where
// they were, and trying again is harmless since names are write-once.

import { AndironError, type ErrorCode } from "../../common/errors.ts";

const codes: Readonly<Record<string, ErrorCode>> = {
  ENOSPC: "backend_full",
  EDQUOT: "backend_full",
  EFBIG: "limit_exceeded",
  ENOTDIR: "invalid_request", // "a/b" where "a" is an object
  EISDIR: "invalid_request",
  ENAMETOOLONG: "invalid_request",
};

/** The `code` of an error of node:fs, if it is one. */
export function systemCodeOf(error: unknown): string | undefined {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : undefined;
}

/** An AndironError as it is; any other error with its code and what was being done. */
export function fileErrorOf(error: unknown, what: string): AndironError {
  if (error instanceof AndironError) return error;
  const systemCode = systemCodeOf(error);
  const code = codes[systemCode ?? ""] ?? "backend_unavailable";
  return new AndironError(code, `${what} failed: ${systemCode ?? String(error)}`, { cause: error });
}
