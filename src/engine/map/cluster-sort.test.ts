// Sorting cluster numbers: the order of a plain sort, whatever the numbers; and the loop turns meanwhile.

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { sortClusters } from "./cluster-sort.ts";

const clusters = fc.oneof(
  fc.array(fc.integer({ min: 0, max: 2 ** 32 - 1 }), { maxLength: 300 }),
  fc.array(fc.integer({ min: 0, max: 300 }), { maxLength: 300 }),
  fc.array(fc.integer({ min: 0x0100_0000, max: 0x0100_ffff }), { maxLength: 300 }),
);

test("the numbers come in ascending order, each as often as before", async () => {
  await fc.assert(
    fc.asyncProperty(clusters, async (list) => {
      const sorted = await sortClusters(Uint32Array.from(list));
      assert.deepEqual(sorted, Uint32Array.from(list).sort());
    }),
    { numRuns: 200 },
  );
});

test("other work gets its turn many times while many numbers are sorted", async () => {
  let turns = 0;
  const turn = (): void => {
    turns++;
    waiting = setImmediate(turn);
  };
  let waiting = setImmediate(turn);
  await sortClusters(Uint32Array.from({ length: 300_000 }, (_, i) => Math.imul(i, 0x9e3779b1) >>> 0));
  clearImmediate(waiting);
  assert.ok(turns >= 30, `${turns} turns for four passes`);
});
