// Snapshots and clones of a disk in use, when its router is in the same process: ready in their first transaction.

import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { systemRandom } from "../common/random.ts";
import { EngineRig, readRange, rigPool } from "./engine-rig.fixture.ts";
import { MiB } from "./limits.ts";
import { keys } from "./records.ts";

async function openRig(t: TestContext): Promise<EngineRig> {
  const rig = await EngineRig.open({ liveCuts: true });
  t.after(() => rig.close());
  return rig;
}

const fua = { fua: false };

test("a snapshot and a clone of a disk in use are ready at once, and hold what was acknowledged before", async (t) => {
  const rig = await openRig(t);
  const disk = await rig.createDisk(MiB);
  const session = await rig.open(disk);
  await session.device.write(0, Buffer.alloc(4096, 1), fua);
  const [snapshot, clone] = [systemRandom.uuid(), systemRandom.uuid()];
  const first = await rig.registry.revision();
  const state = await rig.atomically((tx) => rig.control.createSnapshot(tx, { id: snapshot, vdiskId: disk, name: "now" }));
  const request = { id: clone, pool: rigPool, name: "clone", sizeBytes: MiB, source: { kind: "vdisk", vdiskId: disk } } as const;
  const cloneState = await rig.atomically((tx) => rig.control.createVdisk(tx, request));
  assert.deepEqual([state, cloneState], ["ready", "ready"]);
  assert.equal((await rig.registry.revision()) - first, 2, "a commit each");
  assert.equal((await rig.registry.range({ prefix: keys.wishes })).entries.length, 0);
  await session.device.write(0, Buffer.alloc(4096, 2), fua);
  const copy = await rig.createDisk(MiB, { kind: "snapshot", snapshotId: snapshot });
  for (const id of [clone, copy]) assert.equal((await readRange(await rig.open(id), 0, 4096))[0], 1);
  assert.equal((await readRange(session, 0, 4096))[0], 2);
});

test("what such a snapshot holds is on disk when it is recorded", async (t) => {
  const rig = await openRig(t);
  const disk = await rig.createDisk(MiB);
  const session = await rig.open(disk);
  await session.device.write(0, Buffer.alloc(4096, 7), fua);
  const [log] = rig.router.openLogs.logs();
  assert.ok(log!.journal!.flushedSequence < log!.sequence);
  await rig.snapshot(disk);
  assert.equal(log!.journal!.flushedSequence, log!.sequence);
});

test("a disk whose journal has failed is left to a wish", async (t) => {
  const rig = await openRig(t);
  const disk = await rig.createDisk(MiB);
  const session = await rig.open(disk);
  await session.device.write(0, Buffer.alloc(4096, 7), fua);
  const [log] = rig.router.openLogs.logs();
  const gone = { configurable: true, value: () => Promise.reject(new Error("the disk is gone")) };
  Object.defineProperty(log!, "flush", gone);
  const state = await rig.atomically((tx) =>
    rig.control.createSnapshot(tx, { id: systemRandom.uuid(), vdiskId: disk, name: "later" }),
  );
  Reflect.deleteProperty(log!, "flush");
  assert.equal(state, "pending");
});
