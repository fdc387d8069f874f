// A collection takes what pages of a load and the watch bring twice and out of turn, and keeps its lists in step.

import assert from "node:assert/strict";
import { test } from "node:test";
import { ListedCollection, SharedTexts } from "./collection.ts";
import type { Message } from "./model.ts";
import { keyOf, messageKind } from "./records.ts";

const key = keyOf(messageKind, "m");

function text(projectId: string, userMessage: string): string {
  const rest = { requestId: "r", eventId: "e", level: "ERROR", resourceType: "VOLUME", resourceId: "x" } as const;
  const record: Message = { v: 1, id: "m", projectId, userMessage, ...rest, createdAtMs: 5, guaranteedUntilMs: 9 };
  return JSON.stringify(record);
}

test("older writes and deletes are ignored, newer ones done", () => {
  const messages = new ListedCollection(messageKind, new SharedTexts());
  messages.put(key, text("demo", "new"), 7);
  messages.put(key, text("demo", "old"), 5);
  messages.delete(key, 6);
  assert.equal(messages.get("m")?.userMessage, "new");
  messages.put(key, text("demo", "newer"), 8);
  assert.equal(messages.get("m")?.userMessage, "newer");
  assert.equal(messages.ofProject("demo").at(0)?.userMessage, "newer");
  messages.delete(key, 9);
  assert.deepEqual([messages.size, messages.all.size, messages.ofProject("demo").size], [0, 0, 0]);
});

test("a record that changes its project moves to the other list", () => {
  const messages = new ListedCollection(messageKind, new SharedTexts());
  messages.put(key, text("demo", "m"), 1);
  messages.put(key, text("other", "m"), 2);
  assert.deepEqual([messages.all.size, messages.ofProject("demo").size, messages.ofProject("other").size], [1, 0, 1]);
});
