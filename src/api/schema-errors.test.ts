// Request schemas of openapi.yaml, and the sentences for what they refuse.

import assert from "node:assert/strict";
import { before, test } from "node:test";
import { loadDocument } from "./api-fixture.ts";
import type { ApiDocument } from "./operations.ts";

let document: ApiDocument;

before(async () => {
  document = await loadDocument();
});

const cases: readonly (readonly [string, unknown, string | undefined])[] = [
  ["createVolume", { volume: { size: 1 } }, undefined],
  ["createVolume", { volume: { size: "2", name: null, metadata: null } }, undefined],
  ["createVolume", { volume: { size: 1, unknown: 1 }, other: 2 }, undefined],
  ["createVolume", {}, "'volume' is a required property"],
  ["createVolume", null, "None is not of type 'object'"],
  ["createVolume", [], "[] is not of type 'object'"],
  [
    "createVolume",
    { volume: { size: -1 } },
    "Invalid input for field/attribute size. Value: -1. -1 is less than the minimum of 1",
  ],
  [
    "createVolume",
    { volume: { size: "#$%" } },
    "Invalid input for field/attribute size. Value: #$%. '#$%' does not match '^[0-9]+$'",
  ],
  [
    "createVolume",
    { volume: { size: 1, metadata: { k: 5 } } },
    "Invalid input for field/attribute k. Value: 5. 5 is not of type 'string'",
  ],
  [
    "createVolumeStrict",
    { volume: { size: 1, unknown: 1 } },
    "Invalid input for field/attribute volume. Value: {'size': 1, 'unknown': 1}. " +
      "Additional properties are not allowed ('unknown' was unexpected)",
  ],
  [
    "updateVolumeStrict",
    { volume: {} },
    "Invalid input for field/attribute volume. Value: {}. {} is not valid under any of the given schemas",
  ],
  ["updateVolume", { volume: {} }, undefined],
  [
    "createSnapshot",
    { snapshot: {} },
    "Invalid input for field/attribute snapshot. Value: {}. 'volume_id' is a required property",
  ],
  [
    "createAttachment",
    { attachment: { volume_uuid: "x" } },
    "Invalid input for field/attribute volume_uuid. Value: x. 'x' is not a 'uuid'",
  ],
  ["setVolumeBootable", { "os-set_bootable": { bootable: "yes" } }, undefined],
];

for (const [operationId, body, problem] of cases) {
  test(`${operationId} says "${problem ?? "fine"}" of ${JSON.stringify(body)}`, () => {
    const operation = document.operations.find(({ id }) => id === operationId);
    assert.equal(operation?.checkBody(body), problem);
  });
}

test("a name of 300 characters is too long, whatever they are", () => {
  const operation = document.operations.find(({ id }) => id === "createVolume");
  assert.equal(operation?.checkBody({ volume: { size: 1, name: "😀".repeat(255) } }), undefined);
  const problem = operation?.checkBody({ volume: { size: 1, name: "é".repeat(256) } });
  assert.equal(problem, "Invalid input received: name has 256 characters, more than 255.");
});
