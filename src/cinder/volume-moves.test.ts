// Retype and migration as records: what is refused, what is done at once, what a job does in steps, which statuses, quotas and
// vDisks there are meanwhile and afterwards. The copy itself is a stand-in; the real one is in copying/ and test/crash/.

import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { AndironError } from "../common/errors.ts";
import type { CinderFixture, FixtureOptions } from "./cinder-fixture.ts";
import { admin, copiesOfGib, member, openFixture, requestContext } from "./cinder-fixture.ts";
import type { MoveTask } from "./disk-copies.ts";
import { CinderFault } from "./faults.ts";
import { defaultListQuery } from "./list-query.ts";
import type { Volume, VolumeType } from "./model.ts";

const gibibyte = 2 ** 30;
const [pool1, pool2] = ["andiron@p1#p1", "andiron@p2#p2"];

type Step = (task: MoveTask, signal: AbortSignal) => Promise<number>;
const atOnce: Step = async () => gibibyte;

interface Rig extends CinderFixture {
  readonly tasks: MoveTask[];
  create(type?: string): Promise<Volume>;
  show(id: string): Promise<Volume>;
  makeType(name: string, extraSpecs?: Record<string, string>): Promise<VolumeType>;
  migrate(id: string, host?: string, lock?: boolean): Promise<void>;
  retype(id: string, type: string, mayMigrate?: boolean): Promise<void>;
  /** "count of the type's volumes, gigabytes, snapshots; of all volumes". */
  usage(type: string): Promise<string>;
  /** Names of vDisks. */
  inventory(pool: string): Promise<string[]>;
}

async function open(t: TestContext, step: Step = atOnce, options: FixtureOptions = {}): Promise<Rig> {
  const tasks: MoveTask[] = [];
  const copies = copiesOfGib((task, signal) => {
    tasks.push(task);
    return step(task, signal);
  });
  const fixture = await openFixture(t, { copies, ...options });
  const [row] = fixture.control.poolRows;
  fixture.control.poolRows = [row!, { ...row!, name: "p2" }];
  const { cinder, control } = fixture;
  return {
    ...fixture,
    tasks,
    create: async (volumeType) => {
      const { volume } = await cinder.volumes.create(member, {
        sizeGib: 1,
        name: "disk",
        ...(volumeType === undefined ? {} : { volumeType }),
      });
      return volume;
    },
    show: async (id) => (await cinder.volumes.show(member, id)).volume,
    makeType: (name, extraSpecs = {}) => cinder.volumeTypes.create(admin, { name, extraSpecs }),
    migrate: (id, host = pool2, lock = false) => cinder.volumeMoves.migrate(admin, id, { host, lock }),
    retype: (id, type, mayMigrate = false) => cinder.volumeMoves.retype(member, id, type, mayMigrate),
    async usage(type) {
      const usage = await cinder.quotas.show(member, "demo");
      const keys = [`volumes_${type}`, `gigabytes_${type}`, `snapshots_${type}`, "volumes"];
      return keys.map((key) => usage[key]?.inUse ?? 0).join();
    },
    inventory: async (pool) => (await control.vdisks(pool, 100)).map(({ name }) => name),
  };
}

async function messagesOf({ cinder }: Rig): Promise<string[]> {
  return (await cinder.messages.list(member, defaultListQuery)).items.map(({ userMessage }) => userMessage);
}

const refusedAs = (pattern: RegExp) => (error: unknown) => error instanceof CinderFault && pattern.test(error.message);

test("a migration: starting, migrating, completing, success; same id, other host, no vDisk left behind", async (t) => {
  const seen: string[] = [];
  const rig: Rig = await open(t, async ({ state: { phase, offset } }) => {
    const { status, migrationStatus, host } = await rig.show(volume.id);
    seen.push(`${status} ${migrationStatus} ${host} ${phase} ${offset / gibibyte}`);
    return offset + gibibyte / 2;
  });
  const volume = await rig.create();
  assert.equal(volume.host, pool1);
  await rig.migrate(volume.id);
  await rig.cinder.idle();
  assert.deepEqual(seen, [
    `available migrating ${pool1} copy 0`,
    `available migrating ${pool1} copy 0.5`,
    `available completing ${pool1} compare 0`,
    `available completing ${pool1} compare 0.5`,
  ]);
  const moved = await rig.show(volume.id);
  assert.deepEqual([moved.status, moved.migrationStatus, moved.host], ["available", "success", pool2]);
  assert.deepEqual([moved.jobId, moved.move], [undefined, undefined]);
  assert.deepEqual([await rig.inventory("p1"), await rig.inventory("p2")], [[], ["disk"]]);
  assert.deepEqual(rig.troubles, []);
  await rig.migrate(volume.id, pool1);
  await rig.cinder.idle();
  assert.equal((await rig.show(volume.id)).host, pool1);
  await rig.cinder.volumes.delete(member, volume.id, { cascade: false, force: false });
  assert.deepEqual([await rig.inventory("p1"), await rig.inventory("p2")], [[], []]);
});

test("while it moves nobody attaches, grows, reverts, snapshots, gives away or deletes it, or takes the copy in", async (t) => {
  const gate = Promise.withResolvers<void>();
  const rig: Rig = await open(t, async () => {
    await gate.promise;
    return gibibyte;
  });
  const { id } = await rig.create();
  await rig.migrate(id, pool2, true);
  while (rig.tasks.length === 0) await new Promise((resolve) => setTimeout(resolve, 10));
  const { status, previousStatus, migrationStatus } = await rig.show(id);
  assert.deepEqual([status, previousStatus, migrationStatus], ["maintenance", "available", "migrating"]);
  const { cinder } = rig;
  await cinder.volumeActions.resetStatus(admin, id, { status: "available", migrationStatus: "none" });
  const moving = refusedAs(/is being migrated to|status must be available or in-use, must not be migrating|Retype needs volume/);
  const connector = { host: "h" };
  await assert.rejects(cinder.attachments.create(member, { volumeId: id }), moving);
  await assert.rejects(cinder.attachments.create(member, { volumeId: id, connector }), moving);
  await assert.rejects(cinder.legacyAttach.reserve(member, id), moving);
  await assert.rejects(cinder.legacyAttach.attach(member, id, { hostName: "h" }), moving);
  await assert.rejects(cinder.legacyAttach.initializeConnection(member, id, connector), moving);
  await assert.rejects(cinder.volumeActions.extend(member, id, 2, true), moving);
  await assert.rejects(cinder.snapshots.create(member, { volumeId: id, allowInUse: true }), moving);
  await assert.rejects(cinder.transfers.create(member, { volumeId: id, name: null, noSnapshots: true }), moving);
  await assert.rejects(rig.migrate(id), moving);
  await rig.makeType("other");
  await assert.rejects(rig.retype(id, "other"), moving);
  assert.deepEqual(await cinder.management.manageableVolumes(admin, pool2), []);
  const [sourceName = ""] = await rig.inventory("p2");
  const take = { host: pool2, reference: { sourceName }, bootable: false };
  await assert.rejects(cinder.management.manageVolume(admin, take), /is exported|invalid backend reference/);
  gate.resolve();
  await cinder.idle();
  assert.deepEqual((await rig.show(id)).host, pool2);
});

test("a failed copy: error, the volume as it was, a message, and no vDisk in the other pool", async (t) => {
  const rig: Rig = await open(t, async ({ state: { phase } }) => {
    if (phase === "compare") throw new AndironError("copy_differs", "the copy is not what was copied");
    return gibibyte;
  });
  await rig.makeType("two", { volume_backend_name: "p2" });
  const { id, typeId } = await rig.create();
  await rig.retype(id, "two", true);
  const during = await rig.show(id);
  assert.deepEqual([during.status, during.previousStatus, during.migrationStatus], ["retyping", "available", "starting"]);
  assert.equal(await rig.usage("two"), "1,1,0,1");
  await rig.cinder.idle();
  const after = await rig.show(id);
  assert.deepEqual([after.status, after.migrationStatus, after.host, after.typeId], ["available", "error", pool1, typeId]);
  assert.deepEqual([await rig.inventory("p1"), await rig.inventory("p2")], [["disk"], []]);
  assert.equal(await rig.usage("two"), "0,0,0,1");
  assert.equal(await rig.usage("__DEFAULT__"), "1,1,0,1");
  assert.deepEqual(await messagesOf(rig), [
    "create volume from backend storage:An unknown error occurred. (the copy is not what was copied)",
  ]);
});

test("a failure that passes: the next claim goes on at the checkpoint through other exports", async (t) => {
  let failures = 0;
  const rig: Rig = await open(t, async ({ state: { offset } }) => {
    if (offset > 0 && failures++ === 0) throw new AndironError("backend_unavailable", "away");
    return offset + gibibyte / 2;
  });
  const { id } = await rig.create();
  await rig.migrate(id);
  for (let status: string | null = ""; status !== "success"; status = (await rig.show(id)).migrationStatus)
    await rig.cinder.idle();
  const half = gibibyte / 2;
  assert.deepEqual(
    rig.tasks.map(({ state: { phase, offset } }) => `${phase} ${offset}`),
    ["copy 0", `copy ${half}`, `copy ${half}`, "compare 0", `compare ${half}`],
  );
  assert.equal(new Set(rig.tasks.map(({ targetExport }) => targetExport)).size, 2);
});

test("a forced delete after a reset of the status breaks the migration off and leaves nothing", async (t) => {
  const rig = await open(t, (_task, signal) => {
    return new Promise((_resolve, reject) => signal.addEventListener("abort", () => reject(new Error("broken off"))));
  });
  await rig.makeType("two", { volume_backend_name: "p2" });
  const { id } = await rig.create();
  await rig.retype(id, "two", true);
  while (rig.tasks.length === 0) await new Promise((resolve) => setTimeout(resolve, 10));
  await assert.rejects(rig.cinder.volumeActions.forceDelete(admin, id), refusedAs(/must not be migrating/));
  await rig.cinder.volumeActions.resetStatus(admin, id, { migrationStatus: "none" });
  await rig.cinder.volumeActions.forceDelete(admin, id);
  await assert.rejects(rig.show(id), CinderFault);
  assert.deepEqual([await rig.inventory("p1"), await rig.inventory("p2")], [[], []]);
  assert.equal(await rig.usage("two"), "0,0,0,0");
});

test("a retype that the pool takes is done at once, in use too, and its snapshots and quotas go along", async (t) => {
  const rig = await open(t);
  await rig.makeType("plain", { volume_backend_name: "p1" });
  const { id } = await rig.create();
  await rig.cinder.snapshots.create(member, { volumeId: id, allowInUse: false });
  await rig.cinder.attachments.create(member, { volumeId: id, connector: { host: "h" } });
  await rig.cinder.volumeActions.resetStatus(admin, id, { status: "in-use" });
  await rig.retype(id, "plain");
  const { volume, typeName } = await rig.cinder.volumes.show(member, id);
  assert.deepEqual([volume.status, typeName, volume.migrationStatus, volume.host], ["in-use", "plain", null, pool1]);
  assert.equal(await rig.usage("plain"), "1,2,1,1");
  assert.equal(await rig.usage("__DEFAULT__"), "0,0,0,1");
  await rig.retype(id, "__DEFAULT__");
  for (const { id: snapshot } of (await rig.cinder.snapshots.list(member, defaultListQuery)).items) {
    await rig.cinder.snapshots.delete(member, snapshot);
  }
  assert.equal(await rig.usage("__DEFAULT__"), "1,1,0,1");
  assert.equal(await rig.usage("plain"), "0,0,0,1");
});

test("a retype with migration ends with the new type, its multiattach, and the quota of it alone", async (t) => {
  const rig = await open(t);
  await rig.makeType("many", { volume_backend_name: "p2", multiattach: "<is> True" });
  const { id } = await rig.create();
  await rig.retype(id, "many", true);
  assert.equal((await rig.show(id)).multiattach, false);
  await assert.rejects(
    rig.cinder.volumeTypes.delete(
      admin,
      (await rig.cinder.volumeTypes.list(admin, defaultListQuery, {})).items.find(({ name }) => name === "many")!.id,
    ),
    refusedAs(/still in use/),
  );
  await rig.cinder.idle();
  const { volume, typeName } = await rig.cinder.volumes.show(member, id);
  assert.deepEqual([volume.status, volume.migrationStatus, typeName], ["available", "success", "many"]);
  assert.deepEqual([volume.host, volume.multiattach], [pool2, true]);
  assert.equal(await rig.usage("many"), "1,1,0,1");
  assert.equal(await rig.usage("__DEFAULT__"), "0,0,0,1");
});

test("what the scheduler can't give: accepted, nothing is changed, a message says why", async (t) => {
  const rig = await open(t);
  await rig.makeType("two", { volume_backend_name: "p2" });
  await rig.makeType("nowhere", { volume_backend_name: "p9" });
  const { id, typeId } = await rig.create();
  const unchanged = async (pattern: RegExp, migrationStatus: string | null = null): Promise<void> => {
    const volume = await rig.show(id);
    assert.deepEqual([volume.status, volume.typeId, volume.host, volume.move], ["available", typeId, pool1, undefined]);
    assert.equal(volume.migrationStatus, migrationStatus);
    assert.match((await messagesOf(rig)).at(0)!, pattern);
    assert.deepEqual([await rig.usage("two"), await rig.usage("nowhere")], ["0,0,0,1", "0,0,0,1"]);
    assert.deepEqual(await rig.inventory("p2"), []);
  };
  await rig.retype(id, "two");
  await unchanged(/\(p1: CapabilitiesFilter: volume_backend_name is p1, not "p2", and migration is not allowed\)/);
  await rig.retype(id, "nowhere", true);
  await unchanged(/p2: CapabilitiesFilter/);
  const { id: snapshotId } = await rig.cinder.snapshots.create(member, { volumeId: id, allowInUse: false });
  await rig.retype(id, "two", true);
  await unchanged(/a volume with snapshots can't be migrated/);
  await rig.cinder.management.unmanageSnapshot(admin, snapshotId);
  await rig.retype(id, "two", true);
  await unchanged(/snapshots that are not managed/);
  await rig.migrate(id, "andiron@p2#p3");
  await unchanged(/there is no pool andiron@p2#p3/, "error");
  assert.equal(rig.tasks.length, 0);
});

test("an attached volume is migrated and retyped too; its status is what its attachments say, before and after", async (t) => {
  const rig: Rig = await open(t, async ({ state: { offset } }) => {
    seen.push((await rig.show(id)).status);
    return offset + gibibyte;
  });
  const seen: string[] = [];
  await rig.makeType("one", { volume_backend_name: "p1" });
  const { id } = await rig.create();
  await rig.cinder.legacyAttach.attach(member, id, { hostName: "h" });
  await rig.migrate(id, pool2, true);
  await rig.cinder.idle();
  const moved = await rig.show(id);
  assert.deepEqual([moved.status, moved.migrationStatus, moved.host], ["in-use", "success", pool2]);
  await rig.retype(id, "one", true);
  await rig.cinder.idle();
  const retyped = await rig.show(id);
  assert.deepEqual([retyped.status, retyped.migrationStatus, retyped.host], ["in-use", "success", pool1]);
  assert.deepEqual([await rig.inventory("p1"), await rig.inventory("p2")], [["disk"], []]);
  assert.deepEqual(seen, ["in-use", "in-use", "retyping", "retyping"]);
});

test("a copy that has to begin anew each time is given up", async (t) => {
  let times = 0;
  const rig = await open(t, undefined, {
    copies: {
      step: async ({ state }) => ({ state: { ...state, since: `${times++}`, offset: 0 }, doneBytes: 1 }),
      end: () => Promise.resolve(),
    },
  });
  const { id } = await rig.create();
  await rig.migrate(id);
  await rig.cinder.idle();
  assert.equal((await rig.show(id)).migrationStatus, "error");
  assert.match((await messagesOf(rig))[0]!, /had to begin anew 10 times/);
});

test("the requests' own refusals have Cinder's words", async (t) => {
  const rig = await open(t);
  const { cinder } = rig;
  const many = await rig.makeType("many", { multiattach: "<is> True" });
  await rig.makeType("two");
  const { id } = await rig.create();
  await assert.rejects(rig.retype(id, "none such"), refusedAs(/^Volume type with name none such could not be found\.$/));
  await assert.rejects(rig.retype(id, "__DEFAULT__"), refusedAs(/^Invalid volume: Retype needs volume to be in available/));
  await assert.rejects(rig.migrate(id, pool1), refusedAs(/destination host\/cluster must be different than the current one$/));
  await assert.rejects(rig.migrate(id, "andiron@p9#p9"), refusedAs(/^Invalid host: No available service named 'andiron@p9#p9'$/));
  await assert.rejects(
    cinder.volumeMoves.migrate(admin, id, { cluster: "c", lock: false }),
    refusedAs(/^Invalid host: No available service named 'c'$/),
  );
  await assert.rejects(cinder.volumeMoves.migrate(member, id, { host: pool2, lock: false }), refusedAs(/Policy doesn't allow/));
  await assert.rejects(
    cinder.volumeMoves.retype(requestContext("other", false), id, "two", false),
    refusedAs(/could not be found/),
  );
  await cinder.quotas.set(admin, "demo", { gigabytes_two: 0 });
  await assert.rejects(rig.retype(id, "two"), refusedAs(/exceeds allowed gigabytes_two quota\. Requested 1G, quota is 0G/));
  await cinder.legacyAttach.attach(member, id, { hostName: "h" });
  await assert.rejects(rig.retype(id, many.name), refusedAs(/multiattach are only allowed on available volumes/));
  const qos = await cinder.qosSpecs.create(admin, "q", "front-end", { read_iops_sec: "1" });
  const { id: limited } = await rig.makeType("limited");
  await cinder.qosSpecs.associate(admin, qos.id, limited);
  await assert.rejects(rig.retype(id, "limited"), refusedAs(/front-end qos specs cannot change/));
});

test("completing a migration of others: two volumes that are not mid-migration change places", async (t) => {
  const rig = await open(t);
  const [from, to] = [await rig.create(), await rig.create()];
  const { volumeMoves, legacyAttach } = rig.cinder;
  await legacyAttach.attach(member, from.id, { hostName: "h", mountpoint: "/dev/vdb" });
  assert.equal(await volumeMoves.completeMigration(admin, from.id, to.id, true), to.id);
  assert.equal((await rig.show(from.id)).status, "in-use");
  assert.equal(await volumeMoves.completeMigration(admin, from.id, to.id, false), to.id);
  assert.deepEqual([(await rig.show(from.id)).status, (await rig.show(to.id)).status], ["available", "in-use"]);
  const mark = (id: string): Promise<void> => rig.cinder.volumeActions.resetStatus(admin, id, { migrationStatus: "migrating" });
  await mark(to.id);
  await assert.rejects(volumeMoves.completeMigration(admin, from.id, to.id, false), refusedAs(/Source volume not mid-migration/));
  await assert.rejects(volumeMoves.completeMigration(admin, to.id, from.id, false), refusedAs(/Destination volume not mid-m/));
  await mark(from.id);
  const expected = `Destination has migration_status migrating, expected target:${from.id}.`;
  await assert.rejects(volumeMoves.completeMigration(admin, from.id, to.id, false), refusedAs(new RegExp(expected)));
});
