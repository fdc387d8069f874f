// Writing without the zeroes, and checking hashes.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import fc from "fast-check";
import { AndironError } from "../common/errors.ts";
import { RamDevice } from "../nbd/ram-device.test.ts";
import { RunningHash, chooseHash } from "./image-hash.ts";
import { SparseWriter } from "./sparse-writer.ts";

const block = 64 * 1024;

test("whatever comes in whatever pieces is there in the end, and blocks of zeroes are not written", async () => {
  const runs = fc.array(fc.record({ value: fc.constantFrom(0, 0, 1, 255), length: fc.integer({ min: 1, max: 5 * block }) }), {
    maxLength: 12,
  });
  await fc.assert(
    fc.asyncProperty(runs, fc.integer({ min: 1000, max: 3 * 1024 * 1024 }), fc.nat(3), async (parts, pieceBytes, startBlock) => {
      const bytes = Buffer.concat(parts.map(({ value, length }) => Buffer.alloc(length, value)));
      const start = startBlock * block;
      const device = new RamDevice(start + bytes.length + block);
      const writer = new SparseWriter(device, start);
      for (let at = 0; at < bytes.length; at += pieceBytes) await writer.write(bytes.subarray(at, at + pieceBytes));
      assert.equal(writer.position, start + bytes.length);
      await writer.flush();
      assert.ok(device.bytes.subarray(start, start + bytes.length).equals(bytes));
      assert.equal(device.calls.at(-1), "flush");
      for (let at = 0; at < bytes.length; at += block) {
        const isZero = bytes.subarray(at, at + block).every((byte) => byte === 0);
        assert.equal(device.clusters[(start + at) / 4096], isZero ? 0 : 1, `${at}`);
      }
    }),
    { numRuns: 30 },
  );
});

test("a write that fails is told by what follows, and never lost", async () => {
  const device = new RamDevice(4 * 1024 * 1024);
  const writer = new SparseWriter(device, 0);
  device.failure = new AndironError("owner_unreachable", "gone");
  await writer.write(Buffer.alloc(1024 * 1024, 1));
  device.failure = undefined;
  await assert.rejects(writer.flush(), /gone/);
});

test("the stronger hash is the one that counts", () => {
  const bytes = Buffer.from("an image");
  const of = (algorithm: string): string => createHash(algorithm).update(bytes).digest("hex");
  const [sha, md5] = [{ algorithm: "sha512", value: of("sha512").toUpperCase() }, of("md5")];
  assert.equal(chooseHash({ hash: sha, checksum: md5 })?.algorithm, "sha512");
  assert.equal(chooseHash({ hash: { algorithm: "sha3_256", value: "x" }, checksum: null })?.algorithm, "sha3-256");
  assert.equal(chooseHash({ hash: { algorithm: "whirlpool", value: "x" }, checksum: md5 })?.algorithm, "md5");
  assert.equal(chooseHash({ hash: null, checksum: null }), undefined);
  for (const expected of [sha, { algorithm: "md5", value: md5 }]) {
    const [right, wrong] = [new RunningHash(expected), new RunningHash(expected)];
    for (const part of [bytes.subarray(0, 3), bytes.subarray(3)]) right.update(part);
    right.check();
    wrong.update(Buffer.from("another"));
    assert.throws(() => wrong.check(), /not those of its/);
  }
  new RunningHash(undefined).check();
});
