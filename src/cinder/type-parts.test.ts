// What volume types refer to: encryption, quality of service, default types of projects; and group types.

import assert from "node:assert/strict";
import { test } from "node:test";
import { admin, member, openFixture, stranger } from "./cinder-fixture.ts";
import { CinderFault } from "./faults.ts";
import { defaultListQuery } from "./list-query.ts";
import type { QosSpecs } from "./model.ts";
import type { Projects } from "./ports.ts";
import { backEndLimits, frontEndFigures } from "./qos-figures.ts";

const refused = (pattern: RegExp) => (error: unknown) => error instanceof CinderFault && pattern.test(error.message);
const luks = { provider: "luks", controlLocation: "front-end" } as const;

test("encryption changes only while no volume has the type, and no volume is ever made in the clear", async (t) => {
  const { cinder } = await openFixture(t);
  const { id } = await cinder.volumeTypes.create(admin, { name: "crypt" });
  const { volume } = await cinder.volumes.create(member, { sizeGib: 1, volumeType: "crypt" });
  await assert.rejects(
    cinder.typeEncryptions.create(admin, id, luks),
    refused(/^Cannot create encryption specs. Volume type in use/),
  );
  await cinder.volumes.delete(member, volume.id, { cascade: false, force: false });
  await cinder.typeEncryptions.create(admin, id, luks);
  await assert.rejects(cinder.typeEncryptions.create(admin, id, luks), refused(/already exists/));
  await assert.rejects(cinder.volumes.create(member, { sizeGib: 1, volumeType: "crypt" }), refused(/Invalid encryption spec$/));
  await cinder.typeEncryptions.update(admin, id, { keySize: 512 });
  const shown = await cinder.typeEncryptions.show(admin, id);
  assert.deepEqual([shown?.provider, shown?.keySize, shown?.cipher], ["luks", 512, null]);
  await assert.rejects(cinder.typeEncryptions.show(member, id), refused(/^Policy doesn't allow/));
  await cinder.typeEncryptions.delete(admin, id);
  await assert.rejects(cinder.typeEncryptions.delete(admin, id), refused(/does not exist/));
  assert.equal(await cinder.typeEncryptions.show(admin, id), undefined);
  assert.equal((await cinder.volumes.create(member, { sizeGib: 1, volumeType: "crypt" })).volume.status, "available");
});

test("a volume and its type's encryption are made at once: the volume is there, or the encryption", async (t) => {
  const fixture = await openFixture(t);
  const peer = await fixture.openPeer();
  for (let round = 0; round < 8; round++) {
    const { id } = await fixture.cinder.volumeTypes.create(admin, { name: `t${round}` });
    const [volume] = await Promise.allSettled([
      fixture.cinder.volumes.create(member, { sizeGib: 1, volumeType: id }),
      peer.typeEncryptions.create(admin, id, luks),
    ]);
    const encryption = await fixture.cinder.typeEncryptions.show(admin, id);
    assert.equal(volume.status === "fulfilled", encryption === undefined);
  }
});

test("quality of service in use stays, unless it is forced away from all its types", async (t) => {
  const { cinder } = await openFixture(t);
  const { id } = await cinder.qosSpecs.create(admin, "fast", undefined, { a: "1" });
  const other = await cinder.qosSpecs.create(admin, "slow", "both", {});
  const types: string[] = [];
  for (let i = 0; i < 25; i++) types.push((await cinder.volumeTypes.create(admin, { name: `t${i}` })).id);
  for (const typeId of types) await cinder.qosSpecs.associate(admin, id, typeId);
  await cinder.qosSpecs.associate(admin, id, types[0]!);
  await assert.rejects(cinder.qosSpecs.associate(admin, other.id, types[0]!), refused(/already associated with another/));
  assert.equal((await cinder.qosSpecs.associations(admin, id)).length, 25);
  await assert.rejects(cinder.qosSpecs.delete(admin, id, false), refused(/^Qos specs still in use/));
  await cinder.qosSpecs.delete(admin, id, true);
  assert.equal((await cinder.volumeTypes.show(admin, types[0]!)).qosSpecsId, null);
  await assert.rejects(cinder.qosSpecs.show(admin, id), refused(/^No such QoS spec/));
  assert.deepEqual(
    (await cinder.qosSpecs.list(admin, defaultListQuery)).items.map(({ name }) => name),
    ["slow"],
  );
  assert.equal((await cinder.qosSpecs.create(admin, "fast", undefined, {})).consumer, "back-end");
});

test("a type is tied and the quality of service deleted at once: never is a type left with none that exists", async (t) => {
  const fixture = await openFixture(t);
  const peer = await fixture.openPeer();
  for (let round = 0; round < 5; round++) {
    const qos = await fixture.cinder.qosSpecs.create(admin, `q${round}`, undefined, {});
    const type = await fixture.cinder.volumeTypes.create(admin, { name: `t${round}` });
    await Promise.allSettled([
      fixture.cinder.qosSpecs.associate(admin, qos.id, type.id),
      peer.qosSpecs.delete(admin, qos.id, false),
    ]);
    const { qosSpecsId } = await peer.volumeTypes.show(admin, type.id);
    if (qosSpecsId !== null) assert.equal((await peer.qosSpecs.show(admin, qosSpecsId)).id, qos.id);
  }
});

test("the front end's figures go with the connection, by size where they say so", () => {
  const qos = (consumer: QosSpecs["consumer"], specs: Record<string, string>): QosSpecs => {
    return { v: 1, id: "q", name: "q", consumer, specs, createdAtMs: 0, updatedAtMs: null };
  };
  assert.equal(frontEndFigures(undefined, 1), null);
  assert.equal(frontEndFigures(qos("back-end", { read_iops_sec: "1" }), 1), null);
  assert.equal(frontEndFigures(qos("both", {}), 1), null);
  assert.deepEqual(frontEndFigures(qos("both", { read_iops_sec: "1" }), 1), { read_iops_sec: "1" });
  const bySize = { total_iops_sec_per_gb: "10", total_iops_sec_per_gb_min: "50", total_iops_sec_max: "80" };
  for (const [sizeGib, figure] of [
    [1, "50"],
    [6, "60"],
    [9, "80"],
  ] as const) {
    assert.deepEqual(frontEndFigures(qos("front-end", bySize), sizeGib), { total_iops_sec: figure });
  }
});

test("the back end's limits go with the export, in the names and with the meaning that they have for the front end", () => {
  const limitsOf = (consumer: QosSpecs["consumer"], specs: Record<string, string>, sizeGib = 10): unknown =>
    backEndLimits({ v: 1, id: "q", name: "q", consumer, specs, createdAtMs: 0, updatedAtMs: null }, sizeGib);
  assert.equal(backEndLimits(undefined, 1), undefined);
  assert.equal(limitsOf("front-end", { read_iops_sec: "1" }), undefined);
  const none = { read_iops_sec: "0", write_iops_sec: "many", total_bytes_sec: "-1", size_iops_sec: "4096", latency: "low" };
  assert.equal(limitsOf("both", none), undefined);
  const total = { of: "total", unit: "requests", perSecond: 100 };
  assert.deepEqual(limitsOf("both", { total_iops_sec: "100" }), { rates: [total] });
  const burst = { total_iops_sec: "100", total_iops_sec_max: "500", total_iops_sec_max_length: "60" };
  assert.deepEqual(limitsOf("back-end", burst), { rates: [{ ...total, burst: { perSecond: 500, seconds: 60 } }] });
  // By size, "_max" is the most that it comes to.
  assert.deepEqual(limitsOf("back-end", { total_iops_sec_per_gb: "20", total_iops_sec_max: "100" }), { rates: [total] });
  const several = { write_bytes_sec: "1000", read_bytes_sec_per_gb: "7", size_iops_sec: "8192" };
  assert.deepEqual(limitsOf("back-end", several), {
    rates: [
      { of: "read", unit: "bytes", perSecond: 70 },
      { of: "write", unit: "bytes", perSecond: 1000 },
    ],
    requestBytes: 8192,
  });
});

test("a project's default type is taken when a request names none, and can't be deleted", async (t) => {
  const { cinder } = await openFixture(t);
  const { id } = await cinder.volumeTypes.create(admin, { name: "usual" });
  await assert.rejects(cinder.defaultTypes.show(admin, "demo"), refused(/not found/));
  assert.deepEqual(await cinder.defaultTypes.set(admin, "demo", "usual"), { v: 1, projectId: "demo", typeId: id });
  assert.equal((await cinder.volumeTypes.showDefault(member)).id, id);
  const { volume } = await cinder.volumes.create(member, { sizeGib: 1 });
  assert.equal(volume.typeId, id);
  assert.notEqual((await cinder.volumes.create(stranger, { sizeGib: 1 })).volume.typeId, id);
  await cinder.volumes.delete(member, volume.id, { cascade: false, force: false });
  await assert.rejects(cinder.volumeTypes.delete(admin, id), refused(/is a default volume type/));
  await assert.rejects(cinder.defaultTypes.set(member, "demo", "usual"), refused(/^You are not authorized/));
  await cinder.defaultTypes.unset(admin, "demo");
  await cinder.defaultTypes.unset(admin, "demo");
  assert.deepEqual(await cinder.defaultTypes.list(admin), []);
  await cinder.volumeTypes.delete(admin, id);
});

test("the default type of a project is a matter for whoever may look at that project, if there is one", async (t) => {
  const sights = new Map([
    ["demo", "there"],
    ["far", "hidden"],
  ] as const);
  const projects: Projects = { look: async (_, id) => sights.get(id as "demo") ?? "missing" };
  const { cinder } = await openFixture(t, { projects });
  const { id } = await cinder.volumeTypes.create(admin, { name: "usual" });
  for (const [project, message] of [
    ["nowhere", /^Project with id nowhere not found\.$/],
    ["far", /^You are not authorized/],
  ] as const) {
    await assert.rejects(cinder.defaultTypes.set(admin, project, id), refused(message));
    await assert.rejects(cinder.defaultTypes.show(admin, project), refused(message));
    await assert.rejects(cinder.defaultTypes.unset(admin, project), refused(message));
  }
  await cinder.defaultTypes.set(admin, "demo", id);
  assert.equal((await cinder.defaultTypes.show(admin, "demo")).typeId, id);
});

test("a default type is set and the type deleted at once: no project is left with a type that is gone", async (t) => {
  const fixture = await openFixture(t);
  const peer = await fixture.openPeer();
  for (let round = 0; round < 5; round++) {
    const { id } = await fixture.cinder.volumeTypes.create(admin, { name: `t${round}` });
    await Promise.allSettled([fixture.cinder.defaultTypes.set(admin, "demo", id), peer.volumeTypes.delete(admin, id)]);
    for (const { typeId } of await peer.defaultTypes.list(admin)) {
      assert.equal((await peer.volumeTypes.show(admin, typeId)).id, typeId);
    }
    await fixture.cinder.defaultTypes.unset(admin, "demo");
  }
});

test("group types: names are unique, users see the public ones, and not their specs", async (t) => {
  const { cinder } = await openFixture(t);
  const open = await cinder.groupTypes.create(admin, { name: "open", groupSpecs: { a: "b" } });
  const hidden = await cinder.groupTypes.create(admin, { name: "hidden", isPublic: false });
  await assert.rejects(cinder.groupTypes.create(admin, { name: "open" }), refused(/already exists/));
  await assert.rejects(cinder.groupTypes.update(admin, hidden.id, { name: "open" }), refused(/already exists/));
  await assert.rejects(cinder.groupTypes.create(member, { name: "mine" }), refused(/^Policy doesn't allow/));
  const names = async (context: typeof admin, isPublic?: boolean): Promise<string[]> =>
    (await cinder.groupTypes.list(context, defaultListQuery, isPublic)).items.map(({ name }) => name);
  assert.deepEqual((await names(admin)).sort(), ["default_cgsnapshot_type", "hidden", "open"]);
  assert.deepEqual(await names(admin, false), ["hidden"]);
  assert.deepEqual((await names(member)).sort(), ["default_cgsnapshot_type", "open"]);
  await assert.rejects(cinder.groupTypes.show(member, hidden.id), refused(/could not be found/));
  assert.equal(cinder.groupTypes.visibleSpecs(member, open), undefined);
  assert.deepEqual(cinder.groupTypes.visibleSpecs(admin, open), { a: "b" });
  await assert.rejects(cinder.groupTypes.showSpecs(member, open.id), refused(/^Policy doesn't allow/));
  await cinder.groupTypes.update(admin, open.id, { name: "renamed" });
  await cinder.groupTypes.create(admin, { name: "open" });
  await cinder.groupTypes.delete(admin, open.id);
  await cinder.groupTypes.create(admin, { name: "renamed" });
});
