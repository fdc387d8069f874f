// How soon a server looks for what others did, on a clock of our own.

import assert from "node:assert/strict";
import { test } from "node:test";
import { LookPace } from "./look-pace.ts";

const tickMs = 20;

function toldPace(): LookPace {
  const pace = new LookPace(tickMs);
  pace.isTold = true;
  return pace;
}

test("a calm file is looked at seldom, one that nobody tells of every tick", () => {
  assert.equal(toldPace().delayMs(5000), 100);
  assert.equal(new LookPace(tickMs).delayMs(5000), tickMs);
});

test("what another has written is looked at closely, then every tick, then seldom again", () => {
  const pace = toldPace();
  assert.equal(pace.written(5000), true);
  assert.equal(pace.delayMs(5000), 1);
  assert.equal(pace.delayMs(5019), 1);
  assert.equal(pace.delayMs(5020), tickMs);
  assert.equal(pace.delayMs(5999), tickMs);
  assert.equal(pace.delayMs(6000), 100);
});

test("what is told of again while it is looked at closely changes nothing but how long", () => {
  const pace = toldPace();
  pace.written(5000);
  assert.equal(pace.written(5010), false);
  assert.equal(pace.delayMs(5029), 1);
});

test("what is told of right after a commit of our own is looked at once, what comes later closely", () => {
  const pace = toldPace();
  pace.committed(5000);
  assert.equal(pace.written(5002), true);
  assert.equal(pace.delayMs(5002), 4);
  assert.equal(pace.written(5005), false);
  assert.equal(pace.delayMs(5006), 100);
  assert.equal(pace.written(5006), true);
  assert.equal(pace.delayMs(5006), 1);
});

test("commits of our own, one after the other, do not put the look off", () => {
  const pace = toldPace();
  pace.committed(5000);
  pace.written(5001);
  pace.committed(5004);
  pace.written(5005);
  assert.equal(pace.delayMs(5005), 1);
});

test("our own commit does not end a close look at another's", () => {
  const pace = toldPace();
  pace.written(5000);
  pace.committed(5001);
  pace.written(5002);
  assert.equal(pace.delayMs(5003), 1);
});
