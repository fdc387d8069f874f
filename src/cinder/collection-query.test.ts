// Lists: pages in any order equal what a plain filter and sort say, and a page in the default order looks at itself only.

import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { runQuery, type Shape } from "./collection-query.ts";
import { CinderFault, notFound } from "./faults.ts";
import { defaultListQuery, type ListQuery } from "./list-query.ts";
import { compareOrder, OrderedList } from "./ordered-list.ts";

interface Row {
  readonly id: string;
  readonly createdAtMs: number;
  readonly name: string | null;
  readonly size: number;
}

let looks = 0;

const shape: Shape<Row> = {
  fields: {
    id: (row) => row.id,
    name: (row) => {
      looks++;
      return row.name;
    },
    size: (row) => row.size,
    created_at: (row) => row.createdAtMs,
  },
  sortKeys: new Set(["id", "name", "size", "created_at"]),
  updatedAtMs: () => null,
  unknownMarker: (id) => notFound(`Row ${id} could not be found.`),
};

const rowsOf = fc.uniqueArray(
  fc.record({
    id: fc.integer({ min: 0, max: 999 }).map((n) => `id${n}`),
    createdAtMs: fc.nat(5),
    name: fc.constantFrom(null, "a", "b", "ü"),
    size: fc.nat(3),
  }),
  { selector: (row) => row.id, maxLength: 30 },
);

function listOf(rows: readonly Row[]): OrderedList<Row> {
  const list = new OrderedList<Row>();
  for (const row of rows) list.put(row);
  return list;
}

function pagesOf(list: OrderedList<Row>, rows: readonly Row[], query: ListQuery): readonly string[] {
  const ids: string[] = [];
  let marker: string | undefined;
  for (;;) {
    const paged = marker === undefined ? query : { ...query, marker };
    const page = runQuery(list, shape, paged, (id) => rows.find((row) => row.id === id));
    if (page.items.length === 0) return ids;
    ids.push(...page.items.map((row) => row.id));
    marker = ids.at(-1)!;
  }
}

test("following the markers gives every matching row once, in order", () => {
  const key = fc.record({ key: fc.constantFrom("created_at", "name", "size"), descending: fc.boolean() });
  const sorts = fc.uniqueArray(key, { selector: (one) => one.key, maxLength: 2 });
  const filters = fc.constantFrom<ListQuery["filters"]>({}, { size: ["1"] }, { size: ["1", "2"] }, { name: ["ü"] });
  fc.assert(
    fc.property(rowsOf, sorts, filters, fc.integer({ min: 1, max: 5 }), (rows, sort, filter, limit) => {
      const query = { ...defaultListQuery, sort, filters: filter, limit };
      const matching = rows.filter((row) =>
        Object.entries(filter).every(([name, values]) => values.includes(String(row[name as "name" | "size"]))),
      );
      const keys = sort.length === 0 ? [{ key: "created_at", descending: true }] : sort;
      const rank = (value: string | number | null): string | number => value ?? "";
      const expected = [...matching].sort((a, b) => {
        for (const { key: name, descending } of [...keys, { key: "id", descending: keys.at(-1)!.descending }]) {
          const fieldOf = (row: Row): string | number =>
            rank(name === "created_at" ? row.createdAtMs : row[name as "id" | "size"]);
          const [x, y] = [fieldOf(a), fieldOf(b)];
          if (x !== y) return x < y === descending ? 1 : -1;
        }
        return 0;
      });
      assert.deepEqual(
        pagesOf(listOf(rows), rows, query),
        expected.map((row) => row.id),
      );
      const counted = runQuery(listOf(rows), shape, { ...query, withCount: true, offset: 2 }, () => undefined);
      assert.equal(counted.count, matching.length);
      assert.deepEqual(
        counted.items.map((row) => row.id),
        expected.slice(2, 2 + limit).map((row) => row.id),
      );
    }),
  );
});

test("a page of 100 rows in 20,000 looks at its own rows only", () => {
  const list = new OrderedList<Row>();
  const rows = Array.from({ length: 20_000 }, (_, i) => ({ id: `id${i}`, createdAtMs: i, name: "a", size: 1 }));
  for (const row of rows) list.append(row);
  looks = 0;
  const query = { ...defaultListQuery, limit: 100, filters: { name: ["a"] }, marker: "id10000" };
  const page = runQuery(list, shape, query, () => rows[10_000]);
  assert.equal(page.items[0]?.id, "id9999");
  assert.equal(page.items.length, 100);
  assert.equal(looks, 100);
});

test("unknown markers, sort keys and filters", () => {
  const list = listOf([{ id: "a", createdAtMs: 1, name: null, size: 1 }]);
  const none = (): undefined => undefined;
  assert.throws(() => runQuery(list, shape, { ...defaultListQuery, marker: "zzz" }, none), /^CinderFault: Row zzz could not/);
  const sort = [{ key: "constructor", descending: true }];
  assert.throws(() => runQuery(list, shape, { ...defaultListQuery, sort }, none), CinderFault);
  assert.equal(runQuery(list, shape, { ...defaultListQuery, filters: { toString: ["a"] } }, none).items.length, 0);
  assert.equal(runQuery(list, shape, { ...defaultListQuery, limit: 0 }, none).items.length, 0);
});

test("an ordered list stays ordered through loads, puts, replacements and deletes", () => {
  fc.assert(
    fc.property(rowsOf, rowsOf, (loaded, later) => {
      const list = new OrderedList<Row>();
      for (const row of loaded) list.append(row);
      const expected = new Map(loaded.map((row) => [`${row.createdAtMs}/${row.id}`, row]));
      for (const row of later) {
        if (row.size === 0) list.delete(row);
        else list.put(row);
        if (row.size === 0) expected.delete(`${row.createdAtMs}/${row.id}`);
        else expected.set(`${row.createdAtMs}/${row.id}`, row);
      }
      assert.deepEqual([...list], [...expected.values()].sort(compareOrder));
    }),
  );
});

test("a word in capitals is found in any letters, others in their own only", () => {
  const capitals: Shape<Row> = { ...shape, capitals: new Set(["name"]) };
  const list = listOf([{ id: "id1", createdAtMs: 1, name: "VOLUME", size: 1 }]);
  const find = (of: Shape<Row>, name: string): number =>
    runQuery(list, of, { ...defaultListQuery, filters: { name: [name] } }, () => undefined).items.length;
  assert.deepEqual([find(capitals, "volume"), find(capitals, "VOLUME"), find(capitals, "volumes")], [1, 1, 0]);
  assert.deepEqual([find(shape, "volume"), find(shape, "VOLUME")], [0, 1]);
});
