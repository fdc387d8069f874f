// Patterns of access rules.

import assert from "node:assert/strict";
import { test } from "node:test";
import { isAllowed } from "./access-rules.ts";

const cases: readonly (readonly [string, string, boolean])[] = [
  ["/v3/volumes", "/v3/volumes", true],
  ["/v3/volumes", "/v3/volumes/1", false],
  ["/v3/volumes", "/x/v3/volumes", false],
  ["/v3/*/volumes", "/v3/demo/volumes", true],
  ["/v3/*/volumes", "/v3/a/b/volumes", false],
  ["/v3/{project_id}/volumes/{id}", "/v3/demo/volumes/1", true],
  ["/v3/{project_id}/volumes/{id}", "/v3/demo/volumes/", false],
  ["/v3/**", "/v3/demo/volumes/1", true],
  ["/v3/**/metadata", "/v3/demo/volumes/1/metadata", true],
  ["/v3/volumes.json", "/v3/volumesxjson", false],
  ["/v3/(a+)+$", "/v3/(a+)+$", true],
  ["/v3/{", "/v3/{", true],
];

for (const [pattern, path, expected] of cases) {
  test(`${pattern} ${expected ? "allows" : "does not allow"} ${path}`, () => {
    const rules = [{ service: "block-storage", method: "GET", path: pattern }];
    assert.equal(isAllowed(rules, { serviceType: "block-storage", method: "GET", path }), expected);
    assert.equal(isAllowed(rules, { serviceType: "block-storage", method: "POST", path }), false);
    assert.equal(isAllowed(rules, { serviceType: "volumev3", method: "GET", path }), false);
    assert.equal(isAllowed(rules, { serviceType: "", method: "GET", path }), false);
  });
}

test("a credential with an empty list of rules allows nothing", () => {
  assert.equal(isAllowed([], { serviceType: "block-storage", method: "GET", path: "/v3/volumes" }), false);
});
