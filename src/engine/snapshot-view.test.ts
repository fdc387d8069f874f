// How two snapshots differ: exactly what was written between them, whatever lies below and beside it, and without a look at it.
// Random programs are in model.test.ts.

import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import type { ObjectBackend } from "./backend/backend.ts";
import { EngineRig, rigPool } from "./engine-rig.fixture.ts";
import { clusterBytes, GiB, KiB, MiB } from "./limits.ts";
import { changesOf, checkDifferences, openSnapshot } from "./snapshot-differences.fixture.ts";
import { SparseBytes } from "./sparse-bytes.fixture.ts";

interface Reads {
  bytes: number;
}

async function openRig(t: TestContext, reads: Reads = { bytes: 0 }): Promise<EngineRig> {
  const wrap = (backend: ObjectBackend): ObjectBackend =>
    new Proxy(backend, {
      get(target, property) {
        const value: unknown = Reflect.get(target, property);
        if (typeof value !== "function") return value;
        if (property !== "read") return (value as (...args: unknown[]) => unknown).bind(target);
        return (name: string, offset: number, into: Buffer) => {
          reads.bytes += into.length;
          return target.read(name, offset, into);
        };
      },
    });
  const rig = await EngineRig.open({ wrap });
  t.after(() => rig.close());
  return rig;
}

test("exactly the clusters that were written or trimmed in between, in bounded batches", async (t) => {
  const rig = await openRig(t);
  const disk = await rig.createDisk(64 * MiB);
  const { device } = await rig.open(disk);
  await device.write(0, Buffer.alloc(2 * MiB, "a"), { fua: false });
  await device.write(40 * MiB, Buffer.alloc(8 * KiB, "b"), { fua: false });
  const first = await rig.snapshot(disk);
  await device.write(8 * KiB, Buffer.alloc(4 * KiB, "c"), { fua: false });
  await device.write(MiB + 100, Buffer.from("d"), { fua: false });
  await device.trim(40 * MiB, 4 * KiB, { fua: false });
  await device.write(63 * MiB, Buffer.alloc(12 * KiB, "e"), { fua: false });
  const second = await rig.snapshot(disk);
  const [older, newer] = [await openSnapshot(rig, first), await openSnapshot(rig, second)];
  const wanted = [
    { offset: 8 * KiB, lengthBytes: 4 * KiB, kind: "data" },
    { offset: MiB, lengthBytes: 4 * KiB, kind: "data" },
    { offset: 40 * MiB, lengthBytes: 4 * KiB, kind: "zero" },
    { offset: 63 * MiB, lengthBytes: 12 * KiB, kind: "data" },
  ];
  for (const extentsMax of [1, 2, 100]) assert.deepEqual(await changesOf(newer, older, extentsMax), wanted);
  assert.deepEqual(await changesOf(newer, newer, 100), []);
  const back = await changesOf(older, newer, 100);
  assert.deepEqual(
    back.map(({ offset, kind }) => [offset, kind]),
    [
      [8 * KiB, "data"],
      [MiB, "data"],
      [40 * MiB, "data"],
      [63 * MiB, "zero"],
    ],
  );
});

test("a large trim over data, and a large one over nothing", async (t) => {
  const rig = await openRig(t);
  const disk = await rig.createDisk(8 * GiB);
  const { device } = await rig.open(disk);
  await device.write(5 * GiB, Buffer.alloc(4 * KiB, "a"), { fua: false });
  await rig.detach(disk); // what was written is in the tree from here on
  const first = await rig.snapshot(disk);
  const again = (await rig.open(disk)).device;
  await again.trim(0, 8 * GiB, { fua: false });
  await again.write(6 * GiB, Buffer.alloc(4 * KiB, "b"), { fua: false });
  const second = await rig.snapshot(disk);
  const changes = await changesOf(await openSnapshot(rig, second), await openSnapshot(rig, first), 10);
  assert.deepEqual(changes, [
    { offset: 5 * GiB, lengthBytes: clusterBytes, kind: "zero" },
    { offset: 6 * GiB, lengthBytes: clusterBytes, kind: "data" },
  ]);
});

test("of a disk with data everywhere only the pages on the way to what changed are read", async (t) => {
  const reads = { bytes: 0 };
  const rig = await openRig(t, reads);
  const disk = await rig.createDisk(128 * MiB);
  const bytes = new SparseBytes();
  let { device } = await rig.open(disk);
  const write = async (offset: number, data: Buffer): Promise<void> => {
    bytes.write(offset, data);
    await device.write(offset, data, { fua: false });
  };
  for (let at = 0; at < 96; at++) await write(at * MiB, Buffer.alloc(MiB, at + 1));
  await rig.detach(disk);
  const older = { id: await rig.snapshot(disk), sizeBytes: 128 * MiB, bytes: bytes.copy() };
  device = (await rig.open(disk)).device;
  await write(50 * MiB, Buffer.alloc(4 * KiB, "x"));
  await rig.detach(disk);
  const newer = { id: await rig.snapshot(disk), sizeBytes: 128 * MiB, bytes };
  await rig.crash(); // nothing is in memory
  const views = [await openSnapshot(rig, older.id), await openSnapshot(rig, newer.id)] as const;
  const before = reads.bytes;
  const changes = await changesOf(views[1], views[0], 100);
  assert.deepEqual(changes, [{ offset: 50 * MiB, lengthBytes: 4 * KiB, kind: "data" }]);
  // Two times the pages from the root to one leaf.
  assert.ok(reads.bytes - before <= 64 * KiB, `${reads.bytes - before} bytes were read`);
  await checkDifferences(rig, { older, newer, extentsMax: 7 }, "both ways");
  await checkDifferences(rig, { older: newer, newer: older, extentsMax: 7 }, "and back");
  await checkDifferences(rig, { older: undefined, newer, extentsMax: 3 }, "from nothing");
});

test("a copy of a snapshot has its bytes when the first one is gone, with its disk and after the cleaner", async (t) => {
  const rig = await openRig(t);
  const disk = await rig.createDisk(16 * MiB);
  const { device } = await rig.open(disk);
  await device.write(0, Buffer.alloc(MiB, "a"), { fua: false });
  const first = await rig.snapshot(disk);
  await device.write(0, Buffer.alloc(MiB, "b"), { fua: false });
  const copy = "11111111-1111-4111-8111-111111111111";
  const copying = () => rig.atomically((tx) => rig.control.copySnapshot(tx, { id: copy, snapshotId: first, name: "copy" }));
  await copying();
  await assert.rejects(copying(), { code: "snapshot_exists" });
  await rig.detach(disk);
  await rig.atomically(async (tx) => {
    await rig.control.deleteSnapshot(tx, first);
    await rig.control.deleteVdisk(tx, disk);
  });
  for (let round = 0; round < 3; round++) await rig.router.cleaners.get(rigPool)!.pass();
  const view = await openSnapshot(rig, copy);
  const bytes = Buffer.alloc(MiB);
  await view.read(0, bytes);
  assert.ok(bytes.equals(Buffer.alloc(MiB, "a")));
});

test("a disk that was reverted, and a clone, differ from a snapshot by what they wrote", async (t) => {
  const rig = await openRig(t);
  const disk = await rig.createDisk(16 * MiB);
  let { device } = await rig.open(disk);
  await device.write(0, Buffer.alloc(MiB, "a"), { fua: false });
  const first = await rig.snapshot(disk);
  await device.write(4 * MiB, Buffer.alloc(4 * KiB, "b"), { fua: false });
  const second = await rig.snapshot(disk);
  await rig.detach(disk);
  await rig.atomically((tx) => rig.control.revertVdisk(tx, disk, first));
  device = (await rig.open(disk)).device;
  await device.write(0, Buffer.alloc(4 * KiB, "c"), { fua: false });
  const third = await rig.snapshot(disk);
  assert.deepEqual(await changesOf(await openSnapshot(rig, third), await openSnapshot(rig, second), 9), [
    { offset: 0, lengthBytes: 4 * KiB, kind: "data" },
    { offset: 4 * MiB, lengthBytes: 4 * KiB, kind: "zero" },
  ]);
  const clone = await rig.createDisk(32 * MiB, { kind: "snapshot", snapshotId: second });
  await (await rig.open(clone)).device.write(20 * MiB, Buffer.alloc(4 * KiB, "d"), { fua: false });
  const ofClone = await rig.snapshot(clone);
  assert.deepEqual(await changesOf(await openSnapshot(rig, ofClone), await openSnapshot(rig, second), 9), [
    { offset: 20 * MiB, lengthBytes: 4 * KiB, kind: "data" },
  ]);
});
