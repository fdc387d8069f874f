// Copying and comparing disks: every byte, holes kept, from any offset, in steps, broken off, and with disks that fail.

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { AndironError } from "../common/errors.ts";
import { RamDevice } from "../nbd/ram-device.test.ts";
import { compareDisks, copyDisk, copyRanges, type CopyRun } from "./disk-copy.ts";

const cluster = 4096;
const mebibyte = 1024 * 1024;

const patient: CopyRun = { signal: new AbortController().signal, shouldYield: () => false };
const hasty: CopyRun = { ...patient, shouldYield: () => true };

/** A disk with data at some clusters; a value of 0 is data too. */
async function diskOf(sizeBytes: number, writes: readonly { readonly at: number; readonly value: number }[]): Promise<RamDevice> {
  const disk = new RamDevice(sizeBytes);
  for (const { at, value } of writes) await disk.write((at * cluster) % sizeBytes, Buffer.alloc(cluster, value), { fua: false });
  return disk;
}

const writesOf = fc.array(fc.record({ at: fc.nat(3000), value: fc.constantFrom(0, 1, 255) }), { maxLength: 40 });

test("all of it is copied, durable at the end of each step, holes are kept, and both compare as equal", async () => {
  await fc.assert(
    fc.asyncProperty(writesOf, fc.boolean(), async (writes, inSteps) => {
      const source = await diskOf(5 * mebibyte, writes);
      const target = new RamDevice(source.sizeBytes);
      const run = inSteps ? hasty : patient;
      let steps = 0;
      for (let at = 0; at < source.sizeBytes; steps++) {
        const reached = await copyDisk(source, target, at, run);
        assert.ok(reached > at);
        assert.equal(target.calls.at(-1), "flush");
        assert.ok(target.bytes.subarray(0, reached).equals(source.bytes.subarray(0, reached)));
        at = reached;
      }
      if (!inSteps) assert.equal(steps, 1);
      assert.ok(target.bytes.equals(source.bytes));
      target.clusters.forEach((isData, index) => assert.ok(isData === 0 || source.clusters[index] !== 0));
      for (let at = 0; at < source.sizeBytes;) at = await compareDisks(source, target, at, run);
    }),
    { numRuns: 40 },
  );
});

test("over old data, and by ranges: what was there before is gone, also where the source has zeroes or a hole", async () => {
  await fc.assert(
    fc.asyncProperty(writesOf, writesOf, fc.boolean(), async (writes, old, byRanges) => {
      const source = await diskOf(5 * mebibyte, writes);
      const target = await diskOf(source.sizeBytes, old);
      const middle = 2 * mebibyte + cluster;
      const ranges = [
        { offset: 0, lengthBytes: middle },
        { offset: middle, lengthBytes: 4 * mebibyte },
      ];
      if (byRanges) await copyRanges(source, target, ranges, hasty);
      else await copyDisk(source, target, 0, patient, true);
      assert.equal(target.calls.at(-1), "flush");
      assert.ok(target.bytes.equals(source.bytes));
    }),
    { numRuns: 40 },
  );
});

test("any other byte is found, wherever it is and whichever of the two has a hole there", async () => {
  await fc.assert(
    fc.asyncProperty(writesOf, fc.nat(5 * mebibyte - 1), fc.boolean(), async (writes, place, inSource) => {
      const source = await diskOf(5 * mebibyte, writes);
      const target = new RamDevice(source.sizeBytes);
      await copyDisk(source, target, 0, patient);
      const disk = inSource ? source : target;
      await disk.write(place, Buffer.from([disk.bytes[place]! ^ 1]), { fua: false });
      await assert.rejects(compareDisks(source, target, 0, patient), { code: "copy_differs" });
    }),
    { numRuns: 40 },
  );
});

test("failures of either disk, an end on the way, and disks of two sizes reject, with nothing left under way", async () => {
  const source = await diskOf(5 * mebibyte, [{ at: 700, value: 1 }]);
  const target = new RamDevice(source.sizeBytes);
  const failure = new AndironError("backend_unavailable", "away");
  for (const disk of [source, target]) {
    disk.failure = failure;
    await assert.rejects(copyDisk(source, target, 0, patient), failure);
    disk.failure = undefined;
    assert.deepEqual([source.active, target.active], [0, 0]);
  }
  const broken = { ...patient, signal: AbortSignal.abort(new Error("broken off")) };
  await assert.rejects(copyDisk(source, target, 0, broken), /broken off/);
  await assert.rejects(compareDisks(source, target, 0, broken), /broken off/);
  await assert.rejects(copyDisk(source, new RamDevice(mebibyte), 0, patient), { code: "copy_differs" });
});
