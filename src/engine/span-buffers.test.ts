// Buffers that are used again: never by two at a time, and no more of them than allowed.

import assert from "node:assert/strict";
import { test } from "node:test";
import { SpanBuffers } from "./span-buffers.ts";

test("what was given back is taken again, no buffer is with two, and what is kept has a limit", () => {
  const buffers = new SpanBuffers(3 * 8192);
  const [first, second] = [buffers.take(5000), buffers.take(8192)];
  assert.ok(first.length >= 5000 && second.length >= 8192);
  assert.notEqual(first.buffer, second.buffer);
  buffers.give(first);
  assert.equal(buffers.take(6000).buffer, first.buffer);
  assert.notEqual(buffers.take(6000).buffer, first.buffer);
  for (let i = 0; i < 10; i++) buffers.give(Buffer.alloc(8192));
  assert.equal(buffers.keptBytes, 3 * 8192);
  assert.equal(buffers.take(100_000).length, 131_072);
});
