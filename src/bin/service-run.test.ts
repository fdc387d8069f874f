// The life of a process's services: order of start, drain and stop, and what signals and failures do to it.

import assert from "node:assert/strict";
import { EventEmitter } from "node:events";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { type Clock, systemClock } from "../common/clock.ts";
import { AndironError } from "../common/errors.ts";
import { silentLogger } from "../common/log.ts";
import type { Service } from "../common/service.ts";
import { describeFailure, exitCodes, runServices } from "./service-run.ts";

const never = new Promise<void>(() => undefined);

const record = (events: string[], id: string, changes: Partial<Service> = {}): Service => {
  const note = (what: string) => async (): Promise<void> => void events.push(`${id} ${what}`);
  return { id, start: note("start"), drain: note("drain"), stop: note("stop"), ...changes };
};

const run = (
  services: Service[],
  signals: EventEmitter,
  onServing: () => void,
  changes: { drainTimeoutMs?: number; clock?: Clock } = {},
) => runServices({ services, signals, onServing, log: silentLogger, clock: systemClock, drainTimeoutMs: 0, ...changes });

test("services start and drain in order, and stop in reverse", async () => {
  const events: string[] = [];
  const signals = new EventEmitter();
  const code = await run([record(events, "api"), record(events, "engine")], signals, () => signals.emit("SIGTERM"));
  assert.equal(code, exitCodes.stopped);
  assert.deepEqual(events, ["api start", "engine start", "api drain", "engine drain", "engine stop", "api stop"]);
});

test("one that cannot start is stopped with those before it, and those after it never start", async () => {
  const events: string[] = [];
  const failing = record(events, "engine", { start: () => Promise.reject(new Error("no disk")) });
  const code = await run([record(events, "api"), failing, record(events, "nbd")], new EventEmitter(), () =>
    assert.fail("it serves"),
  );
  assert.equal(code, exitCodes.failed);
  assert.deepEqual(events, ["api start", "engine stop", "api stop"]);
});

test("one that cannot stop does not keep the others from stopping", async () => {
  const events: string[] = [];
  const signals = new EventEmitter();
  const failing = record(events, "engine", { stop: () => Promise.reject(new Error("stuck")) });
  const code = await run([record(events, "api"), failing], signals, () => signals.emit("SIGINT"));
  assert.equal(code, exitCodes.failed);
  assert.equal(events.at(-1), "api stop");
});

test("a drain that takes too long is given up, and the services are stopped", async () => {
  const events: string[] = [];
  const signals = new EventEmitter();
  const clock: Clock = { ...systemClock, after: (_delayMs, fire) => (setImmediate(fire), { cancel: () => undefined }) };
  const slow = record(events, "api", { drain: () => never });
  const code = await run([slow], signals, () => signals.emit("SIGTERM"), { drainTimeoutMs: 60_000, clock });
  assert.equal(code, exitCodes.stopped);
  assert.deepEqual(events, ["api start", "api stop"]);
});

test("a second signal gives the drain up, but not the same one passed on by npm", async () => {
  const events: string[] = [];
  const signals = new EventEmitter();
  let nowMs = 5000;
  const clock: Clock = { ...systemClock, monotonicMs: () => nowMs };
  const signalAgain = (): void => {
    nowMs += 100;
    signals.emit("SIGINT");
    setImmediate(() => {
      events.push("still draining");
      nowMs += 3000;
      signals.emit("SIGINT");
    });
  };
  const slow = record(events, "api", { drain: () => (setImmediate(signalAgain), never) });
  assert.equal(await run([slow], signals, () => signals.emit("SIGINT"), { clock }), exitCodes.stopped);
  assert.deepEqual(events, ["api start", "still draining", "api stop"]);
});

test("a second signal while they stop hurries them; the end of the drain's time does not", async () => {
  for (const isAgain of [true, false]) {
    const events: string[] = [];
    const signals = new EventEmitter();
    let nowMs = 5000;
    const clock: Clock = {
      ...systemClock,
      monotonicMs: () => nowMs,
      after: (_delayMs, fire) => (setImmediate(fire), { cancel: () => undefined }),
    };
    const stop = async (hurry?: Promise<unknown>): Promise<void> => {
      nowMs += 3000;
      if (isAgain) signals.emit("SIGTERM");
      const ended = await Promise.race([hurry?.then(() => "hurried"), sleep(20, "in its own time")]);
      events.push(ended ?? "not told");
    };
    const slow = record(events, "engine", { drain: () => never, stop });
    await run([slow], signals, () => signals.emit("SIGTERM"), { drainTimeoutMs: 60_000, clock });
    assert.deepEqual(events, ["engine start", isAgain ? "hurried" : "in its own time"]);
  }
});

test("a signal while services start starts no more of them", async () => {
  const events: string[] = [];
  const signals = new EventEmitter();
  const slow = record(events, "api", { start: async () => void signals.emit("SIGTERM") });
  assert.equal(await run([slow, record(events, "engine")], signals, () => assert.fail("it serves")), exitCodes.stopped);
  assert.deepEqual(events, ["api stop"]);
});

test("the operator's errors are shown without a trace, bugs with one", () => {
  const shown = describeFailure("andiron", new AndironError("state_locked", "in use", { hint: "stop it" }));
  assert.equal(shown, "andiron: in use\nandiron: stop it");
  assert.match(describeFailure("andiron", new Error("bug")), /^andiron: Error: bug\n {4}at /);
});
