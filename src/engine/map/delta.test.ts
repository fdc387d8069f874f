// The delta against a plain map: entries, zeroed ranges, and what is said about them.

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { engineLimits } from "../limits.ts";
import { Delta, zeroHandle } from "./delta.ts";

const space = 1200;
type Change = { readonly cluster: number; readonly count: number; readonly zero: boolean };

const changes = fc.array(
  fc.record({
    cluster: fc.nat(space - 1),
    count: fc.oneof(fc.integer({ min: 1, max: 8 }), fc.integer({ min: 1, max: 400 })),
    zero: fc.boolean(),
  }),
  { maxLength: 60 },
);

/** "z" for zeroed, a number for the place of a put, undefined for the tree's business. */
function replay(list: readonly Change[]): { delta: Delta; model: ("z" | number | undefined)[] } {
  const delta = new Delta();
  const model: ("z" | number | undefined)[] = Array(space + 400);
  list.forEach(({ cluster, count, zero }, i) => {
    if (zero) {
      delta.zero(cluster, count);
      model.fill("z", cluster, cluster + count);
      return;
    }
    for (let c = cluster; c < cluster + Math.min(count, 20); c++) {
      delta.put(c, i + 1, i * 10, c);
      model[c] = i + 1;
    }
  });
  return { delta, model };
}

test("every look-up says what a plain map says", () => {
  fc.assert(
    fc.property(changes, (list) => {
      const { delta, model } = replay(list);
      let entries = 0;
      for (let cluster = 0; cluster < model.length; cluster++) {
        const slot = delta.find(cluster);
        if (slot >= 0) entries++;
        const handle = slot < 0 ? undefined : delta.handleAt(slot);
        const found = handle === zeroHandle ? "z" : (handle ?? (delta.isInRange(cluster) ? "z" : undefined));
        assert.equal(found, model[cluster], `cluster ${cluster}`);
        if (typeof found === "number") assert.deepEqual([delta.offsetAt(slot), delta.crcAt(slot)], [(found - 1) * 10, cluster]);
      }
      assert.equal(delta.entryCount, entries);
      assert.equal(delta.isEmpty, list.length === 0);
    }),
    { numRuns: 400 },
  );
});

test("ranges are sorted, disjoint, not adjacent, and change where rangeChangeAfter says", () => {
  fc.assert(
    fc.property(changes, (list) => {
      const { delta } = replay(list);
      const borders = delta.ranges();
      for (let i = 1; i < borders.length; i++) assert.ok(borders[i - 1]! < borders[i]!);
      assert.equal(delta.rangeCount * 2, borders.length);
      for (let cluster = 0; cluster < space + 400; cluster++) {
        const change = delta.rangeChangeAfter(cluster);
        assert.ok(change > cluster);
        const end = Math.min(change, space + 410);
        for (let c = cluster; c < end; c += 37) assert.equal(delta.isInRange(c), delta.isInRange(cluster));
        if (change < Infinity) assert.notEqual(delta.isInRange(change), delta.isInRange(cluster));
      }
    }),
    { numRuns: 150 },
  );
});

test("entries come in order, each once, and nextEntry finds the next, also after later changes", () => {
  fc.assert(
    fc.property(changes, changes, (before, after) => {
      const { delta } = replay(before);
      delta.nextEntry(0); // what it remembers must not outlive the changes that follow
      for (const { cluster, count, zero } of after) {
        if (zero) delta.zero(cluster, count);
        else delta.put(cluster, 9, 0, 0);
      }
      const expected = Array.from({ length: space + 400 }, (_, c) => c).filter((c) => delta.find(c) >= 0);
      assert.deepEqual([...delta.sortedClusters()], expected);
      for (let cluster = 0; cluster < space + 400; cluster += 11) {
        assert.equal(delta.nextEntry(cluster), expected.find((c) => c >= cluster) ?? Infinity);
      }
    }),
    { numRuns: 150 },
  );
});

test("the last cluster of the largest disk can be written and zeroed", () => {
  const delta = new Delta();
  const last = 2 ** 32 - 1;
  delta.put(last, 3, 5, 7);
  assert.equal(delta.handleAt(delta.find(last)), 3);
  assert.equal(delta.nextEntry(0), last);
  delta.zero(0, 2 ** 32);
  assert.equal(delta.find(last), -1);
  assert.ok(delta.isInRange(last) && delta.isInRange(0));
  assert.equal(delta.rangeChangeAfter(0), 2 ** 32);
  delta.zero(last - 5, engineLimits.zeroEntriesInlineMax >> 4);
  assert.equal(delta.entryCount, engineLimits.zeroEntriesInlineMax >> 4);
});
