// Errors to answers. Everything that is thrown while a request is served ends here, once: refusals keep their sentence,
// whatever is our own trouble is logged with the request's id and told to the client in general terms.
//
// - The fault's name depends on the status only (Cinder's envelope: {"<fault>": {"code", "message"}}).
// - Both kinds of errors are mapped by exhaustive tables: a new kind does not compile without a status.
// - 413 says when to retry, in the body as text and in Retry-After. 412 has no body.

import { AssertionError } from "../common/assert.ts";
import { AndironError, type ErrorCode, type ErrorKind } from "../common/errors.ts";
import { CinderFault, type FaultKind } from "../cinder/faults.ts";
import { HttpFault, RouteNotFound, Unauthorized } from "./http-fault.ts";

export interface FaultAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  /** JSON; undefined for an answer without a body. */
  readonly body: unknown;
  /** True when the operator should hear of it. */
  readonly ours: boolean;
}

const statusOfFault: Readonly<Record<FaultKind, number>> = {
  invalid: 400,
  forbidden: 403,
  "not-found": 404,
  conflict: 409,
  "precondition-failed": 412,
  "over-limit": 413,
};

const statusOfError: Readonly<Record<ErrorKind, number>> = {
  invalid: 400,
  "not-found": 404,
  conflict: 409,
  "over-limit": 413,
  forbidden: 403,
  unavailable: 503,
  "no-space": 503,
  fenced: 503,
  data: 500,
  internal: 500,
};

const faultNames: Readonly<Record<number, string>> = {
  400: "badRequest",
  401: "unauthorized",
  403: "forbidden",
  404: "itemNotFound",
  405: "badMethod",
  409: "conflictingRequest",
  413: "overLimit",
  415: "badMediaType",
  501: "notImplemented",
  503: "serviceUnavailable",
};

const serverErrorText = "The server has either erred or is incapable of performing the requested operation.";
const unavailableText = "The service is temporarily unavailable. Try again later.";
/** Instead of unavailableText, for who would look for the fault on our side. */
const texts: Readonly<Partial<Record<ErrorCode, string>>> = {
  keystone_unavailable: "The Keystone service is temporarily unavailable.",
  barbican_unavailable: "The Barbican service is temporarily unavailable.",
  glance_unavailable: "The Glance service is temporarily unavailable.",
  nova_unavailable: "The Nova service is temporarily unavailable.",
};
const noHeaders: Readonly<Record<string, string>> = {};

/** The answer to a request that failed with `error`. Rethrows what no answer can mend: a failed assertion. */
export function answerFault(error: unknown): FaultAnswer {
  if (error instanceof CinderFault) return envelope(statusOfFault[error.kind], error.message);
  if (error instanceof HttpFault) return envelope(error.status, error.message, error.headers);
  if (error instanceof RouteNotFound) return { status: 404, headers: noHeaders, body: routeNotFoundBody, ours: false };
  if (error instanceof Unauthorized) {
    const body = { error: { code: 401, title: "Unauthorized", message: error.message } };
    return { status: 401, headers: error.headers, body, ours: false };
  }
  if (error instanceof AndironError) return answerAndironError(error);
  if (error instanceof AssertionError) throw error;
  return { ...envelope(500, serverErrorText), ours: true };
}

function answerAndironError(error: AndironError): FaultAnswer {
  const status = statusOfError[error.kind];
  if (status === 500) return { ...envelope(500, serverErrorText), ours: true };
  if (status === 503) return { ...envelope(503, texts[error.code] ?? unavailableText), ours: true };
  return envelope(status, error.message);
}

function envelope(status: number, message: string, headers: Readonly<Record<string, string>> = noHeaders): FaultAnswer {
  if (status === 412) return { status, headers, body: undefined, ours: false };
  const fault: Record<string, unknown> = { code: status, message };
  if (status !== 413) return { status, headers, body: { [faultNames[status] ?? "computeFault"]: fault }, ours: false };
  fault["retryAfter"] = "0";
  return { status, headers: { "retry-after": "0", ...headers }, body: { overLimit: fault }, ours: false };
}

const routeNotFoundBody = {
  message: "The resource could not be found.<br /><br />\n\n\n",
  code: "404 Not Found",
  title: "Not Found",
};
