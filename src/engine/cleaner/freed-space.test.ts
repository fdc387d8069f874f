// Deleted snapshots: what they cost the cleaner, and that nothing of what they held is forgotten.

import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { seededRandom } from "../../common/random.ts";
import type { ObjectBackend } from "../backend/backend.ts";
import type { ExportSession } from "../device.ts";
import { EngineRig, readRange, rigPool } from "../engine-rig.fixture.ts";
import { clusterBytes, KiB, pageFanout } from "../limits.ts";
import type { CleanerPass } from "./cleaner.ts";

const settings = { segmentBytes: 128 * KiB, cleanerDeadShare: 0.5 };

/** Counts how often something is read. */
function counted(): { readonly wrap: (backend: ObjectBackend) => ObjectBackend; reads: number } {
  const count = {
    reads: 0,
    wrap: (backend: ObjectBackend): ObjectBackend =>
      new Proxy(backend, {
        get(target, name) {
          if (name === "read") count.reads++;
          return (Reflect.get(target, name) as () => unknown).bind(target);
        },
      }),
  };
  return count;
}

async function openRig(t: TestContext, wrap?: (backend: ObjectBackend) => ObjectBackend): Promise<EngineRig> {
  const rig = await EngineRig.open(wrap === undefined ? { settings } : { settings, wrap });
  t.after(() => rig.close());
  return rig;
}

const clean = (rig: EngineRig): Promise<CleanerPass> => rig.router.cleaners.get(rigPool)!.pass();

const touched = (pass: CleanerPass): number => pass.compacted + pass.dropped;

/** Passes until one finds nothing to do; what all of them did. */
async function cleanAll(rig: EngineRig): Promise<{ readonly examined: number; readonly touched: number }> {
  const sum = { examined: 0, touched: 0 };
  for (;;) {
    const pass = { ...(await clean(rig)) };
    sum.examined += pass.examined;
    sum.touched += touched(pass);
    if (pass.examined === 0) return sum;
  }
}

/** Four clusters at a time: what arrives together is in one segment. */
async function write(session: ExportSession, from: number, count: number, byte: number): Promise<void> {
  const together = 4;
  for (let at = 0; at < count; at += together) {
    const data = Buffer.alloc(Math.min(together, count - at) * clusterBytes, byte);
    await session.device.write((from + at) * clusterBytes, data, { fua: false });
  }
}

/** Everything is in a checkpoint then, and in no journal. */
async function writeAndDetach(rig: EngineRig, disk: string, from: number, count: number, byte: number): Promise<void> {
  const session = await rig.open(disk);
  await write(session, from, count, byte);
  await session.close();
  await rig.detach(disk);
}

const removeSnapshot = (rig: EngineRig, id: string): Promise<void> => rig.atomically((tx) => rig.control.deleteSnapshot(tx, id));

/** What the cleaner does when a snapshot goes that alone holds 60 clusters of a disk of so many. */
async function costOfDeletion(t: TestContext, clusters: number): Promise<{ examined: number; freed: number; reads: number }> {
  const count = counted();
  const rig = await openRig(t, count.wrap);
  const disk = await rig.createDisk(4096 * clusterBytes);
  await writeAndDetach(rig, disk, 0, clusters, 1);
  const older = await rig.snapshot(disk);
  await writeAndDetach(rig, disk, 64, 60, 2);
  await rig.snapshot(disk);
  await cleanAll(rig);
  count.reads = 0;
  await removeSnapshot(rig, older);
  const pass = await clean(rig);
  const { reads } = count;
  assert.equal((await readRange(await rig.open(disk), 70 * clusterBytes, 1))[0], 2);
  return { examined: pass.examined, freed: touched(pass), reads };
}

test("a deleted snapshot costs looks and reads for what it alone held, whatever the length of the log", async (t) => {
  const [short, long] = [await costOfDeletion(t, 512), await costOfDeletion(t, 4096)];
  assert.ok(short.freed >= 1 && long.freed >= 1, JSON.stringify([short, long]));
  assert.ok(long.examined <= 4, `${long.examined} segments were looked at`);
  assert.ok(long.reads <= short.reads + 4, `${long.reads} reads of the backend, ${short.reads} with an eighth of the log`);
});

test("a snapshot of which nothing was written over is deleted without a look", async (t) => {
  const rig = await openRig(t);
  const disk = await rig.createDisk(1024 * clusterBytes);
  await writeAndDetach(rig, disk, 0, 512, 1);
  const snapshot = await rig.snapshot(disk);
  await writeAndDetach(rig, disk, 512, 512, 1);
  await cleanAll(rig);
  await removeSnapshot(rig, snapshot);
  assert.equal((await clean(rig)).examined, 0);
});

test("more snapshots than are compared, deleted together, give back what they held", async (t) => {
  const rig = await openRig(t);
  const disk = await rig.createDisk(64 * clusterBytes);
  const session = await rig.open(disk);
  const snapshots: string[] = [];
  for (let round = 0; round < 70; round++) {
    await write(session, 0, 32, round);
    snapshots.push(await rig.snapshot(disk));
  }
  await session.close();
  await rig.detach(disk);
  await cleanAll(rig);
  for (const id of snapshots) await removeSnapshot(rig, id);
  const { touched: freed } = await cleanAll(rig);
  assert.ok(freed >= 69, `${freed} segments were given back`);
});

for (const seed of [1, 2, 3, 4]) {
  test(`after snapshots and deletions at random (${seed}) a look at everything finds no more than was found`, async (t) => {
    const rig = await openRig(t);
    const random = seededRandom(seed);
    const clusters = 512;
    const disk = await rig.createDisk(clusters * clusterBytes);
    let session = await rig.open(disk);
    const snapshots: string[] = [];
    const clones: string[] = [];
    let found = 0;
    for (let step = 0; step < 60; step++) {
      const chance = random.below(10);
      if (chance < 5) await write(session, random.below(clusters - 100), 1 + random.below(100), step);
      else if (chance === 5) snapshots.push(await rig.snapshot(disk));
      else if (chance === 6 && snapshots.length > 0) {
        const [id] = snapshots.splice(random.below(snapshots.length), 1);
        await removeSnapshot(rig, id!);
      } else if (chance === 7 && clones.length === 0) {
        clones.push(await rig.createDisk(clusters * clusterBytes, { kind: "vdisk", vdiskId: disk }));
      } else if (chance === 8 && clones.length > 0) {
        await rig.atomically((tx) => rig.control.deleteVdisk(tx, clones.pop()!));
      } else if (random.below(2) === 0) {
        await session.device.trim(random.below(clusters - 60) * clusterBytes, 60 * clusterBytes, { fua: false });
      } else {
        await session.close();
        await rig.detach(disk);
        session = await rig.open(disk);
      }
      if (random.below(3) === 0) found += touched(await clean(rig));
    }
    await session.close();
    await rig.detach(disk);
    found += (await cleanAll(rig)).touched;
    assert.ok(found > 0, "there was something to be found");
    await rig.crash();
    const { examined, touched: missed } = await cleanAll(rig);
    assert.ok(examined > 0, "all is looked at after a start");
    assert.equal(missed, 0, `${missed} segments were missed while ${found} were found`);
  });
}

test("a pass ends after sixteen compactions, and the next ones do the others", async (t) => {
  const rig = await openRig(t);
  const disk = await rig.createDisk(4096 * clusterBytes);
  await writeAndDetach(rig, disk, 0, 1024, 1);
  const session = await rig.open(disk);
  for (let at = 0; at < 1024; at += 16) await write(session, at, 12, 2);
  await session.close();
  await rig.detach(disk);
  const passes: number[] = [];
  for (let pass = await clean(rig); pass.examined > 0; pass = await clean(rig)) passes.push(pass.compacted);
  assert.equal(passes[0], 16);
  assert.ok(passes.length > 1 && Math.max(...passes) === 16, passes.join(" "));
});

for (const leaves of [8150, 8250]) {
  test(`a snapshot that differs in ${leaves} leaves is ${leaves > 8192 ? "not " : ""}compared`, async (t) => {
    const rig = await openRig(t);
    const disk = await rig.createDisk(8400 * pageFanout * clusterBytes);
    const touchEach = async (byte: number): Promise<void> => {
      const session = await rig.open(disk);
      for (let leaf = 0; leaf < leaves; leaf++) await write(session, leaf * pageFanout, 1, byte);
      await session.close();
      await rig.detach(disk);
    };
    await writeAndDetach(rig, disk, 8300 * pageFanout, 256, 1);
    await touchEach(2);
    const snapshot = await rig.snapshot(disk);
    await touchEach(3);
    await cleanAll(rig);
    await removeSnapshot(rig, snapshot);
    const { examined } = await cleanAll(rig);
    const segmentsOfOne = Math.ceil(leaves / 28);
    assert.equal(examined > segmentsOfOne + 20, leaves > 8192, `${examined} looked at; ${segmentsOfOne} hold what is gone`);
  });
}
