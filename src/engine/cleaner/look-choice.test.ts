// Which segments a pass looks at: some of each kind, and of the doubtful ones all in their turn.

import assert from "node:assert/strict";
import { test } from "node:test";
import type { SegmentId } from "../names.ts";
import type { LogPosition } from "../records.ts";
import type { LookWorth } from "./hints.ts";
import { LookChoice } from "./look-choice.ts";

const segments = (count: number): SegmentId[] =>
  Array.from({ length: count }, (_, i) => ({ log: "log", epoch: 1, number: i + 1 }));

function choose(
  upTo: Map<string, LogPosition>,
  countMax: number,
  offered: readonly (readonly [SegmentId, LookWorth])[],
): LookChoice {
  const choice = new LookChoice("log", upTo, countMax);
  for (const [segment, worth] of offered) choice.offer(segment, worth);
  return choice;
}

test("all that are offered are taken when they are not too many, the dead ones first", () => {
  const [a, b, c] = segments(3) as [SegmentId, SegmentId, SegmentId];
  const choice = choose(new Map(), 8, [
    [a, "sparse"],
    [b, "doubtful"],
    [c, "dead"],
  ]);
  assert.equal(choice.count, 3);
  assert.deepEqual(choice.taken(), [c, b, a]);
});

test("of each kind some are taken, however many there are of another", () => {
  const kinds: readonly LookWorth[] = ["dead", "sparse", "doubtful"];
  for (const many of kinds) {
    const offered = segments(300).map((segment, i) => [segment, i < 270 ? many : kinds[i % 3]!] as const);
    const choice = choose(new Map(), 64, offered);
    assert.equal(choice.count, 300);
    const taken = choice.taken();
    assert.equal(new Set(taken).size, 64);
    for (const kind of kinds) {
      const count = offered.filter(([segment, worth]) => worth === kind && taken.includes(segment)).length;
      assert.ok(count >= 8, `${count} ${kind} among many ${many}`);
    }
  }
});

test("every doubtful segment has its turn, though all are doubtful again before each pass and a pass may end early", () => {
  const all = segments(100);
  const upTo = new Map<string, LogPosition>();
  const looked = new Map<SegmentId, number>();
  for (let pass = 0; pass < 20; pass++) {
    const choice = choose(
      upTo,
      20,
      all.map((segment) => [segment, "doubtful"]),
    );
    for (const segment of choice.taken().slice(0, 15)) {
      choice.looked(segment);
      looked.set(segment, (looked.get(segment) ?? 0) + 1);
    }
  }
  assert.deepEqual([...new Set(all.map((segment) => looked.get(segment)))], [3]);
});
