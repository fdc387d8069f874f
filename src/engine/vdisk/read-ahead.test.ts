// What is read ahead, by counts: of streams that miss, bounded, once each, and nothing of what is read at random or hot.

import assert from "node:assert/strict";
import { test } from "node:test";
import { seededRandom } from "../../common/random.ts";
import { ReadAhead } from "./read-ahead.ts";

/** Reads [from, to) in steps; what was read ahead is in memory. Returns the ranges that were asked for. */
function readInOrder(
  ahead: ReadAhead,
  from: number,
  to: number,
  step: number,
): { fetched: Set<number>; asked: number; misses: number } {
  const fetched = new Set<number>();
  let [asked, misses] = [0, 0];
  for (let at = from; at < to; at += step) {
    const missed = Array.from({ length: step }, (_, i) => at + i).some((cluster) => !fetched.has(cluster));
    if (missed) misses++;
    const range = ahead.note(at, step, missed);
    if (range === undefined) continue;
    asked++;
    for (let i = 0; i < range.count; i++) {
      assert.ok(!fetched.has(range.first + i), "nothing is fetched twice");
      fetched.add(range.first + i);
    }
    assert.ok(range.first + range.count - (at + step) <= 1024, "never more than the window");
  }
  return { fetched, asked, misses };
}

test("a stream that misses is read ahead in few large pieces, and misses no more", () => {
  const { fetched, asked, misses } = readInOrder(new ReadAhead(1024), 0, 100_000, 1);
  assert.ok(misses < 100, `${misses} misses`);
  assert.ok(asked < 300, `${asked} pieces`);
  assert.ok(fetched.size <= 100_000 + 1024);
});

test("two streams side by side are both read ahead, whatever their steps", () => {
  const ahead = new ReadAhead(1024);
  let misses = 0;
  const fetched = new Set<number>();
  for (let i = 0; i < 4000; i++) {
    for (const at of [i * 4, 10_000_000 + i * 4]) {
      const missed = !fetched.has(at) || !fetched.has(at + 3);
      if (missed) misses++;
      const range = ahead.note(at, 4, missed);
      for (let c = 0; c < (range?.count ?? 0); c++) fetched.add(range!.first + c);
    }
  }
  assert.ok(misses < 60, `${misses} misses`);
});

test("requests that are a little out of order stay one stream", () => {
  const ahead = new ReadAhead(1024);
  let asked = 0;
  for (let i = 0; i < 1000; i += 2) {
    for (const at of [(i + 1) * 8, i * 8]) if (ahead.note(at, 8, true) !== undefined) asked++;
  }
  assert.ok(asked > 5);
});

test("random reads, and streams that are all in memory, have nothing read ahead", () => {
  const random = seededRandom(7);
  const ahead = new ReadAhead(1024);
  for (let i = 0; i < 10_000; i++) assert.equal(ahead.note(random.below(2 ** 28), 1, true), undefined);
  for (let i = 0; i < 10_000; i++) assert.equal(ahead.note(i, 1, false), undefined);
});

test("with a window of 0 nothing is ever read ahead", () => {
  const ahead = new ReadAhead(0);
  for (let i = 0; i < 1000; i++) assert.equal(ahead.note(i, 1, true), undefined);
  assert.equal(ahead.isActive, false);
});
