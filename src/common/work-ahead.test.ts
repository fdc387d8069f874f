// Results in order, how much is begun, and what becomes of failures.

import assert from "node:assert/strict";
import { test } from "node:test";
import { WorkAhead } from "./work-ahead.ts";

test("results come in order, each is asked for once, and so many are under way as were taken, up to the limit", async () => {
  const begun: number[] = [];
  const ahead = new WorkAhead(20, 4, async (at) => {
    begun.push(at);
    return at * 10;
  });
  const counts: number[] = [];
  for (let at = 0; at < 20; at++) {
    assert.equal(await ahead.take(), at * 10);
    counts.push(begun.length - at);
  }
  assert.deepEqual(counts.slice(0, 6), [1, 2, 3, 4, 4, 4]);
  assert.deepEqual(
    begun,
    Array.from({ length: 20 }, (_, at) => at),
  );
});

test("a failure is told to who takes that result, and a failed one that nobody takes to nobody", async () => {
  let settled = 0;
  const ahead = new WorkAhead(Infinity, 8, async (at) => {
    await new Promise((resolve) => void setImmediate(resolve));
    settled++;
    if (at >= 2) throw new Error(`failed ${at}`);
    return at;
  });
  await ahead.take();
  await ahead.take();
  await assert.rejects(ahead.take(), /failed 2/);
  await ahead.settled();
  assert.equal(settled, 5);
});
