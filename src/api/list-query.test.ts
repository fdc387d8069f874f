// Query strings of lists by microversion and role: what is read, dropped and refused.

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { ListQuery } from "../cinder/list-query.ts";
import { HttpFault } from "./http-fault.ts";
import { parseListQuery, readQuery } from "./list-query.ts";
import { type ListRules, messageListRules, snapshotListRules, volumeListRules } from "./resource-filters.ts";

interface Asked {
  readonly minor?: number;
  readonly isAdmin?: boolean;
  readonly rules?: ListRules;
}

function parse(text: string, { minor = 0, isAdmin = true, rules = volumeListRules }: Asked = {}): ListQuery {
  return parseListQuery({ query: readQuery(text), minor, isAdmin, limitMax: 1000 }, rules);
}

function refusal(text: string, asked?: Asked): string {
  try {
    parse(text, asked);
  } catch (error) {
    assert.ok(error instanceof HttpFault);
    assert.equal(error.status, 400);
    return error.message;
  }
  assert.fail(`${text} was accepted`);
}

test("without parameters a list is as long as it may be, newest first", () => {
  assert.deepEqual(parse(""), {
    limit: 1000,
    offset: 0,
    sort: [],
    filters: {},
    like: {},
    metadata: {},
    imageMetadata: {},
    times: [],
    allTenants: false,
    withCount: false,
  });
});

test("limit is lowered to the maximum, and 0 is allowed", () => {
  assert.equal(parse("limit=5000").limit, 1000);
  assert.equal(parse("limit=21").limit, 21);
  assert.equal(parse("limit=0").limit, 0);
});

const refusals: readonly (readonly [string, string, Asked?])[] = [
  ["limit=-1", "limit param must be positive"],
  ["limit=x", "limit param must be an integer"],
  ["limit=", "limit param must be an integer"],
  ["offset=-1", "offset must be >= 0"],
  ["offset=a", "offset must be an integer"],
  ["offset=2147483648", "offset must be <= 2147483647"],
  [
    "sort=name&sort_key=id",
    "The 'sort_key' and 'sort_dir' parameters are deprecated and cannot be used with the 'sort' parameter.",
  ],
  ["sort=name:up", "Invalid input received: Unknown sort direction, must be 'desc' or 'asc'."],
  ["sort_dir=down", "Invalid input received: Unknown sort direction, must be 'desc' or 'asc'."],
  ["sort=name", "Invalid input received: Invalid sort key", { minor: 29, rules: snapshotListRules }],
  ["foo=1", "Invalid filters foo are found in query options.", { minor: 31, isAdmin: false }],
  ["name~=a", "Invalid filters name~ are found in query options.", { minor: 34, isAdmin: false }],
  ["bootable=x", "Invalid input received: 'bootable = x'", { minor: 2 }],
  ["metadata=x", "Invalid input received: the filter metadata must be a dictionary, such as {'key': 'value'}"],
  ["created_at=soon", "Invalid soon operator", { minor: 60 }],
  ["created_at=gt:soon", "Invalid created_at value: soon is not an ISO 8601 time", { minor: 60 }],
  ["created_at=near:2020-01-01", "Invalid near operator", { minor: 60 }],
  ["all_tenants=x", "Value 'x' for 'all_tenants' is not a boolean."],
  ["with_count=x", "Value 'x' for 'with_count' is not a boolean.", { minor: 45 }],
];

for (const [text, message, asked] of refusals) {
  test(`"${text}" at 3.${asked?.minor ?? 0} is refused`, () => {
    assert.equal(refusal(text, asked), message);
  });
}

test("sort takes keys with and without a direction", () => {
  assert.deepEqual(parse("sort=name:asc,size,created_at:desc").sort, [
    { key: "name", descending: false },
    { key: "size", descending: true },
    { key: "created_at", descending: true },
  ]);
  assert.deepEqual(parse("sort_key=size&sort_dir=asc").sort, [{ key: "size", descending: false }]);
  assert.deepEqual(parse("sort_dir=asc").sort, [{ key: "created_at", descending: false }]);
  assert.deepEqual(parse("sort=name:asc", { minor: 30, rules: snapshotListRules }).sort, [{ key: "name", descending: false }]);
});

test("below 3.31 a member's unknown filters are dropped in silence", () => {
  assert.deepEqual(parse("foo=1&status=available", { minor: 30, isAdmin: false }).filters, { status: ["available"] });
});

test("administrators filter by anything", () => {
  assert.deepEqual(parse("foo=1&host=a%40b", { minor: 31 }).filters, { foo: ["1"], host: ["a@b"] });
});

test("filters that came later are dropped below their microversion", () => {
  assert.deepEqual(parse("group_id=g", { minor: 9 }).filters, {});
  assert.deepEqual(parse("group_id=g", { minor: 10 }).filters, { group_id: ["g"] });
  assert.deepEqual(parse("consumes_quota=1", { minor: 64 }).filters, {});
  assert.deepEqual(parse("consumes_quota=1", { minor: 65 }).filters, { consumes_quota: ["true"] });
  assert.deepEqual(parse("glance_metadata={'a':'b'}", { minor: 3 }).imageMetadata, {});
  assert.deepEqual(parse("glance_metadata={'a':'b'}", { minor: 4, isAdmin: false }).imageMetadata, { a: "b" });
  assert.deepEqual(parse("created_at=gt:2020-01-01", { minor: 59 }).times, []);
});

test("name~ is a like filter from 3.34", () => {
  assert.deepEqual(parse("name~=web", { minor: 34 }).like, { name: "web" });
  assert.deepEqual(parse("name~=web", { minor: 33 }).like, {});
});

test("bootable is lax below 3.2 and strict from there", () => {
  assert.deepEqual(parse("bootable=x").filters, { bootable: ["true"] });
  assert.deepEqual(parse("bootable=False").filters, { bootable: ["false"] });
  assert.deepEqual(parse("bootable=0", { minor: 2 }).filters, { bootable: ["false"] });
  assert.deepEqual(parse("bootable=t", { minor: 2 }).filters, { bootable: ["true"] });
});

test("values may be Python lists and quoted texts", () => {
  assert.deepEqual(parse("id=['a','b']").filters, { id: ["a", "b"] });
  assert.deepEqual(parse("name='x'").filters, { name: ["x"] });
  assert.deepEqual(parse("name=[open").filters, { name: ["[open"] });
  assert.deepEqual(parse("multiattach=True").filters, { multiattach: ["true"] });
  assert.deepEqual(parse("name=日本 é").filters, { name: ["日本 é"] });
});

test("metadata filters are Python dictionaries", () => {
  assert.deepEqual(parse("metadata={'a': 'b', u'c': 'd'}").metadata, { a: "b", c: "d" });
});

test("times are read as UTC, several at once", () => {
  const { times } = parse("created_at=gt:2020-01-01T00:00:00,lt:2020-01-02T03:04:05.678Z&updated_at=neq:2020-01-01", {
    minor: 60,
  });
  assert.deepEqual(times, [
    { key: "created_at", operator: "gt", atMs: Date.UTC(2020, 0, 1) },
    { key: "created_at", operator: "lt", atMs: Date.UTC(2020, 0, 2, 3, 4, 5, 678) },
    { key: "updated_at", operator: "neq", atMs: Date.UTC(2020, 0, 1) },
  ]);
});

test("all_tenants and with it project_id are for administrators", () => {
  assert.equal(parse("all_tenants=1").allTenants, true);
  assert.equal(parse("all_tenants=x", { isAdmin: false }).allTenants, false);
  assert.deepEqual(parse("all_tenants=1&project_id=p").filters, { project_id: ["p"] });
  assert.deepEqual(parse("project_id=p").filters, {});
});

test("with_count counts from 3.45", () => {
  assert.equal(parse("with_count=True", { minor: 44 }).withCount, false);
  assert.equal(parse("with_count=True", { minor: 45 }).withCount, true);
});

test("messages have no paging below 3.5", () => {
  assert.equal(parse("limit=1&marker=m", { minor: 4, rules: messageListRules }).limit, 1000);
  assert.equal(parse("limit=1&marker=m", { minor: 5, rules: messageListRules }).marker, "m");
});

test("of a parameter given twice the last one counts", () => {
  assert.equal(parse("limit=1&limit=2").limit, 2);
  assert.deepEqual(parse("name=a&name=b").filters, { name: ["b"] });
});

test("any query is parsed or refused with 400", () => {
  const key = fc.oneof(
    fc.constantFrom("limit", "sort", "metadata", "bootable", "created_at", "all_tenants", "name~"),
    fc.string(),
  );
  fc.assert(
    fc.property(fc.array(fc.tuple(key, fc.string())), fc.integer({ min: 0, max: 71 }), fc.boolean(), (pairs, minor, isAdmin) => {
      try {
        parse(new URLSearchParams(pairs.map(([name, value]): [string, string] => [name, value])).toString(), { minor, isAdmin });
      } catch (error) {
        assert.ok(error instanceof HttpFault && error.status === 400, String(error));
      }
    }),
  );
});
