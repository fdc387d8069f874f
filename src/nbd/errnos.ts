// From our errors to the few errors that NBD can say, and back. Exhaustive over ErrorKind: a new kind does not compile
// until it has its line here.
//
// - "cut" means that no answer is better than an error: whoever owns the disk now will serve the same request after a
//   reconnect, and a guest sees a pause instead of a failed write.
// - EOVERFLOW and ENOTSUP are said by request-validation.ts only; ENOMEM never ("if at all possible").

import { AndironError, type ErrorCode, type ErrorKind } from "../common/errors.ts";
import { errno, type Errno } from "./constants.ts";

const errnoByKind: Record<ErrorKind, Errno | "cut"> = {
  invalid: errno.EINVAL,
  "not-found": errno.EIO,
  conflict: errno.EIO,
  "over-limit": errno.ENOSPC,
  forbidden: errno.EPERM,
  unavailable: errno.EIO,
  "no-space": errno.ENOSPC,
  fenced: "cut",
  data: errno.EIO,
  internal: errno.EIO,
};

/** What a request that failed with `error` is answered: an errno, or "cut" for ending the connection. */
export function errnoFor(error: unknown): Errno | "cut" {
  if (!(error instanceof AndironError)) return errno.EIO;
  if (error.code === "shutting_down") return errno.ESHUTDOWN;
  return errnoByKind[error.kind];
}

const codeByErrno = new Map<number, ErrorCode>([
  [errno.EPERM, "read_only"],
  [errno.EIO, "nbd_io_failed"],
  [errno.ENOMEM, "nbd_io_failed"],
  [errno.EINVAL, "invalid_request"],
  [errno.ENOSPC, "backend_full"],
  [errno.EOVERFLOW, "invalid_request"],
  [errno.ENOTSUP, "invalid_request"],
  [errno.ESHUTDOWN, "shutting_down"],
]);

/** The error that a client throws for an errno it was sent; unknown numbers count as EINVAL, as the protocol says. */
export function errorForErrno(number: number, what: string): AndironError {
  return new AndironError(codeByErrno.get(number) ?? "invalid_request", `the server answered ${what} with error ${number}`);
}
