// Nothing is stuck: what the engine settles, announced or not, ends the state that waited for it; what a dead process left is
// carried on by the next.

import assert from "node:assert/strict";
import { test } from "node:test";
import { admin, member, openFixture } from "./cinder-fixture.ts";
import { defaultListQuery } from "./list-query.ts";
import { keyOf, typeKind, volumeKind } from "./records.ts";

test("a pending volume and snapshot become available when the engine says so", async (t) => {
  const { cinder, control } = await openFixture(t);
  const { volume: source } = await cinder.volumes.create(member, { sizeGib: 1 });
  control.holdBack = true;
  const snapshot = await cinder.snapshots.create(member, { volumeId: source.id, allowInUse: false });
  assert.deepEqual([snapshot.status, snapshot.progress], ["creating", "0%"]);
  const { volume } = await cinder.volumes.create(member, { sourceVolumeId: source.id });
  assert.equal(volume.status, "creating");
  await control.settle("snapshot", snapshot.id, "ready");
  await control.settle("vdisk", volume.id, "ready");
  await cinder.idle();
  const settled = await cinder.snapshots.show(member, snapshot.id);
  assert.deepEqual([settled.status, settled.progress], ["available", "100%"]);
  assert.equal((await cinder.volumes.show(member, volume.id)).volume.status, "available");
});

test("a failure ends in error, with a message that says why", async (t) => {
  const { cinder, control } = await openFixture(t);
  control.holdBack = true;
  const { volume } = await cinder.volumes.create(member, { sizeGib: 1 });
  await control.settle("vdisk", volume.id, "error");
  await control.settle("vdisk", volume.id, "error");
  await cinder.idle();
  assert.equal((await cinder.volumes.show(member, volume.id)).volume.status, "error");
  const messages = (await cinder.messages.list(member, defaultListQuery)).items;
  assert.equal(messages.length, 1);
  assert.deepEqual([messages[0]?.eventId, messages[0]?.resourceId], ["VOLUME_VOLUME_008_001", volume.id]);
  assert.match(messages[0]?.userMessage ?? "", /the log is lost/);
  await cinder.messages.delete(member, messages[0]!.id);
  assert.equal((await cinder.messages.list(member, defaultListQuery)).items.length, 0);
});

test("what settled while nobody listened is found at the next start", async (t) => {
  const fixture = await openFixture(t);
  const { cinder, control } = fixture;
  control.holdBack = true;
  const { volume } = await cinder.volumes.create(member, { sizeGib: 1 });
  const { volume: waiting } = await cinder.volumes.create(member, { sizeGib: 1 });
  await control.settle("vdisk", volume.id, "ready", true);
  assert.equal((await cinder.volumes.show(member, volume.id)).volume.status, "creating");
  const peer = await fixture.openPeer();
  assert.equal((await peer.volumes.show(member, volume.id)).volume.status, "available");
  assert.equal((await peer.volumes.show(member, waiting.id)).volume.status, "creating");
});

test("a cascade and a type's delete that a dead process left half done are carried on at the next start", async (t) => {
  const fixture = await openFixture(t);
  const { cinder, registry } = fixture;
  const { volume } = await cinder.volumes.create(member, { sizeGib: 1 });
  for (let i = 0; i < 6; i++) await cinder.snapshots.create(member, { volumeId: volume.id, allowInUse: false });
  const unused = await cinder.volumeTypes.create(admin, { name: "unused" });
  const used = await cinder.volumeTypes.create(admin, { name: "used" });
  await cinder.volumes.create(member, { sizeGib: 1, volumeType: "used" });
  const { volume: present } = await cinder.volumes.show(member, volume.id);
  await registry.transact({
    compares: [],
    success: [
      {
        kind: "put",
        key: keyOf(volumeKind, volume.id),
        value: JSON.stringify({ ...present, status: "deleting", intent: "delete-cascade" }),
      },
      { kind: "put", key: keyOf(typeKind, unused.id), value: JSON.stringify({ ...unused, retiring: true }) },
      { kind: "put", key: keyOf(typeKind, used.id), value: JSON.stringify({ ...used, retiring: true }) },
    ],
  });
  const peer = await fixture.openPeer();
  await peer.idle();
  assert.equal((await peer.volumes.list(member, defaultListQuery)).items.length, 1);
  assert.equal((await peer.snapshots.list(member, defaultListQuery)).items.length, 0);
  assert.equal((await peer.quotas.show(member, "demo"))["snapshots"]?.inUse, 0);
  const types = (await peer.volumeTypes.list(admin, defaultListQuery, {})).items;
  assert.deepEqual(types.map((type) => type.name).sort(), ["__DEFAULT__", "used"]);
  assert.equal(types.find((type) => type.id === used.id)?.retiring, undefined);
});

test("messages past their time are removed", async (t) => {
  const fixture = await openFixture(t, { settings: { messageLifetimeMs: -1 } });
  fixture.control.poolRows = [];
  await fixture.cinder.volumes.create(member, { sizeGib: 1 });
  assert.equal((await fixture.cinder.messages.list(member, defaultListQuery)).items.length, 1);
  const peer = await fixture.openPeer();
  assert.equal((await peer.messages.list(member, defaultListQuery)).items.length, 0);
});
