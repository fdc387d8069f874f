import assert from "node:assert/strict";
import { test } from "node:test";
import { loadDocument } from "./api-fixture.ts";
import { allHandlers } from "./handlers/all-handlers.ts";

test("every response schema of openapi.yaml compiles and knows wrong from right", async () => {
  const { operations, checkResponse } = await loadDocument();
  const answering = operations.filter(({ id, status }) => checkResponse(id, status, 7) !== undefined);
  const empty = operations.filter(({ id, status }) => checkResponse(id, status, 7) === undefined).map(({ id }) => id);
  assert.ok(answering.length > 50);
  for (const id of empty)
    assert.match(
      id,
      /^(get|showVolumeEncryptionItem|complete|delete|set|unset|reset|force|update|extend|revert|reserve|unreserve|add|remove|roll|begin|attach|detach|terminate)/,
    );
});

test("every handler serves an operation, and every operation below /v3 has one", async () => {
  const { operations } = await loadDocument();
  const served = operations.filter(({ path }) => path.startsWith("/v3/") && path !== "/v3/");
  assert.deepEqual(Object.keys(allHandlers).sort(), [...new Set(served.map(({ handlerId }) => handlerId))].sort());
});

test("operation ids are unique", async () => {
  const { operations } = await loadDocument();
  assert.equal(new Set(operations.map(({ id }) => id)).size, operations.length);
});
