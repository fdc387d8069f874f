// The simulated disk under the contract, and what its power loss may and may not take.

import assert from "node:assert/strict";
import { test } from "node:test";
import { seededRandom } from "../src/common/random.ts";
import type { LocalDisk } from "../src/engine/local-disk.ts";
import { readWhole, systemCodeOf } from "../src/engine/local-disk.ts";
import { localDiskContract } from "../src/engine/local-disk-contract.ts";
import { Life } from "./life.ts";
import { SimDisk } from "./sim-disk.ts";
import { VirtualClock } from "./virtual-clock.ts";

interface Bench {
  readonly sim: SimDisk;
  readonly disk: LocalDisk;
  readonly life: Life;
  /** The disk as the next process sees it. */
  next(): LocalDisk;
  settle<T>(promise: Promise<T>): Promise<T>;
}

function makeBench(seed: number, fuse = Number.MAX_SAFE_INTEGER): Bench {
  const clock = new VirtualClock();
  const sim = new SimDisk(seededRandom(seed));
  sim.prepare("/d");
  const life = new Life(clock, seededRandom(seed + 1), fuse);
  const settle = async <T>(promise: Promise<T>): Promise<T> => {
    let pending = true;
    promise.then(
      () => (pending = false),
      () => (pending = false),
    );
    for (let steps = 0; pending && steps < 1000; steps++) await clock.step();
    assert.ok(!pending, "the simulated call never settled");
    return promise;
  };
  const next = (): LocalDisk => sim.mount(new Life(clock, seededRandom(seed + 2), Number.MAX_SAFE_INTEGER));
  return { sim, disk: sim.mount(life), life, next, settle };
}

localDiskContract("simulated", async () => {
  const { disk, settle } = makeBench(1);
  return { disk, directory: "/d", settle, remove: () => Promise.resolve() };
});

const outcomes = async (run: (seed: number) => Promise<string>): Promise<Set<string>> => {
  const found = new Set<string>();
  for (let seed = 1; seed <= 60; seed++) found.add(await run(seed));
  return found;
};

test("power loss keeps what was synced, and takes unsynced sectors one by one", async () => {
  const found = await outcomes(async (seed) => {
    const { sim, disk, next, settle } = makeBench(seed);
    const file = disk.open("/d/a", "new");
    file.writeNow([Buffer.alloc(1024, "s")], 0);
    await settle(file.sync());
    await settle(disk.syncDirectory("/d"));
    file.writeNow([Buffer.alloc(2048, "u")], 512);
    sim.losePower();
    const bytes = await settle(readWhole(next(), "/d/a"));
    assert.deepEqual(bytes.subarray(0, 512), Buffer.alloc(512, "s"));
    let shape = "";
    for (let at = 0; at < bytes.length; at += 512) {
      const sector = bytes.subarray(at, at + 512);
      assert.deepEqual(sector, Buffer.alloc(512, sector[0]), "a sector is torn");
      shape += sector[0] === 0 ? "0" : String.fromCharCode(sector[0]!);
    }
    return shape;
  });
  assert.ok(found.has("ss"), "an unsynced write may be lost");
  assert.ok(found.has("suuuu"), "an unsynced write may survive");
  assert.ok(
    [...found].some((shape) => /su.*[s0]|ss.*u/.test(shape)),
    `an unsynced write may be torn: ${[...found].join(" ")}`,
  );
});

test("power loss may take a name or bring it back until its directory is synced", async () => {
  const names =
    (synced: boolean) =>
    async (seed: number): Promise<string> => {
      const { sim, disk, next, settle } = makeBench(seed);
      const made = disk.open("/d/a", "new");
      await settle(made.sync());
      await settle(disk.syncDirectory("/d"));
      await settle(disk.rename("/d/a", "/d/b"));
      disk.open("/d/c", "new");
      if (synced) await settle(disk.syncDirectory("/d"));
      sim.losePower();
      return (await settle(next().list("/d"))).sort().join("");
    };
  assert.deepEqual([...(await outcomes(names(false)))].sort(), ["a", "ac", "b", "bc"]);
  assert.deepEqual([...(await outcomes(names(true)))], ["bc"]);
});

test("a kill keeps what was written, and the dead write nothing more", async () => {
  const { disk, life, next, settle } = makeBench(3);
  const file = disk.open("/d/a", "new");
  file.writeNow([Buffer.from("kept")], 0);
  life.kill();
  file.writeNow([Buffer.from("lost")], 0);
  void file.write([Buffer.from("lost")], 0);
  assert.equal((await settle(readWhole(next(), "/d/a"))).toString(), "kept");
});

test("what a failed sync covered is read until the power goes, and no later sync brings it back", async () => {
  const { sim, disk, next, settle } = makeBench(4);
  const file = disk.open("/d/a", "new");
  await settle(file.sync());
  await settle(disk.syncDirectory("/d"));
  file.writeNow([Buffer.alloc(512, "x")], 0);
  sim.faults.syncFailShare = 1;
  await assert.rejects(settle(file.sync()), (error) => systemCodeOf(error) === "EIO");
  sim.faults.syncFailShare = 0;
  await settle(file.sync());
  assert.equal(file.lengthBytes(), 512);
  sim.losePower();
  assert.equal((await settle(readWhole(next(), "/d/a"))).length, 0);
});

test("a full disk takes a part and says so", async () => {
  const { sim, disk, settle } = makeBench(5);
  const file = disk.open("/d/a", "new");
  sim.faults.full = true;
  assert.throws(
    () => file.writeNow([Buffer.alloc(4096)], 0),
    (error) => systemCodeOf(error) === "ENOSPC",
  );
  assert.ok(file.lengthBytes() <= 4096);
  assert.throws(
    () => disk.open("/d/b", "new"),
    (error) => systemCodeOf(error) === "ENOSPC",
  );
  await assert.rejects(settle(file.write([Buffer.alloc(4096)], 0)), (error) => systemCodeOf(error) === "ENOSPC");
});
