// The one error type of Andiron and the few kinds it comes in. A layer throws AndironError with a kind and a code;
// api/ maps kinds to HTTP status and Cinder fault, nbd/ maps them to an errno, both by exhaustive tables.
// Every code stands in the table below, so that docs and metrics can list them all. Errors are thrown with `cause`
// and logged once, at the edge.

/** What the caller can do about it. Adding a kind means touching both maps (the compiler says where). */
export type ErrorKind =
  | "invalid" // the request is wrong: changing it helps, repeating it does not
  | "not-found"
  | "conflict" // the thing is in a state that forbids it
  | "over-limit" // a quota or a fixed limit
  | "forbidden"
  | "unavailable" // try again later: backend, registry or owner is away
  | "no-space" // journal disk or backend full
  | "fenced" // somebody else owns it now
  | "data" // checksum mismatch or a missing piece: wrong bytes are never returned
  | "internal"; // a bug

export const errorCodes = {
  invalid_request: "invalid",
  out_of_range: "invalid",
  config_invalid: "invalid",
  registry_too_new: "invalid",
  record_too_large: "invalid",
  transaction_too_large: "invalid",
  image_unacceptable: "invalid",
  backup_key_missing: "invalid",
  vdisk_not_found: "not-found",
  snapshot_not_found: "not-found",
  export_not_found: "not-found",
  object_not_found: "not-found",
  job_not_found: "not-found",
  notification_not_found: "not-found",
  image_not_found: "not-found",
  key_not_found: "not-found",
  vdisk_name_taken: "conflict",
  vdisk_exists: "conflict",
  vdisk_busy: "conflict",
  snapshot_exists: "conflict",
  transaction_conflict: "conflict",
  state_locked: "conflict",
  address_in_use: "conflict",
  object_exists: "conflict",
  limit_exceeded: "over-limit",
  read_only: "forbidden",
  image_forbidden: "forbidden",
  key_refused: "forbidden",
  registry_unavailable: "unavailable",
  backend_unavailable: "unavailable",
  backend_timeout: "unavailable",
  owner_unreachable: "unavailable",
  shutting_down: "unavailable",
  overloaded: "unavailable",
  watch_compacted: "unavailable",
  keystone_unavailable: "unavailable",
  nova_unavailable: "unavailable",
  glance_unavailable: "unavailable",
  barbican_unavailable: "unavailable",
  broker_unavailable: "unavailable",
  store_refused: "unavailable",
  job_timeout: "unavailable",
  nbd_io_failed: "unavailable",
  nbd_protocol: "unavailable",
  journal_full: "no-space",
  backend_full: "no-space",
  scratch_full: "no-space",
  lease_lost: "fenced",
  owner_changed: "fenced",
  export_revoked: "fenced",
  journal_poisoned: "data",
  journal_damaged: "data",
  object_damaged: "data",
  backup_damaged: "data",
  segment_damaged: "data",
  map_damaged: "data",
  record_damaged: "data",
  registry_damaged: "data",
  copy_differs: "data",
  internal: "internal",
} as const satisfies Record<string, ErrorKind>;

export type ErrorCode = keyof typeof errorCodes;

export interface ErrorDetails {
  readonly cause?: unknown;
  /** For the operator: what to look at or change. Never a secret. */
  readonly hint?: string;
}

export class AndironError extends Error {
  override readonly name = "AndironError";
  readonly code: ErrorCode;
  readonly hint: string | undefined;

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = code;
    this.hint = details.hint;
  }

  get kind(): ErrorKind {
    return errorCodes[this.code];
  }
}

/** The code of an AndironError, or "internal" for anything else. */
export function errorCodeOf(error: unknown): ErrorCode {
  return error instanceof AndironError ? error.code : "internal";
}
