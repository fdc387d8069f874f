// Room in the journal: who holds much is slowed down and waits, who holds little does not pay for it.

import assert from "node:assert/strict";
import { test } from "node:test";
import type { Clock } from "../../common/clock.ts";
import { systemClock } from "../../common/clock.ts";
import { JournalBudget } from "./journal-budget.ts";

/** A clock that says what it was asked to sleep. */
function sleepless(): { clock: Clock; slept: number[] } {
  const slept: number[] = [];
  const clock: Clock = Object.create(systemClock, { sleep: { value: async (ms: number) => void slept.push(ms) } }) as Clock;
  return { clock, slept };
}

test("a disk that holds little is neither slowed down nor held up by one that holds much", async () => {
  const { clock, slept } = sleepless();
  const budget = new JournalBudget(800, clock);
  const [noisy, quiet, third] = [{}, {}, {}];
  budget.take(noisy, 690);
  budget.take(quiet, 5);
  await budget.slowDown(quiet);
  await budget.slowDown(third);
  assert.equal(slept.length, 0);
  await budget.slowDown(noisy);
  assert.equal(slept.length, 1);
  budget.take(noisy, 10);
  assert.deepEqual(
    [noisy, quiet, third].map((holder) => budget.isFullFor(holder)),
    [true, false, false],
  );
  budget.take(quiet, 95);
  assert.deepEqual(
    [noisy, quiet, third].map((holder) => budget.isFullFor(holder)),
    [true, true, true],
  );
  budget.give(noisy, 100);
  assert.deepEqual(
    [noisy, quiet, third].map((holder) => budget.isFullFor(holder)),
    [true, false, false],
  );
  budget.give(noisy, 1);
  assert.equal(budget.isFullFor(noisy), false);
});

test("a disk alone is slowed down smoothly, the more the less is left", async () => {
  const { clock, slept } = sleepless();
  const budget = new JournalBudget(1000, clock);
  const disk = {};
  for (let bytes = 0; bytes < 1000; bytes += 50) {
    budget.take(disk, 50);
    await budget.slowDown(disk);
  }
  assert.equal(slept.length, 5);
  assert.ok(slept.every((ms, i) => i === 0 || ms > slept[i - 1]!));
});
