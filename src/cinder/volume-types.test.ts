// Types, their extra specs and who may use them; quota sets with their per-type keys.

import assert from "node:assert/strict";
import { test } from "node:test";
import { admin, member, openFixture, requestContext } from "./cinder-fixture.ts";
import { CinderFault } from "./faults.ts";
import { defaultListQuery } from "./list-query.ts";

function refused(kind: string, message: RegExp): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof CinderFault, String(error));
    assert.match(error.message, message);
    assert.equal(error.kind, kind);
    return true;
  };
}

test("the default type is there from the first start, once, and stays", async (t) => {
  const fixture = await openFixture(t);
  const peer = await fixture.openPeer();
  const types = (await peer.volumeTypes.list(member, defaultListQuery, {})).items;
  assert.deepEqual(
    types.map((type) => type.name),
    ["__DEFAULT__"],
  );
  assert.equal((await peer.volumeTypes.showDefault(member)).id, types[0]?.id);
  await assert.rejects(peer.volumeTypes.delete(admin, types[0]!.id), refused("invalid", /default volume type/));
});

test("names are unique, also through renames and after a delete", async (t) => {
  const { cinder } = await openFixture(t);
  const { volumeTypes } = cinder;
  const first = await volumeTypes.create(admin, { name: "gold" });
  await assert.rejects(volumeTypes.create(admin, { name: "gold" }), refused("conflict", /^Volume Type gold already exists\.$/));
  await assert.rejects(volumeTypes.create(member, { name: "x" }), refused("forbidden", /type_create/));
  await assert.rejects(volumeTypes.create(admin, { name: " " }), refused("invalid", /empty/));
  const second = await volumeTypes.create(admin, { name: "silver".repeat(40) });
  await assert.rejects(volumeTypes.update(admin, second.id, { name: "gold" }), refused("conflict", /gold/));
  await volumeTypes.update(admin, first.id, { name: "platinum", description: "d" });
  await volumeTypes.update(admin, second.id, { name: "gold" });
  assert.equal((await volumeTypes.show(member, first.id)).name, "platinum");
  await volumeTypes.delete(admin, second.id);
  await volumeTypes.create(admin, { name: "gold" });
  await assert.rejects(volumeTypes.show(member, second.id), refused("not-found", /^Volume type .* could not be found\.$/));
});

test("a type in use can't go, nor change its extra specs; a free one can", async (t) => {
  const { cinder } = await openFixture(t);
  const type = await cinder.volumeTypes.create(admin, { name: "gold", extraSpecs: { multiattach: "<is> True" } });
  const { volume } = await cinder.volumes.create(member, { sizeGib: 1, volumeType: "gold" });
  assert.deepEqual([volume.status, volume.multiattach], ["available", true]);
  await assert.rejects(cinder.volumeTypes.delete(admin, type.id), refused("invalid", /^Target volume type is still in use\.$/));
  await assert.rejects(cinder.volumeTypes.setExtraSpec(admin, type.id, "a", "b"), refused("invalid", /currently in use/));
  await cinder.volumes.create(member, { sizeGib: 1, volumeType: type.id });
  for (const each of (await cinder.volumes.list(member, defaultListQuery)).items) {
    await cinder.volumes.delete(member, each.volume.id, { cascade: false, force: false });
  }
  await cinder.volumeTypes.setExtraSpec(admin, type.id, "a", "b");
  await cinder.volumeTypes.delete(admin, type.id);
  await assert.rejects(cinder.volumeTypes.show(admin, type.id), refused("not-found", /Volume type/));
});

test("creates and a delete of their type at once: either the type stays, or no volume has it", async (t) => {
  const fixture = await openFixture(t, { quotas: { volumes: 100 } });
  const peer = await fixture.openPeer();
  for (let round = 0; round < 8; round++) {
    const type = await fixture.cinder.volumeTypes.create(admin, { name: `t${round}` });
    await Promise.allSettled([
      ...Array.from({ length: 3 }, () => peer.volumes.create(member, { sizeGib: 1, volumeType: type.id })),
      fixture.cinder.volumeTypes.delete(admin, type.id),
    ]);
    const query = { ...defaultListQuery, filters: { volume_type_id: [type.id] } };
    const users = (await fixture.cinder.volumes.list(member, query)).items.length;
    const types = (await fixture.cinder.volumeTypes.list(admin, defaultListQuery, {})).items;
    const present = types.find((one) => one.id === type.id);
    assert.ok(present !== undefined || users === 0, `round ${round}: ${users} volumes of a type that is gone`);
    assert.equal(present?.retiring, undefined);
  }
});

test("extra specs: users see their part, administrators all", async (t) => {
  const { cinder } = await openFixture(t);
  const { volumeTypes } = cinder;
  const type = await volumeTypes.create(admin, { name: "gold", extraSpecs: { multiattach: "<is> True", secret: "x" } });
  assert.deepEqual(await volumeTypes.showExtraSpecs(member, type.id), { multiattach: "<is> True" });
  assert.deepEqual(await volumeTypes.showExtraSpecs(admin, type.id), { multiattach: "<is> True", secret: "x" });
  await assert.rejects(
    volumeTypes.showExtraSpec(member, type.id, "secret"),
    refused("not-found", /^Volume Type .* has no extra specs with key secret\.$/),
  );
  assert.deepEqual(await volumeTypes.setExtraSpecs(admin, type.id, { "capabilities:a": "1" }), { "capabilities:a": "1" });
  await assert.rejects(volumeTypes.setExtraSpecs(admin, type.id, { "a*b": "1" }), refused("invalid", /^Key names can only/));
  await volumeTypes.deleteExtraSpec(admin, type.id, "secret");
  await assert.rejects(volumeTypes.deleteExtraSpec(admin, type.id, "secret"), refused("not-found", /secret/));
  const found = await volumeTypes.list(admin, defaultListQuery, { extraSpecs: { "capabilities:a": "1" } });
  assert.equal(found.items.length, 1);
});

test("a private type is for the projects on its list", async (t) => {
  const { cinder } = await openFixture(t);
  const { volumeTypes } = cinder;
  const type = await volumeTypes.create(admin, { name: "own", isPublic: false });
  const friend = requestContext("friend", false);
  await assert.rejects(volumeTypes.show(friend, type.id), refused("not-found", /Volume type/));
  await assert.rejects(
    cinder.volumes.create(friend, { sizeGib: 1, volumeType: "own" }),
    refused("not-found", /^Volume type with name own could not be found\.$/),
  );
  await volumeTypes.addAccess(admin, type.id, "friend");
  await assert.rejects(volumeTypes.addAccess(admin, type.id, "friend"), refused("conflict", /already exists/));
  assert.deepEqual(await volumeTypes.showAccess(admin, type.id), ["friend"]);
  assert.equal((await volumeTypes.list(friend, defaultListQuery, {})).items.length, 2);
  assert.equal((await volumeTypes.list(member, defaultListQuery, {})).items.length, 1);
  assert.equal((await volumeTypes.list(admin, defaultListQuery, { isPublic: "any" })).items.length, 2);
  assert.equal((await volumeTypes.list(admin, defaultListQuery, { isPublic: false })).items.length, 1);
  assert.equal((await cinder.volumes.create(friend, { sizeGib: 1, volumeType: "own" })).typeName, "own");
  await volumeTypes.removeAccess(admin, type.id, "friend");
  await assert.rejects(volumeTypes.removeAccess(admin, type.id, "friend"), refused("not-found", /not found/));
  const open = await volumeTypes.showDefault(admin);
  await assert.rejects(volumeTypes.showAccess(admin, open.id), refused("not-found", /not available for public/));
  await assert.rejects(volumeTypes.addAccess(admin, open.id, "x"), refused("invalid", /not applicable to public/));
});

test("quota sets: defaults, classes, per-type keys that follow a rename, unknown keys, reset", async (t) => {
  const { cinder } = await openFixture(t);
  const { quotas, volumeTypes, volumes } = cinder;
  const type = await volumeTypes.create(admin, { name: "gold" });
  const set = await quotas.set(admin, "demo", { volumes_gold: 1, gigabytes: 7 });
  assert.deepEqual([set["volumes_gold"]?.limit, set["gigabytes"]?.limit, set["snapshots"]?.limit], [1, 7, 10]);
  await volumes.create(member, { sizeGib: 1, volumeType: "gold" });
  await volumeTypes.update(admin, type.id, { name: "silver" });
  assert.deepEqual((await quotas.show(member, "demo"))["volumes_silver"], { limit: 1, inUse: 1, reserved: 0 });
  await assert.rejects(
    volumes.create(member, { sizeGib: 1, volumeType: "silver" }),
    refused("over-limit", /^VolumeLimitExceeded: Maximum number of volumes allowed \(1\) exceeded for quota 'volumes_silver'\.$/),
  );
  await assert.rejects(
    quotas.set(admin, "demo", { foo: 1 }),
    refused("invalid", /^Invalid input received: Bad key\(s\) in quota set: foo$/),
  );
  await assert.rejects(quotas.set(admin, "demo", { volumes: -2 }), refused("invalid", /-1 or greater/));
  await assert.rejects(quotas.set(member, "demo", { volumes: 1 }), refused("forbidden", /quotas:update/));
  assert.equal((await quotas.setClass(admin, "default", { volumes: 33 }))["volumes"], 33);
  assert.equal((await quotas.showDefaults(member, "demo"))["volumes"]?.limit, 33);
  await quotas.delete(admin, "demo");
  assert.equal((await quotas.show(member, "demo"))["gigabytes"]?.limit, 1000);
  assert.equal((await quotas.showClass(admin, "other"))["volumes"], 10);
  const limits = await quotas.limits(member, undefined);
  assert.deepEqual([limits.maxTotalVolumes, limits.totalVolumesUsed, limits.totalGigabytesUsed], [33, 1, 1]);
  await assert.rejects(quotas.limits(member, "other"), refused("forbidden", /used_limits/));
});
