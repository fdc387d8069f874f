// A delta that was filled in the order of its table is the one that was filled in the order of the writes.

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { engineLimits } from "../limits.ts";
import { Delta } from "./delta.ts";
import { PlaceCount, type PlaceSink } from "./sorted-places.ts";

const changes = fc.array(fc.record({ cluster: fc.nat(40), count: fc.integer({ min: 1, max: 6 }), zero: fc.boolean() }), {
  maxLength: 60,
});

function write(sink: PlaceSink, list: readonly { cluster: number; count: number; zero: boolean }[]): void {
  for (const [i, { cluster, count, zero }] of list.entries()) {
    // Some of them far apart: a bucket of their own each.
    const first = cluster * 0x0100_0001;
    if (zero) sink.zero(first, count);
    else for (let k = 0; k < count; k++) sink.put(first + k, i + 1, i * 10 + k, cluster);
  }
}

function contentOf(delta: Delta): readonly (readonly number[])[] {
  return [...delta.sortedClusters()].map((cluster) => {
    const slot = delta.find(cluster);
    return [cluster, delta.handleAt(slot), delta.offsetAt(slot), delta.crcAt(slot)];
  });
}

test("sorted or not, a delta has the same places", async () => {
  await fc.assert(
    fc.asyncProperty(changes, async (list) => {
      const [plain, sorted, count] = [new Delta(), new Delta(), new PlaceCount()];
      write(plain, list);
      write(count, list);
      const places = count.sorted();
      write(places, list);
      await places.into(sorted);
      assert.deepEqual(contentOf(sorted), contentOf(plain));
    }),
    { numRuns: 200 },
  );
});

test("a range of zeroes is told, as it cannot be sorted", () => {
  const count = new PlaceCount();
  count.zero(0, engineLimits.zeroEntriesInlineMax);
  assert.equal(count.hasRanges, false);
  count.zero(0, engineLimits.zeroEntriesInlineMax + 1);
  assert.equal(count.hasRanges, true);
  assert.throws(() => count.sorted());
});
