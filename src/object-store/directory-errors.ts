// What the errors of the operating system mean for a directory store. What is unknown counts as unavailable.

import type { AndironError, ErrorCode } from "../common/errors.ts";
import { systemErrorOf } from "../common/system-errors.ts";

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

/** An AndironError as it is; any other error with its code and what was being done. */
export function directoryErrorOf(error: unknown, what: string): AndironError {
  return systemErrorOf(error, what, codes);
}
