// The hash of a delta against a plain map, through splits of its parts, and with clusters chosen to be in one.

import assert from "node:assert/strict";
import { test } from "node:test";
import { seededRandom } from "../../common/random.ts";
import { DeltaTable } from "./delta-table.ts";

test("what was put is found, what was removed is not, through all sizes", () => {
  for (const [seed, space] of [3, 4096, 5000, 60_000, 2 ** 32].entries()) {
    const random = seededRandom(seed);
    const table = new DeltaTable();
    if (seed % 2 === 1) table.reserve(space);
    const model = new Map<number, number>();
    for (let round = 1; round < 60_000; round++) {
      const cluster = random.below(space);
      if (random.below(3) === 0) {
        const position = table.find(cluster);
        assert.equal(position >= 0, model.delete(cluster));
        if (position >= 0) table.removeAt(position);
      } else {
        assert.equal(table.put(cluster, round, round + 1, round + 2), model.get(cluster) ?? 0);
        model.set(cluster, round);
      }
    }
    assert.equal(table.count, model.size);
    const seen = new Map<number, number>();
    table.each((cluster, position) => {
      const handle = table.handleAt(position);
      assert.deepEqual([table.offsetAt(position), table.crcAt(position)], [handle + 1, handle + 2]);
      assert.equal(table.find(cluster), position);
      seen.set(cluster, handle);
    });
    assert.deepEqual(seen, model);
  }
});

test("a table takes room in proportion to what is in it, also when entries come and go", () => {
  const table = new DeltaTable();
  for (let cluster = 0; cluster < 200_000; cluster++) {
    table.put(cluster, 1, 0, 0);
    if (cluster >= 1000) table.removeAt(table.find(cluster - 1000));
  }
  assert.ok(table.slotCount < 100_000, `${table.slotCount} slots`);
  const full = new DeltaTable();
  for (let cluster = 0; cluster < 200_000; cluster++) full.put(cluster * 4096, 1, 0, 0);
  assert.ok(full.slotCount < 800_000, `${full.slotCount} slots`);
});
