// What the errors of the operating system mean for a backend. What is unknown counts as unavailable: the bytes are where
// they were, and trying again is harmless since names are write-once.

import type { AndironError, ErrorCode } from "../../common/errors.ts";
import { systemErrorOf } from "../../common/system-errors.ts";

const codes: Readonly<Record<string, ErrorCode>> = {
  ENOSPC: "backend_full",
  EDQUOT: "backend_full",
  EFBIG: "limit_exceeded",
  ENOTDIR: "invalid_request", // "a/b" where "a" is an object
  EISDIR: "invalid_request",
  ENAMETOOLONG: "invalid_request",
};

/** An AndironError as it is; any other error with its code and what was being done. */
export function fileErrorOf(error: unknown, what: string): AndironError {
  return systemErrorOf(error, what, codes);
}
