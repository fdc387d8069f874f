// A record of the registry that cannot be read costs what it describes, and nothing of its neighbours.

import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { systemClock } from "../../common/clock.ts";
import { seededRandom } from "../../common/random.ts";
import { EngineRig, rigPool } from "../engine-rig.fixture.ts";
import { MiB } from "../limits.ts";
import { keys } from "../records.ts";

const lastRound = 3;

/** A disk of whose segments most are dead. */
async function overwritten(t: TestContext): Promise<EngineRig> {
  const rig = await EngineRig.open({ settings: { retiredGraceMs: 0 } });
  t.after(() => rig.close());
  const id = await rig.createDisk(2 * MiB);
  const session = await rig.open(id);
  for (let round = 0; round <= lastRound; round++) {
    await session.device.write(0, seededRandom(round).bytes(2 * MiB), { fua: true });
  }
  await session.close();
  await rig.detach(id);
  return rig;
}

async function readsAsWritten(rig: EngineRig): Promise<boolean> {
  const [disk] = (await rig.registry.range({ prefix: "engine/vdisk/" })).entries;
  const session = await rig.open(disk!.key.slice("engine/vdisk/".length));
  const found = Buffer.alloc(2 * MiB);
  await session.device.read(0, found);
  return found.equals(seededRandom(lastRound).bytes(2 * MiB));
}

async function put(rig: EngineRig, key: string, value: string): Promise<void> {
  await rig.registry.transact({ compares: [], success: [{ kind: "put", key, value }] });
}

const retired = async (rig: EngineRig): Promise<string[]> =>
  (await rig.registry.range({ prefix: keys.retiredAll })).entries.map(({ key }) => key);

async function passes(rig: EngineRig): Promise<{ dropped: number; deletedObjects: number }> {
  const cleaner = rig.router.cleaners.get(rigPool)!;
  for (let pass = 0; pass < 3; pass++) await cleaner.pass();
  return cleaner.total;
}

test("a retired record that cannot be read keeps no other object from being deleted", async (t) => {
  const rig = await overwritten(t);
  const live = (await rig.backend.list("")).at(-1)!;
  const nobodys = "00000000-0000-4000-8000-000000000000"; // before all others
  const damaged = [
    [keys.retired(`${nobodys}/m-00000001-00000001`), "{"],
    [keys.retired(`${nobodys}/m-00000001-00000002`), JSON.stringify({ v: 1, object: 7, retiredAtMs: 0 })],
    [keys.retired(`${nobodys}/m-00000001-00000003`), JSON.stringify({ v: 1, object: live, retiredAtMs: 0 })],
    [keys.retired(`${nobodys}/no-name`), JSON.stringify({ v: 1, object: `${nobodys}/no-name`, retiredAtMs: 0 })],
  ] as const;
  for (const [key, value] of damaged) await put(rig, key, value);
  const { deletedObjects } = await passes(rig);
  assert.ok(deletedObjects > 0, "nothing was deleted");
  assert.deepEqual(
    await retired(rig),
    damaged.map(([key]) => key),
  );
  assert.equal(await readsAsWritten(rig), true);
});

test("what a log retired stays while its record cannot be read, and goes when it can be again", async (t) => {
  const rig = await overwritten(t);
  const [log] = (await rig.registry.range({ prefix: keys.logs })).entries;
  const object = `${log!.key.slice(keys.logs.length)}/m-ffffffff-00000001`;
  await put(rig, keys.retired(object), JSON.stringify({ v: 1, object, retiredAtMs: 0 }));
  await put(rig, log!.key, JSON.stringify({ v: 99 }));
  const before = await rig.backend.list("");
  await passes(rig);
  assert.deepEqual(await rig.backend.list(""), before);
  assert.deepEqual(await retired(rig), [keys.retired(object)]);
  await put(rig, log!.key, log!.value);
  await passes(rig);
  assert.deepEqual(await retired(rig), []);
  assert.equal(await readsAsWritten(rig), true);
});

test("a log whose record cannot be read keeps no other log from being cleaned", async (t) => {
  const rig = await overwritten(t);
  await put(rig, keys.log("0000"), "not JSON");
  const { dropped } = await passes(rig);
  assert.ok(dropped > 0, "nothing was dropped");
});

test("a log whose record cannot be read keeps no other log from being recovered at the start", async (t) => {
  const rig = await EngineRig.open();
  t.after(() => rig.close());
  const session = await rig.open(await rig.createDisk(2 * MiB));
  await session.device.write(0, seededRandom(lastRound).bytes(2 * MiB), { fua: true });
  await put(rig, keys.log("0000"), "not JSON");
  await rig.crash();
  for (let look = 0; look < 500 && rig.router.openLogs.openCount === 0; look++) await systemClock.sleep(10);
  assert.equal(rig.router.openLogs.openCount, 1);
  assert.equal(await readsAsWritten(rig), true);
});
