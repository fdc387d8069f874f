// Changed areas against a set of areas.

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { areaBytes, ChangedAreas } from "./changed-areas.ts";
import { clusterBytes, diskClustersMax } from "./limits.ts";

const areaClusters = areaBytes / clusterBytes;
const writes = fc.array(
  fc.record({
    first: fc.oneof(fc.nat(4000), fc.integer({ min: 520_000, max: 530_000 })),
    count: fc.integer({ min: 1, max: 900 }),
  }),
  { maxLength: 30 },
);

test("what was written is noted, by whole areas, in order, joined, and nothing else", () => {
  fc.assert(
    fc.property(writes, writes, (some, others) => {
      const [changed, other, wanted] = [new ChangedAreas(), new ChangedAreas(), new Set<number>()];
      for (const { first, count } of [...some, ...others]) {
        for (let cluster = first; cluster < first + count; cluster++) wanted.add(Math.floor(cluster / areaClusters));
      }
      for (const { first, count } of some) changed.note(first, count);
      for (const { first, count } of others) other.note(first, count);
      changed.add(other);
      const found: number[] = [];
      let end = -1;
      for (const { offset, lengthBytes } of changed.ranges()) {
        assert.ok(offset > end, "ranges are joined");
        end = offset + lengthBytes;
        for (let at = offset; at < end; at += areaBytes) found.push(at / areaBytes);
      }
      assert.deepEqual(
        found,
        [...wanted].sort((a, b) => a - b),
      );
      assert.equal(changed.bytes, wanted.size * areaBytes);
      for (const area of [...wanted].slice(0, 50)) assert.ok(changed.overlaps(area * areaBytes + 7, 1));
      for (let area = 0; area < 60; area++) assert.equal(changed.overlaps(area * areaBytes, areaBytes), wanted.has(area));
    }),
    { numRuns: 60 },
  );
});

test("the largest disk, trimmed whole, is one range", () => {
  const changed = new ChangedAreas();
  changed.note(5, 1);
  changed.note(0, diskClustersMax);
  changed.note(diskClustersMax - 1, 1);
  assert.deepEqual([...changed.ranges()], [{ offset: 0, lengthBytes: diskClustersMax * clusterBytes }]);
});
