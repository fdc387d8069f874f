// What the caller's thread and the thread that owns the database say to each other: plain data, sent in arrays (all that
// was asked within one turn of the event loop travels as one message). Requests with an `id` get exactly one answer.

import { inspect } from "node:util";
import { AndironError } from "../../common/errors.ts";
import type { ErrorCode } from "../../common/errors.ts";
import type { RangeRequest, Transaction, WatchBatch, WatchRequest } from "../registry.ts";

export type Question =
  | { readonly kind: "get"; readonly key: string }
  | { readonly kind: "range"; readonly request: RangeRequest }
  | { readonly kind: "revision" }
  | { readonly kind: "transact"; readonly transaction: Transaction }
  | { readonly kind: "grant"; readonly leaseId: string; readonly ttlMs: number }
  | { readonly kind: "renew"; readonly leaseId: string }
  | { readonly kind: "revoke"; readonly leaseId: string }
  | { readonly kind: "compact"; readonly revision: number }
  /** `until` is a Float64Array of one over shared memory: the thread keeps the time of the lease's end in it. */
  | { readonly kind: "hold"; readonly leaseId: string; readonly holdId: number; readonly until: Float64Array }
  | { readonly kind: "close" };

export type Notice =
  | { readonly kind: "release"; readonly holdId: number }
  | { readonly kind: "watch"; readonly watchId: number; readonly request: WatchRequest }
  | { readonly kind: "taken"; readonly watchId: number; readonly batches: number; readonly sizeBytes: number }
  | { readonly kind: "unwatch"; readonly watchId: number };

export type Request = (Question & { readonly id: number }) | Notice;

export interface WireError {
  readonly code: ErrorCode;
  readonly message: string;
  readonly hint?: string;
  readonly cause?: string;
}

export type Reply =
  | { readonly kind: "done"; readonly id: number; readonly value: unknown }
  | { readonly kind: "failed"; readonly id: number; readonly error: WireError }
  | { readonly kind: "changes"; readonly watchId: number; readonly batch: WatchBatch; readonly sizeBytes: number }
  | { readonly kind: "watch-failed"; readonly watchId: number; readonly error: WireError }
  | { readonly kind: "hold-lost"; readonly holdId: number };

/** The first message of a worker. */
export type Opening = { readonly kind: "opened" } | { readonly kind: "not-opened"; readonly error: WireError };

/** The way to the server, in whatever thread it runs. Replies come to the listener given when it was made. */
export interface Link {
  send(requests: Request[]): void;
  /** Ends the thread; call after the answer to `close`. */
  end(): Promise<void>;
}

export interface LinkListener {
  onReplies(replies: Reply[]): void;
  /** The server is gone without having been asked to go. */
  onFailure(error: AndironError): void;
}

export function toWire(error: AndironError): WireError {
  const wire = { code: error.code, message: error.message };
  const withHint = error.hint === undefined ? wire : { ...wire, hint: error.hint };
  return error.cause === undefined
    ? withHint
    : { ...withHint, cause: error.cause instanceof Error ? String(error.cause) : inspect(error.cause) };
}

export function fromWire(wire: WireError): AndironError {
  const cause = wire.cause === undefined ? {} : { cause: wire.cause };
  return new AndironError(wire.code, wire.message, wire.hint === undefined ? cause : { ...cause, hint: wire.hint });
}
