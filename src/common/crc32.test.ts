// The checksum against zlib's and against what others print.

import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { test } from "node:test";
import { crc32 as crc32OfZlib } from "node:zlib";
import fc from "fast-check";
import { crc32, crc32OfPart } from "./crc32.ts";

void test("CRC-32 is zlib's for every length, place in a buffer and seed", () => {
  const memory = fc.uint8Array({ maxLength: 9000 });
  fc.assert(
    fc.property(memory, fc.nat(300), fc.nat(2 ** 32 - 1), (bytes, from, seed) => {
      const data = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).subarray(from);
      assert.equal(crc32(data, seed), crc32OfZlib(data, seed));
    }),
  );
});

void test("CRC-32 of a part is that of a view of it, few bytes or many", () => {
  const data = Buffer.from(Array.from({ length: 300 }, (_, i) => (i * 37) & 255));
  for (const seed of [0, 1, 0xffff_ffff])
    for (const length of [0, 1, 52, 64, 65, 200])
      assert.equal(crc32OfPart(data, 30, 30 + length, seed), crc32OfZlib(data.subarray(30, 30 + length), seed));
});

void test("CRC-32 of a text that others print", () => {
  assert.equal(crc32(Buffer.from("123456789")), 0xcbf43926);
});

void test("CRC-32 in parts is that of the whole", () => {
  const whole = Buffer.from(Array.from({ length: 5000 }, (_, i) => (i * 7) & 255));
  for (const cut of [0, 1, 127, 128, 4096, 5000])
    assert.equal(crc32(whole.subarray(cut), crc32(whole.subarray(0, cut))), crc32OfZlib(whole));
});

void test("this machine has the package", () => {
  assert.equal(typeof createRequire(import.meta.url)("@node-rs/crc32").crc32, "function");
});
