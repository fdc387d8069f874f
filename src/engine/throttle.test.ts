// Limits hold, over any time and for requests of any size, and let as much through as they say; bursts are earned; what waits is
// in order and can be refused.

import assert from "node:assert/strict";
import { test } from "node:test";
import { ManualClock } from "../common/manual-clock.fixture.ts";
import type { IoLimits, RateLimit, RequestKind } from "./control.ts";
import { Throttle, Throttles } from "./throttle.ts";

const rate = (of: RateLimit["of"], perSecond: number, burst?: RateLimit["burst"]): RateLimit => {
  return { of, unit: "requests", perSecond, ...(burst === undefined ? {} : { burst }) };
};

/** Clients that ask again as soon as they were let go, and what came through. */
class Crowd {
  readonly clock = new ManualClock();
  readonly throttle: Throttle;
  isResting = false;
  readonly passed: Record<RequestKind, number> = { read: 0, write: 0 };

  constructor(limits: IoLimits) {
    this.throttle = new Throttle(this.clock, limits);
  }

  add(kind: RequestKind, clients: number, bytes = 4096): void {
    for (let client = 0; client < clients; client++) void this.#ask(kind, bytes);
  }

  async #ask(kind: RequestKind, bytes: number): Promise<void> {
    for (;;) {
      await this.throttle.take(kind, bytes, this);
      this.passed[kind]++;
      // As a device does: never in the same turn.
      do await new Promise((resolve) => setImmediate(resolve));
      while (this.isResting);
    }
  }

  /** How many went in the time. */
  async during(seconds: number): Promise<Record<RequestKind, number>> {
    const before = { ...this.passed };
    for (let ms = 0; ms < seconds * 1000; ms += 5) await this.clock.advance(5);
    return { read: this.passed.read - before.read, write: this.passed.write - before.write };
  }
}

function assertNear(actual: number, expected: number, what: string): void {
  assert.ok(Math.abs(actual - expected) <= Math.max(0.05 * expected, 2), `${what}: ${actual}, not ${expected}`);
}

for (const perSecond of [1, 20, 1000, 8000]) {
  test(`${perSecond} requests a second are let through, and no more`, async () => {
    const crowd = new Crowd({ rates: [rate("total", perSecond)] });
    crowd.add("read", 32);
    crowd.add("write", 32);
    const seconds = perSecond > 1000 ? 2 : 10;
    const { read, write } = await crowd.during(seconds);
    assertNear(read + write, perSecond * seconds, "both");
    assertNear(read, write, "reads beside writes");
  });
}

test("reads and writes have limits of their own, and neither waits for the other's", async () => {
  const crowd = new Crowd({ rates: [rate("read", 50), rate("write", 500)] });
  crowd.add("read", 8);
  crowd.add("write", 8);
  const { read, write } = await crowd.during(10);
  assertNear(read, 500, "reads");
  assertNear(write, 5000, "writes");
});

test("bytes are limited whatever the requests' size, also when one is larger than a second's worth", async () => {
  for (const bytes of [4096, 1024 * 1024, 8 * 1024 * 1024]) {
    const crowd = new Crowd({ rates: [{ of: "write", unit: "bytes", perSecond: 4 * 1024 * 1024 }] });
    crowd.add("write", 16, bytes);
    const { write } = await crowd.during(20);
    assertNear(write * bytes, 80 * 1024 * 1024 + (bytes > 4096 ? bytes : 0), `by ${bytes}`);
  }
});

test("large requests count as several where the limits say so", async () => {
  const crowd = new Crowd({ rates: [rate("read", 100)], requestBytes: 8192 });
  crowd.add("read", 8, 20_000);
  assertNear((await crowd.during(30)).read, 1000, "three each");
});

test("a burst lasts as long as it says, comes again after a rest, and is not in the mean", async () => {
  const crowd = new Crowd({ rates: [rate("total", 100, { perSecond: 1000, seconds: 3 })] });
  crowd.add("read", 32);
  assertNear((await crowd.during(3)).read, 3000, "the burst");
  assertNear((await crowd.during(10)).read, 1000, "after it");
  // 27 seconds at 100 a second are what 3 seconds at 1000 took too much; a third of that earns a third of the burst.
  crowd.isResting = true;
  await crowd.during(9);
  crowd.isResting = false;
  assertNear((await crowd.during(1)).read, 1000, "a third of a burst");
  assertNear((await crowd.during(10)).read, 1000, "after it");
});

test("who is refused waits no more, the others go on in order, and limits may change meanwhile", async () => {
  const clock = new ManualClock();
  const throttle = new Throttle(clock, { rates: [rate("write", 1)] });
  const [one, other] = [{}, {}];
  const order: string[] = [];
  const note = (name: string, by: object): void => {
    void throttle.take("write", 1, by)?.then(
      () => order.push(name),
      (error: { code: string }) => order.push(`${name} ${error.code}`),
    );
  };
  assert.equal(throttle.take("write", 1, one), undefined);
  assert.equal(throttle.take("read", 1, one), undefined);
  for (const [name, by] of [
    ["a", one],
    ["b", other],
    ["c", one],
    ["d", other],
    ["e", other],
  ] as const)
    note(name, by);
  await clock.advance(1000);
  throttle.cancel(one);
  await clock.advance(1000);
  assert.deepEqual(order, ["a", "c export_revoked", "b"]);
  throttle.setLimits({ rates: [rate("write", 1000)] });
  await clock.advance(10);
  assert.deepEqual(order.slice(3), ["d", "e"]);
});

test("a wait that is longer than a timer can be is waited for in parts", async () => {
  const delays: number[] = [];
  const clock = new ManualClock();
  const after = clock.after.bind(clock);
  clock.after = (delayMs, fire) => {
    delays.push(delayMs);
    return after(delayMs, fire);
  };
  const throttle = new Throttle(clock, { rates: [{ of: "write", unit: "bytes", perSecond: 1 }] });
  assert.equal(throttle.take("write", 32 * 1024 * 1024, clock), undefined);
  const waiting = throttle.take("write", 1, clock);
  await clock.advance(600_000);
  assert.ok(delays.length > 5 && delays.every((delayMs) => delayMs < 2 ** 31), String(delays));
  throttle.cancel(clock);
  await assert.rejects(waiting!, { code: "export_revoked" });
});

test("those who use one vDisk share its limits, and the last takes them along", async () => {
  const clock = new ManualClock();
  const throttles = new Throttles(clock);
  const limits = { rates: [rate("total", 1)] };
  const first = throttles.use("disk", limits);
  const second = throttles.use("disk", limits);
  assert.equal(first.throttle, second.throttle);
  assert.notEqual(throttles.use("other", limits).throttle, first.throttle);
  first.done();
  assert.equal(throttles.use("disk", limits).throttle, second.throttle);
});
