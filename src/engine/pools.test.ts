// Several vPools in one process: disks of different pools share the router, the read cache and the journal's budget, and
// nothing of what they read.

import assert from "node:assert/strict";
import { test } from "node:test";
import { seededRandom } from "../common/random.ts";
import { EngineRig, readRange, rigPool } from "./engine-rig.fixture.ts";
import { KiB, MiB } from "./limits.ts";
import { keys } from "./records.ts";

test("disks of two pools, written and read alike, read what was written to each, from cache, journal and backend", async (t) => {
  const rig = await EngineRig.open({ otherPools: ["pool2"], settings: { cacheBytes: 4 * MiB } });
  t.after(() => rig.close());
  const random = seededRandom(7);
  const sizeBytes = 4 * MiB;
  const disks: { readonly id: string; readonly bytes: Buffer }[] = [];
  for (const pool of [rigPool, "pool2", rigPool, "pool2"]) {
    disks.push({ id: await rig.createDisk(sizeBytes, undefined, pool), bytes: Buffer.alloc(sizeBytes) });
  }
  for (let round = 0; round < 3; round++) {
    const sessions = await Promise.all(disks.map(({ id }) => rig.open(id)));
    for (let write = 0; write < 40; write++) {
      const place = 4 * KiB * random.below(sizeBytes / (4 * KiB) - 8);
      for (const [index, { bytes }] of disks.entries()) {
        const data = random.bytes(4 * KiB * (1 + random.below(8)));
        data.copy(bytes, place);
        await sessions[index]!.device.write(place, data, { fua: false });
      }
    }
    for (const [index, { bytes }] of disks.entries()) {
      // Twice: the second time from the cache, as far as that holds.
      for (let look = 0; look < 2; look++) {
        assert.ok((await readRange(sessions[index]!, 0, sizeBytes)).equals(bytes), `round ${round}, disk ${index}`);
      }
    }
    if (round === 1) await rig.crash();
    for (const { id } of disks) await rig.detach(id);
  }
});

test("what was retired in one pool is deleted there, whichever pool's cleaner comes first", async (t) => {
  const rig = await EngineRig.open({ otherPools: ["pool2"], settings: { retiredGraceMs: 1 } });
  t.after(() => rig.close());
  const id = await rig.createDisk(2 * MiB);
  const session = await rig.open(id);
  for (let round = 0; round < 4; round++) {
    await session.device.write(0, seededRandom(round).bytes(2 * MiB), { fua: true });
  }
  await rig.detach(id);
  const [ours, others] = [rig.router.cleaners.get(rigPool)!, rig.router.cleaners.get("pool2")!];
  await ours.pass();
  const { entries } = await rig.registry.range({ prefix: keys.retiredAll });
  assert.ok(entries.length > 0, "nothing was retired");
  for (const cleaner of [others, ours]) {
    for (let pass = 0; pass < 2; pass++) {
      await cleaner.pass();
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }
  const names = await rig.backend.list("", { limit: 1000 });
  assert.deepEqual(
    entries.map(({ key }) => key.slice(keys.retiredAll.length)).filter((name) => names.includes(name)),
    [],
  );
  assert.deepEqual((await rig.registry.range({ prefix: keys.retiredAll })).entries, []);
});
