// How much memory a connection reads into: little for who sends little, more for who fills it.

import assert from "node:assert/strict";
import { test } from "node:test";
import { type Slab, SlabPool } from "./slab.ts";
import { type ByteSink, SocketInput } from "./socket-input.ts";

const KiB = 1024;

/** Reads as a socket does: asks for a buffer, then says how much came. */
class Reading {
  readonly held: Slab[] = [];
  holds = false;
  wantedBytes = 256 * KiB;
  /** What the sink answers to the next pieces; true when there is none. */
  readonly answers: boolean[] = [];
  /** First byte of each piece that the sink got. */
  readonly got: number[] = [];
  readonly input: SocketInput;

  constructor() {
    const sink: ByteSink = {
      receive: (slab, start) => {
        if (this.holds) this.held.push(slab.hold());
        this.got.push(slab.buffer[start]!);
        return this.answers.shift() ?? true;
      },
      directTarget: () => undefined,
      wantedBytes: () => this.wantedBytes,
      receiveDirect: () => true,
    };
    this.input = new SocketInput(sink, new SlabPool(0), 256 * KiB);
  }

  /** The size of the buffer that the next bytes are read into; `count` of them come, or as many as fit. */
  read(count: number, byte = 0): number {
    const { buffer, callback } = this.input.onread;
    const target = typeof buffer === "function" ? buffer() : buffer;
    target[0] = byte;
    callback(Math.min(count, target.length), target);
    return target.length;
  }
}

test("requests that come one by one are read into a small slab, used again and again", () => {
  const reading = new Reading();
  for (let i = 0; i < 200; i++) assert.equal(reading.read(4 * KiB + 28), 64 * KiB);
});

test("a read that fills the slab is followed by large ones, until many small ones have come", () => {
  const reading = new Reading();
  reading.read(64 * KiB);
  assert.equal(reading.read(100 * KiB), 256 * KiB);
  for (let i = 0; i < 64; i++) assert.equal(reading.read(28), 256 * KiB);
  assert.equal(reading.read(28), 64 * KiB);
});

test("a slab that somebody holds is read on behind, and left when a quarter is left", () => {
  const reading = new Reading();
  reading.holds = true;
  assert.deepEqual([reading.read(40 * KiB), reading.read(10 * KiB), reading.read(10 * KiB)], [64 * KiB, 24 * KiB, 64 * KiB]);
  assert.notEqual(reading.held[0], reading.held[2]);
});

test("no more is read at once than the sink wants", () => {
  const reading = new Reading();
  reading.wantedBytes = 32 * KiB;
  assert.deepEqual([reading.read(100 * KiB), reading.read(100 * KiB)], [32 * KiB, 32 * KiB]);
  reading.holds = true;
  assert.deepEqual([reading.read(20 * KiB), reading.read(100 * KiB)], [32 * KiB, 32 * KiB]);
});

test("what comes after the sink has stopped the reading waits, and is given in order until it stops it again", () => {
  const reading = new Reading();
  reading.answers.push(false, true, false);
  for (let byte = 1; byte <= 5; byte++) reading.read(20 * KiB, byte);
  assert.deepEqual([reading.got, reading.input.stopped], [[1], true]);
  assert.equal(reading.input.resume(), false);
  assert.deepEqual([reading.got, reading.input.stopped], [[1, 2, 3], true]);
  reading.read(20 * KiB, 6);
  assert.equal(reading.input.resume(), true);
  assert.deepEqual([reading.got, reading.input.stopped], [[1, 2, 3, 4, 5, 6], false]);
  reading.read(20 * KiB, 7);
  assert.equal(reading.got.at(-1), 7);
});
