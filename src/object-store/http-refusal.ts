// What a status of Swift or S3 means when the caller did not expect it. Messages have the service's own code, never a body. Pure.

import { AndironError, type ErrorCode } from "../common/errors.ts";

const codes: Readonly<Record<number, ErrorCode>> = {
  404: "store_refused", // of the container: a missing object is expected
  408: "backend_timeout",
  409: "backend_unavailable", // something else is being done to it
  412: "object_exists",
  413: "backend_full", // a quota of Swift
  416: "out_of_range",
  422: "backend_unavailable", // what came was not what was sent
  425: "backend_unavailable",
  429: "backend_unavailable",
  498: "backend_unavailable", // Swift's rate limit
  501: "store_refused",
  504: "backend_timeout",
  507: "backend_full",
};

const hints: Readonly<Record<string, string>> = {
  401: "look at the credentials",
  403: "look at the credentials, and at what they may do",
  404: "is the container there?",
  501: "the service does not know this kind of request: see conditionalPut",
  InvalidAccessKeyId: "look at the access key",
  PermanentRedirect: "look at the region and the endpoint",
  AuthorizationHeaderMalformed: "look at the region",
  RequestTimeTooSkewed: "the clock of this host, or of the service, is wrong",
  SignatureDoesNotMatch: "look at the secret key",
};

export function refusalOf(service: string, what: string, status: number, code: string | undefined): AndironError {
  const message = `${service} answers ${status}${code === undefined ? "" : ` (${code})`} to a ${what}`;
  const hint = hints[code ?? ""] ?? hints[status];
  return new AndironError(
    codes[status] ?? (status >= 500 ? "backend_unavailable" : "store_refused"),
    message,
    hint === undefined ? {} : { hint },
  );
}
