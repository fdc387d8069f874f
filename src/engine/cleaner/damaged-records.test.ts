// A record of the registry that cannot be read costs what it describes, and nothing of its neighbours.

import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { seededRandom } from "../../common/random.ts";
import { EngineRig, rigPool } from "../engine-rig.fixture.ts";
import { MiB } from "../limits.ts";
import { keys } from "../records.ts";

/** A disk of whose segments most are dead. */
async function overwritten(t: TestContext): Promise<EngineRig> {
  const rig = await EngineRig.open({ settings: { retiredGraceMs: 0 } });
  t.after(() => rig.close());
  const id = await rig.createDisk(2 * MiB);
  const session = await rig.open(id);
  for (let round = 0; round < 4; round++) {
    await session.device.write(0, seededRandom(round).bytes(2 * MiB), { fua: true });
  }
  await rig.detach(id);
  return rig;
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
  const damaged = keys.retired("0000/s-0000-0001"); // before all others
  await put(rig, damaged, "{");
  const { deletedObjects } = await passes(rig);
  assert.ok(deletedObjects > 0, "nothing was deleted");
  assert.deepEqual(await retired(rig), [damaged]);
});

test("what a log retired stays while its record cannot be read, and goes when it can be again", async (t) => {
  const rig = await overwritten(t);
  const [log] = (await rig.registry.range({ prefix: keys.logs })).entries;
  const object = `${log!.key.slice(keys.logs.length)}/m-stray`;
  await put(rig, keys.retired(object), JSON.stringify({ v: 1, object, retiredAtMs: 0 }));
  await put(rig, log!.key, JSON.stringify({ v: 99 }));
  await passes(rig);
  assert.deepEqual(await retired(rig), [keys.retired(object)]);
  await put(rig, log!.key, log!.value);
  await passes(rig);
  assert.deepEqual(await retired(rig), []);
});

test("a log whose record cannot be read keeps no other log from being cleaned", async (t) => {
  const rig = await overwritten(t);
  await put(rig, keys.log("0000"), "not JSON");
  const { dropped } = await passes(rig);
  assert.ok(dropped > 0, "nothing was dropped");
});
