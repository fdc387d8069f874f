// Copying and comparing disks: every byte, holes kept, from any offset, in steps, broken off, and with disks that fail. The last
// test has two disks of a real engine.

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { AndironError } from "../common/errors.ts";
import { EngineRig } from "../engine/engine-rig.fixture.ts";
import { RamDevice } from "../nbd/ram-device.test.ts";
import { CopiesBetweenExports } from "./copies-between-exports.ts";
import { compareDisks, copyDisk, type CopyRun } from "./disk-copy.ts";

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

test("disks of an engine: the copy reads the same, has the same holes, and ends when its export is revoked", async (t) => {
  const rig = await EngineRig.open();
  t.after(() => rig.close());
  const sizeBytes = 64 * mebibyte;
  const exportName = async (readOnly: boolean): Promise<{ vdisk: string; id: string; name: string }> => {
    const vdisk = await rig.createDisk(sizeBytes);
    const id = crypto.randomUUID();
    const { exportName: name } = await rig.atomically((tx) => rig.control.createExport(tx, { id, vdiskId: vdisk, readOnly }));
    return { vdisk, id, name };
  };
  const [source, target] = [await exportName(false), await exportName(false)];
  const writer = await rig.router.exports.open(source.name);
  for (const at of [0, 3 * mebibyte + cluster, 40 * mebibyte - cluster, sizeBytes - cluster]) {
    await writer.device.write(at, Buffer.alloc(cluster, 1 + (at % 251)), { fua: false });
  }
  await writer.device.trim(cluster, cluster, { fua: false });
  const copies = new CopiesBetweenExports(rig.router.exports);
  const task = { sourceExport: source.name, targetExport: target.name, offset: 0 };
  assert.equal(await copies.step({ ...task, phase: "copy" }, patient), sizeBytes);
  assert.equal(await copies.step({ ...task, phase: "compare" }, patient), sizeBytes);
  const reader = await rig.router.exports.open(target.name);
  const extents = async (session: typeof reader): Promise<unknown> => session.device.extents(0, sizeBytes, 100);
  assert.deepEqual(await extents(reader), await extents(writer));
  await writer.device.write(mebibyte, Buffer.alloc(1, 7), { fua: false });
  await assert.rejects(copies.step({ ...task, phase: "compare" }, patient), { code: "copy_differs" });
  for (const session of [writer, reader]) await session.close();
  await rig.atomically((tx) => rig.control.revokeExport(tx, target.id));
  await rig.control.exportGone(target.id);
  await assert.rejects(copies.step({ ...task, phase: "copy" }, patient), { code: "export_not_found" });
  assert.equal(rig.router.exports.sessionCount, 0);
});
