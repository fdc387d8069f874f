// Ratios, medians and aims of the benchmarks' rows.

import assert from "node:assert/strict";
import { test } from "node:test";
import { formatRows, makeRow, median } from "./row.ts";

const throughput = { name: "reads", unit: "IOPS", better: "higher" } as const;
const latency = { name: "wait", unit: "ms", better: "lower" } as const;

test("the median is the middle, or between the two middle ones, of any order", () => {
  assert.equal(median([9, 1, 5]), 5);
  assert.equal(median([4, 1, 2, 3]), 2.5);
  assert.throws(() => median([]), /no values/);
});

test("a ratio above 1 is better for us, for rates and for latencies", () => {
  assert.equal(makeRow(throughput, "peer", [200], [100], { ratio: 1 }).ratio, 2);
  assert.equal(makeRow(latency, "peer", [2], [5], { ratio: 1 }).ratio, 2.5);
});

test("a row is of medians, with the range of the rounds' ratios", () => {
  const row = makeRow(throughput, "peer", [100, 300, 200], [100, 100, 400], undefined);
  assert.deepEqual([row.ours, row.peer, row.ratio, row.ratioMin, row.ratioMax], [200, 100, 2, 0.5, 3]);
  assert.deepEqual([row.aim, row.reached], [null, null]);
});

test("an aim is reached at its ratio, unless our own figure is above its limit", () => {
  assert.equal(makeRow(latency, "peer", [5], [10], { ratio: 2 }).reached, true);
  assert.equal(makeRow(latency, "peer", [5], [9.9], { ratio: 2 }).reached, false);
  assert.equal(makeRow(latency, "peer", [7], [100], { ratio: 2, oursMax: 6 }).reached, false);
});

test("the table has a line for each row and says what was not reached", () => {
  const rows = [makeRow(throughput, "peer", [1], [2], { ratio: 1 }), makeRow(latency, "peer", [1], [2], { ratio: 1 })];
  const lines = formatRows(rows).split("\n");
  assert.equal(lines.length, 3);
  assert.match(lines[1]!, /NO$/);
  assert.match(lines[2]!, /yes$/);
});
