// Lanes: one at a time in the order given, other keys side by side, a failure harms only itself, and the queue is bounded.

import assert from "node:assert/strict";
import { test } from "node:test";
import { AndironError } from "../common/errors.ts";
import { Lanes } from "./lanes.ts";

test("work of one key runs in order, one at a time, and a failure does not stop the next", async () => {
  const lanes = new Lanes(10);
  const events: string[] = [];
  const work =
    (name: string, fails = false) =>
    async (): Promise<string> => {
      events.push(`${name} starts`);
      await new Promise((resolve) => setImmediate(resolve));
      events.push(`${name} ends`);
      if (fails) throw new Error(name);
      return name;
    };
  const results = await Promise.allSettled([
    lanes.run("k", work("a", true)),
    lanes.run("k", work("b")),
    lanes.run("k", work("c")),
  ]);
  assert.deepEqual(events, ["a starts", "a ends", "b starts", "b ends", "c starts", "c ends"]);
  assert.deepEqual(
    results.map((result) => result.status),
    ["rejected", "fulfilled", "fulfilled"],
  );
  assert.equal(lanes.size, 0);
});

test("keys do not wait for each other, and too many waiters of one key are refused", async () => {
  const lanes = new Lanes(2);
  let release = (): void => undefined;
  const blocked = lanes.run("k", () => new Promise<void>((resolve) => (release = resolve)));
  const waiting = lanes.run("k", () => Promise.resolve("second"));
  await assert.rejects(
    lanes.run("k", () => Promise.resolve()),
    (error) => error instanceof AndironError && error.code === "limit_exceeded",
  );
  assert.equal(await lanes.run("other", () => Promise.resolve(1)), 1);
  release();
  await blocked;
  assert.equal(await waiting, "second");
  assert.equal(lanes.size, 0);
});
