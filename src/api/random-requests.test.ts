// Requests that nobody would write, against the whole API: every one is answered, none breaks anything, and afterwards the
// server still works. The seed of a failing run is printed by fast-check.

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { openApi, textAt } from "./api-fixture.ts";

const statusesExpected = new Set([200, 202, 204, 300, 400, 404, 406, 409, 413, 415]);

test("random requests get an answer of the API's own", async (t) => {
  const api = await openApi(t);
  const created = await api.expect(202, "POST", "/volumes", { body: { volume: { size: 1 } } });
  const volumeId = textAt(created, "volume", "id");
  const spot = await api.expect(202, "POST", "/snapshots", { body: { snapshot: { volume_id: volumeId } } });
  const ids = [volumeId, textAt(spot, "snapshot", "id"), "x", "%00", "..", "default"];
  const values = fc.oneof(fc.jsonValue({ maxDepth: 3 }), fc.constantFrom(...ids, "available", "1", "True", -1, 2 ** 53));

  /** An operation of the document with its parameters filled in, and a body that begins as it should. */
  const requests = fc.record({
    operation: fc.constantFrom(...api.document.operations.filter(({ path }) => path.startsWith("/v3/"))),
    id: fc.constantFrom(...ids),
    minor: fc.integer({ min: 0, max: 72 }),
    query: fc.dictionary(fc.constantFrom("limit", "marker", "sort", "name", "metadata", "all_tenants", "é"), fc.string(), {
      maxKeys: 3,
    }),
    inner: fc.oneof(
      values,
      fc.dictionary(fc.constantFrom("size", "name", "metadata", "status", "connector", "volume_id"), values),
    ),
    key: fc.constantFrom("volume", "snapshot", "attachment", "volume_type", "metadata", "meta", "quota_set", "host", "binary"),
  });

  await fc.assert(
    fc.asyncProperty(requests, async ({ operation, id, minor, query, inner, key }) => {
      const path = operation.path.replaceAll(/\{\w+\}/g, encodeURIComponent(id));
      const search = new URLSearchParams(query).toString();
      const body = operation.takesBody ? { body: { [operation.action ?? key]: inner } } : {};
      const answer = await api.call(operation.method, `${path}?${search}`, { version: `3.${minor}`, ...body });
      assert.ok(statusesExpected.has(answer.status), `${operation.id}: ${answer.status} ${answer.text}`);
    }),
    { numRuns: 500 },
  );
  assert.deepEqual(api.errors, []);
  assert.equal((await api.call("GET", "/v3/demo/volumes")).status, 200);
});
