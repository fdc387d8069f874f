// A collection takes what pages of a load and the watch bring twice and out of turn, and keeps its lists in step.

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { filterAll } from "./collection-query.ts";
import { ListedCollection, SharedTexts } from "./collection.ts";
import { defaultListQuery } from "./list-query.ts";
import type { Message } from "./model.ts";
import { keyOf, messageKind, volumeKind } from "./records.ts";
import { volumeShape } from "./shapes.ts";

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

const sampleVolume = { v: 1, id: "", projectId: "", name: null, status: "available", createdAtMs: 0 };

test("a search finds what a look at every record finds, whatever came, changed and went", () => {
  const word = (...words: string[]): fc.Arbitrary<string> => fc.constantFrom(...words);
  const change = fc.record({
    id: word("a", "b", "c", "d", "e"),
    projectId: word("p", "q"),
    name: fc.oneof(word("x", "y", ""), fc.constant(null)),
    status: word("available", "error"),
    createdAtMs: fc.constantFrom(1, 2),
    isDeleted: fc.boolean(),
  });
  const filter = (...values: string[]): fc.Arbitrary<string[]> => fc.array(word(...values), { minLength: 1, maxLength: 2 });
  const filters = fc.record(
    { name: filter("x", "y", "", "z"), status: filter("available", "error"), project_id: filter("p", "q", "r") },
    { requiredKeys: [] },
  );
  const scope = fc.option(word("p", "q", "r"), { nil: undefined });
  fc.assert(
    fc.property(fc.array(change, { maxLength: 30 }), filters, scope, (changes, given, projectId) => {
      const volumes = new ListedCollection(volumeKind, new SharedTexts());
      const born = new Map<string, number>();
      for (const [revision, { isDeleted, ...record }] of changes.entries()) {
        const key = keyOf(volumeKind, record.id);
        if (isDeleted) born.delete(record.id);
        else if (!born.has(record.id)) born.set(record.id, record.createdAtMs);
        if (isDeleted) volumes.delete(key, revision + 1);
        else volumes.put(key, JSON.stringify({ ...sampleVolume, ...record, createdAtMs: born.get(record.id) }), revision + 1);
      }
      const { project_id: projects, ...others } = given;
      const asked = projectId === undefined ? given : others; // project_id works with allTenants only
      const { list, query } = volumes.search({ ...defaultListQuery, filters: asked }, projectId);
      const found = filterAll(list, volumeShape, query).map(({ id }) => id);
      const expected = [...volumes.all].filter((volume) => {
        if (projectId !== undefined && volume.projectId !== projectId) return false;
        if (projectId === undefined && projects?.includes(volume.projectId) === false) return false;
        const { name, status } = given;
        return (name?.includes(volume.name ?? "") ?? true) && (status?.includes(volume.status) ?? true);
      });
      assert.deepEqual(
        found,
        expected.map(({ id }) => id),
      );
    }),
    { numRuns: 500 },
  );
});

test("a search looks at no more than what the name has", () => {
  const volumes = new ListedCollection(volumeKind, new SharedTexts());
  for (let at = 0; at < 100; at++) {
    const record = { ...sampleVolume, id: `v${at}`, projectId: "p", name: `name ${at}`, createdAtMs: at };
    volumes.put(keyOf(volumeKind, record.id), JSON.stringify(record), at + 1);
  }
  const search = (filters: Record<string, string[]>): number => volumes.search({ ...defaultListQuery, filters }, "p").list.size;
  assert.deepEqual([search({ name: ["name 7"] }), search({ status: ["error"] }), search({ size: ["1"] })], [1, 0, 100]);
});
