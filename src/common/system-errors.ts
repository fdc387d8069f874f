// What an error of node:fs is to us: its code of the system (errno(3)), and the AndironError that stands for it. Which code means
// what is the caller's table; what is not in it counts as backend_unavailable, since trying again harms nobody.

import { AndironError, type ErrorCode } from "./errors.ts";

/** The `code` of an error of node:fs, if it is one. */
export function systemCodeOf(error: unknown): string | undefined {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : undefined;
}

/** An AndironError as it is; any other error as `codes` say, with its code and what was being done. */
export function systemErrorOf(error: unknown, what: string, codes: Readonly<Record<string, ErrorCode>>): AndironError {
  if (error instanceof AndironError) return error;
  const systemCode = systemCodeOf(error);
  const code = codes[systemCode ?? ""] ?? "backend_unavailable";
  return new AndironError(code, `${what} failed: ${systemCode ?? String(error)}`, { cause: error });
}
