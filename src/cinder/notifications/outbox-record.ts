// The outbox's record as it lies in the registry: everything that one transaction tells, in order. See
// docs/design/notifications.md. It is written once and never changed, so that what it does not know is carried along.

import { AndironError } from "../../common/errors.ts";

export const outboxPrefix = "notification/outbox/";
/** Bound to a lease: who has it publishes. */
export const publisherKey = "notification/publisher";

export type NotificationPriority = "info" | "error";

export interface OutboxMessage {
  /** "volume/<id>": the order is kept for each of these. */
  readonly resource: string;
  readonly priority: NotificationPriority;
  /** `_unique_id` of the envelope. */
  readonly uniqueId: string;
  readonly body: Readonly<Record<string, unknown>>;
}

export interface OutboxRecord {
  readonly v: 1;
  readonly id: string;
  readonly writtenAtMs: number;
  readonly messages: readonly OutboxMessage[];
}

export interface PublisherRecord {
  readonly v: 1;
  readonly id: string;
  readonly host: string;
  readonly startedAtMs: number;
}

/** Throws record_damaged for text that is no record of version 1. */
export function parseOutboxRecord(key: string, text: string): OutboxRecord {
  let record: OutboxRecord | null;
  try {
    record = JSON.parse(text) as OutboxRecord | null;
  } catch (cause) {
    throw new AndironError("record_damaged", `the record ${key} is not JSON`, { cause });
  }
  if (record?.v !== 1) {
    throw new AndironError("record_damaged", `the record ${key} has version ${String(record?.v)}, this build reads 1`);
  }
  if (!Number.isFinite(record.writtenAtMs) || !Array.isArray(record.messages) || !record.messages.every(isMessage)) {
    throw new AndironError("record_damaged", `the record ${key} is no outbox record`);
  }
  return record;
}

function isMessage(value: unknown): boolean {
  const message = value as Partial<OutboxMessage> | null;
  return (
    typeof message?.resource === "string" &&
    typeof message.uniqueId === "string" &&
    (message.priority === "info" || message.priority === "error") &&
    typeof message.body === "object" &&
    message.body !== null
  );
}
