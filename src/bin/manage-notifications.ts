// andiron-manage notifications: what waits to be sent, one of it in full, and the end of all of it. It reads and writes the
// records, so that it works beside the running service and without it.

import { type OutboxRecord, outboxPrefix, parseOutboxRecord } from "../cinder/notifications/outbox-record.ts";
import { AndironError } from "../common/errors.ts";
import { readAll } from "../engine/cleaner/log-state.ts";
import { type Entry, type Registry, registryLimits } from "../registry/registry.ts";

type Row = Readonly<Record<string, unknown>>;

/** In the order in which they are sent. A record that this build can't read is a row as well. */
export async function listNotifications(registry: Registry): Promise<Row[]> {
  const entries = await readAll(registry, outboxPrefix);
  return [...entries].sort((a, b) => a.createRevision - b.createRevision || (a.key < b.key ? -1 : 1)).map(rowOf);
}

/** Throws notification_not_found. */
export async function showNotifications(registry: Registry, id: string): Promise<OutboxRecord> {
  const entry = await registry.get(outboxPrefix + id);
  if (entry === undefined) throw new AndironError("notification_not_found", `nothing waits under ${id}`);
  return parseOutboxRecord(entry.key, entry.value);
}

/** How many were deleted. What the running service is sending right now may still be sent. */
export async function purgeNotifications(registry: Registry): Promise<number> {
  const keys = (await readAll(registry, outboxPrefix)).map(({ key }) => key);
  for (let start = 0; start < keys.length; start += registryLimits.operationsMax) {
    const step = keys.slice(start, start + registryLimits.operationsMax);
    await registry.transact({ compares: [], success: step.map((key) => ({ kind: "delete", key })) });
  }
  return keys.length;
}

function rowOf(entry: Entry): Row {
  const id = entry.key.slice(outboxPrefix.length);
  try {
    const { messages, writtenAtMs } = parseOutboxRecord(entry.key, entry.value);
    const resources = [...new Set(messages.map(({ resource }) => resource))].join(" ");
    const events = messages.map(({ body }) => String(body["event_type"])).join(" ");
    return { id, since: new Date(writtenAtMs).toISOString(), resources, events };
  } catch {
    return { id, since: "", resources: "", events: "(unreadable)" };
  }
}
