// When the event loop stays awake for the next request, and when it sleeps.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { ManualClock } from "../common/manual-clock.fixture.ts";
import { BusyPoll } from "./busy-poll.ts";

const windowMs = 0.05;

/** One loop: `turn` is what happens when it looks for events and finds none. */
function rig(window = windowMs) {
  const clock = new ManualClock();
  let soon: (() => void) | undefined;
  const poll = new BusyPoll(window, clock, (run) => {
    assert.equal(soon, undefined, "one turn at a time");
    soon = run;
  });
  const turn = (): void => {
    const run = soon;
    soon = undefined;
    run?.();
  };
  /** A client asks `afterMs` after its last answer, and is answered at once. */
  const request = (afterMs: number): void => {
    clock.jump(afterMs);
    poll.arrived();
    poll.answered();
  };
  return { clock, poll, turn, request };
}

describe("busy polling", () => {
  test("the loop sleeps until a client has come back within the window", () => {
    const { poll, request } = rig();
    request(1000);
    assert.equal(poll.polling, false);
    request(1);
    assert.equal(poll.polling, false);
    for (let count = 0; count < 3; count++) request(0.02);
    assert.equal(poll.polling, false);
    request(0.02);
    assert.equal(poll.polling, true);
  });

  test("it stays awake for the window after the last answer, and no longer", () => {
    const { clock, poll, turn, request } = rig();
    for (let count = 0; count < 5; count++) request(0.01);
    for (let step = 0; step < 4; step++) {
      clock.jump(0.01);
      turn();
      assert.equal(poll.polling, true);
    }
    request(0.005);
    clock.jump(0.04);
    turn();
    assert.equal(poll.polling, true, "the window begins anew with each answer");
    clock.jump(0.02);
    turn();
    assert.equal(poll.polling, false);
    turn();
    assert.equal(poll.polling, false);
  });

  test("while one request waits for the disk it stays awake, for four windows", () => {
    const { clock, poll, turn, request } = rig();
    for (let count = 0; count < 20; count++) request(0.02);
    clock.jump(0.01);
    poll.arrived();
    poll.inFlight(1);
    for (let step = 0; step < 3; step++) {
      clock.jump(windowMs);
      turn();
      assert.equal(poll.polling, true);
    }
    clock.jump(windowMs * 1.1);
    turn();
    assert.equal(poll.polling, false);
    clock.jump(5);
    poll.answered();
    poll.inFlight(-1);
    assert.equal(poll.polling, true, "and is awake again for what follows the answer");
  });

  test("while several requests wait for the disk it sleeps, whatever their client did before", () => {
    const { clock, poll, turn, request } = rig();
    for (let count = 0; count < 20; count++) request(0.02);
    clock.jump(0.01);
    poll.arrived();
    poll.inFlight(1);
    turn();
    assert.equal(poll.polling, true);
    poll.arrived();
    poll.inFlight(1);
    turn();
    assert.equal(poll.polling, false);
    poll.answered();
    poll.inFlight(-1);
    assert.equal(poll.polling, true, "but not for the next request");
    poll.arrived();
    poll.inFlight(1);
    turn();
    assert.equal(poll.polling, false);
  });

  test("clients that come at once, but wait for a slow disk each second time, are not waited for", () => {
    const { clock, poll, turn, request } = rig();
    for (let count = 0; count < 40; count++) {
      request(0.02);
      assert.equal(poll.polling, false);
      clock.jump(0.02);
      poll.arrived();
      poll.inFlight(1);
      turn();
      assert.equal(poll.polling, false);
      clock.jump(0.4);
      poll.answered();
      poll.inFlight(-1);
      assert.equal(poll.polling, false);
    }
  });

  test("clients whose every second request a disk answers within four windows are waited for", () => {
    const { clock, poll, turn, request } = rig();
    for (let count = 0; count < 40; count++) {
      request(0.02);
      clock.jump(0.02);
      poll.arrived();
      poll.inFlight(1);
      clock.jump(0.1);
      turn();
      assert.equal(poll.polling, count > 1, String(count));
      poll.answered();
      poll.inFlight(-1);
    }
  });

  test("clients of whom most come late are not waited for", () => {
    const { poll, turn, clock, request } = rig();
    for (let count = 0; count < 100; count++) request(0.02);
    let awake = 0;
    for (let count = 0; count < 100; count++) {
      request(count % 3 === 0 ? 0.02 : 2);
      if (poll.polling) awake++;
      clock.jump(windowMs * 2);
      turn();
    }
    assert.ok(awake < 60, `${awake} of 100`);
    for (let count = 0; count < 20; count++) request(2);
    assert.equal(poll.polling, false);
  });

  test("bytes that come without an answer before them say nothing", () => {
    const { poll } = rig();
    for (let count = 0; count < 10; count++) poll.arrived();
    poll.answered();
    assert.equal(poll.polling, false);
  });

  test("a window of nothing is never", () => {
    const { poll, request } = rig(0);
    for (let count = 0; count < 10; count++) request(0);
    assert.equal(poll.polling, false);
  });
});
