// Many deadlines on one timer, on a clock that is moved by hand.

import assert from "node:assert/strict";
import { test } from "node:test";
import { ManualClock } from "../../common/manual-clock.fixture.ts";
import { Deadlines } from "./deadlines.ts";

class CountingClock extends ManualClock {
  timersSet = 0;

  override after(delayMs: number, fire: () => void): ReturnType<ManualClock["after"]> {
    this.timersSet++;
    return super.after(delayMs, fire);
  }
}

test("each is missed once and in time, whatever the order of their limits; what has ended is not", async () => {
  const clock = new ManualClock();
  const deadlines = new Deadlines(clock);
  const missed: string[] = [];
  const begin = (name: string, limitMs: number): (() => boolean) => {
    const deadline = deadlines.begin(limitMs, () => missed.push(name));
    return () => deadlines.end(deadline);
  };
  const [a, b, c, d] = [begin("a", 100), begin("b", 50), begin("c", 300), begin("d", 100)];
  await clock.advance(49);
  assert.deepEqual(missed, []);
  await clock.advance(1);
  assert.deepEqual(missed, ["b"]);
  assert.deepEqual([a(), b()], [true, false]);
  await clock.advance(50);
  assert.deepEqual(missed, ["b", "d"]);
  assert.deepEqual([d(), a()], [false, false]);
  await clock.advance(199);
  assert.deepEqual(missed, ["b", "d"]);
  await clock.advance(1);
  assert.deepEqual(missed, ["b", "d", "c"]);
  assert.equal(c(), false);
});

test("a timer is set for the first of many, and again only when it has fired", async () => {
  const clock = new CountingClock();
  const deadlines = new Deadlines(clock);
  const never = (): void => assert.fail("nothing is late");
  for (let i = 0; i < 1000; i++) {
    const some = [deadlines.begin(100, never), deadlines.begin(100, never), deadlines.begin(100, never)];
    for (const at of [1, 0, 2]) assert.ok(deadlines.end(some[at]!));
    await clock.advance(1);
  }
  assert.ok(clock.timersSet <= 10, `${clock.timersSet} timers`);
});
