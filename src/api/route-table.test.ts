// Which path is which operation, and which path is nothing.

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { Operation } from "./operations.ts";
import { RouteTable } from "./route-table.ts";

function operation(id: string, method: string, path: string, given: Partial<Operation> = {}): Operation {
  const says = { status: 200, takesBody: false, refusal: undefined, rules: [], fieldRules: [], open: false };
  const rest = { action: undefined, sinceMinor: 0, before: undefined, handlerId: id, ...says, checkBody: () => undefined };
  return { id, method, path, ...rest, ...given };
}

const routes = new RouteTable([
  operation("root", "GET", "/v3/"),
  operation("list", "GET", "/v3/volumes"),
  operation("create", "POST", "/v3/volumes"),
  operation("createStrict", "POST", "/v3/volumes", { sinceMinor: 53 }),
  operation("detail", "GET", "/v3/volumes/detail"),
  operation("show", "GET", "/v3/volumes/{volume_id}"),
  operation("extend", "POST", "/v3/volumes/{volume_id}/action", { action: "os-extend" }),
  operation("revert", "POST", "/v3/volumes/{volume_id}/action", { action: "revert", sinceMinor: 40 }),
  operation("log", "PUT", "/v3/os-services/get-log", { sinceMinor: 32, before: "unknown" }),
  operation("unknown", "PUT", "/v3/os-services/{action}"),
  operation("item", "PUT", "/v3/volumes/{volume_id}/metadata/{key}"),
]);

const found: readonly (readonly [string, string, string, Record<string, string>, string | undefined])[] = [
  ["GET", "/v3/volumes", "list", {}, undefined],
  ["GET", "/v3/demo/volumes", "list", {}, "demo"],
  ["GET", "/v3/0f-a1/volumes", "list", {}, "0f-a1"],
  ["GET", "/v3/volumes.json", "list", {}, undefined],
  ["GET", "/v3/demo/volumes/detail.json", "detail", {}, "demo"],
  ["GET", "/v3/volumes/detail", "detail", {}, undefined],
  ["GET", "/v3/volumes/abc", "show", { volume_id: "abc" }, undefined],
  ["GET", "/v3/demo/volumes/abc", "show", { volume_id: "abc" }, "demo"],
  ["PUT", "/v3/demo/volumes/abc/metadata/a%20b%2Fc", "item", { volume_id: "abc", key: "a b/c" }, "demo"],
];

for (const [method, path, id, params, projectId] of found) {
  test(`${method} ${path} is ${id}`, () => {
    const match = routes.match(method, path);
    assert.equal(match?.route.variants.at(-1)?.id, id);
    assert.deepEqual({ ...match?.params }, params);
    assert.equal(match?.projectId, projectId);
  });
}

const unknown: readonly (readonly [string, string])[] = [
  ["GET", "/v3/volumes/"],
  ["GET", "/v3/demo/volumes/"],
  ["POST", "/v3/volumes//action"],
  ["GET", "/v3//volumes"],
  ["GET", "/v3/demo"],
  ["GET", "/v3/a b/volumes"],
  ["GET", "/v3/demo/volumes/abc/nothing"],
  ["GET", "/v2/volumes"],
  ["GET", "/v3volumes"],
  ["DELETE", "/v3/volumes"],
  ["HEAD", "/v3/volumes"],
  ["OPTIONS", "/v3/volumes"],
  ["GET", "/v3/volumes/%zz"],
  ["GET", "/v3/volumes/{volume_id}/action"],
];

for (const [method, path] of unknown) {
  test(`${method} ${path} is nothing`, () => {
    assert.equal(routes.match(method, path), undefined);
  });
}

test("variants stand newest first, actions by key", () => {
  assert.deepEqual(
    routes.match("POST", "/v3/volumes")?.route.variants.map(({ id }) => id),
    ["createStrict", "create"],
  );
  const { actions, variants } = routes.match("POST", "/v3/volumes/x/action")!.route;
  assert.deepEqual([...actions.keys()], ["os-extend", "revert"]);
  assert.deepEqual(variants, []);
});

test("an operation may have another that answers below its microversion; an unknown one is a mistake of the description", () => {
  assert.equal(routes.match("PUT", "/v3/os-services/get-log")?.route.before?.id, "unknown");
  assert.equal(routes.match("PUT", "/v3/os-services/other")?.route.before, undefined);
  assert.throws(() => new RouteTable([operation("log", "PUT", "/v3/log", { before: "nobody" })]), TypeError);
});

test("one place cannot have two parameter names", () => {
  const twice = [operation("a", "GET", "/v3/things/{id}"), operation("b", "PUT", "/v3/things/{name}")];
  assert.throws(() => new RouteTable(twice), TypeError);
});

test("no path makes the lookup throw", () => {
  const segment = fc.oneof(fc.constantFrom("volumes", "demo", "detail", "", "..", "%", "__proto__", "constructor"), fc.string());
  fc.assert(
    fc.property(fc.array(segment, { maxLength: 6 }), (segments) => {
      routes.match("GET", `/v3/${segments.join("/")}`);
    }),
  );
});
