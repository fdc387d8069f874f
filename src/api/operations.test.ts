// openapi.yaml itself: it compiles, and its operations and the handlers are the same set.

import assert from "node:assert/strict";
import { test } from "node:test";
import { documentPath, loadDocument } from "./api-fixture.ts";
import { allHandlers } from "./handlers/all-handlers.ts";
import { compiledAhead, loadApiDocument } from "./operations.ts";

/** Operations whose success has no JSON: their ids begin with what they do. */
const withoutJson = new RegExp(
  "^(get|showVolumeEncryptionItem|complete|delete|set|unset|reset|force|update|extend|revert|reserve|unreserve" +
    "|add|remove|roll|begin|attach|detach|terminate|enableGroup|disableGroup" +
    "|freeze|thaw|failover|associate|disassociate|unmanage|retype|migrate|reimage|enableCluster|showCluster|refuse)",
);

test("every response schema compiles, and refuses what is no answer of the operation", async () => {
  const document = await loadDocument();
  const silent = document.operations.filter(({ id, status }) => document.checkResponse(id, status, 7) === undefined);
  for (const { id } of silent) assert.match(id, withoutJson);
  assert.ok(document.operations.length - silent.length > 50);
});

test("every handler serves an operation, and every operation below /v3 has one", async () => {
  const { operations } = await loadDocument();
  const served = operations.filter(({ path }) => path.startsWith("/v3/") && path !== "/v3/");
  assert.deepEqual(Object.keys(allHandlers).sort(), [...new Set(served.map(({ handlerId }) => handlerId))].sort());
});

test("the schemas are schemas, and every body's compiles", async () => {
  const { operations } = await loadApiDocument(documentPath, { validateSchemas: true });
  const withBody = operations.filter(({ takesBody }) => takesBody);
  assert.ok(withBody.length > 50);
  for (const { id, checkBody } of withBody) assert.doesNotThrow(() => checkBody({ nothing: 1 }), id);
});

test("the check that is compiled ahead is of an operation with a body", async () => {
  const { operations } = await loadDocument();
  assert.equal(operations.find(({ id }) => id === compiledAhead)?.takesBody, true);
});

test("operation ids are unique", async () => {
  const { operations } = await loadDocument();
  assert.equal(new Set(operations.map(({ id }) => id)).size, operations.length);
});
