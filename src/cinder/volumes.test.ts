// The life of volumes: create, show, list, update, delete, and what is refused with which sentence.

import assert from "node:assert/strict";
import { test } from "node:test";
import { admin, member, openFixture, stranger } from "./cinder-fixture.ts";
import { CinderFault, type FaultKind } from "./faults.ts";
import { defaultListQuery } from "./list-query.ts";

function fault(kind: FaultKind, message: string | RegExp): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof CinderFault, String(error));
    if (typeof message === "string") assert.equal(error.message, message);
    else assert.match(error.message, message);
    assert.equal(error.kind, kind);
    return true;
  };
}

test("a created volume is available, charged, and shown with its type", async (t) => {
  const { cinder, control } = await openFixture(t);
  const made = await cinder.volumes.create(member, { sizeGib: 3, name: "größe \u{1f525}", metadata: { a: "b" } });
  assert.equal(made.volume.status, "available");
  const { volume, typeName } = await cinder.volumes.show(member, made.volume.id);
  assert.deepEqual(volume, made.volume);
  assert.equal(typeName, "__DEFAULT__");
  assert.equal(volume.host, "andiron@p1#p1");
  const vdisk = await control.vdisk(volume.id);
  assert.equal(vdisk?.sizeBytes, 3 * 2 ** 30);
  assert.equal(vdisk?.name, "größe \u{1f525}");
  const quota = await cinder.quotas.show(member, "demo");
  assert.deepEqual(quota["gigabytes"], { limit: 1000, inUse: 3, reserved: 0 });
  assert.deepEqual(quota["volumes___DEFAULT__"], { limit: -1, inUse: 1, reserved: 0 });
});

test("a volume of another project is not there, except for an administrator", async (t) => {
  const { cinder } = await openFixture(t);
  const { volume } = await cinder.volumes.create(member, { sizeGib: 1 });
  await assert.rejects(cinder.volumes.show(stranger, volume.id), fault("not-found", `Volume ${volume.id} could not be found.`));
  await assert.rejects(
    cinder.volumes.delete(stranger, volume.id, { cascade: false, force: false }),
    fault("not-found", /Volume/),
  );
  assert.equal((await cinder.volumes.list(stranger, { ...defaultListQuery, allTenants: true })).items.length, 0);
  assert.equal((await cinder.volumes.show({ ...admin, projectId: "x" }, volume.id)).volume.id, volume.id);
});

test("ids from a URL that are no ids are not found", async (t) => {
  const { cinder } = await openFixture(t);
  for (const id of ["", "/", "../x", "ü\ud800", "x".repeat(5000)]) {
    await assert.rejects(cinder.volumes.show(member, id), fault("not-found", /could not be found/));
    await assert.rejects(cinder.volumes.update(member, id, { name: "n" }), fault("not-found", /could not be found/));
  }
});

test("renaming a volume renames its vDisk, and blank names fall back to the id", async (t) => {
  const { cinder, control } = await openFixture(t);
  const { volume } = await cinder.volumes.create(member, { sizeGib: 1, name: "old" });
  const updated = await cinder.volumes.update(member, volume.id, { name: "new", description: "words" });
  assert.equal(updated.volume.name, "new");
  assert.equal(updated.volume.description, "words");
  assert.equal((await control.vdisk(volume.id))?.name, "new");
  await cinder.volumes.update(member, volume.id, { name: "" });
  assert.equal((await control.vdisk(volume.id))?.name, `volume-${volume.id}`);
  await assert.rejects(cinder.volumes.update(member, volume.id, { name: "x".repeat(256) }), fault("invalid", /255/));
});

test("a volume is made of a snapshot or of a volume, and takes size, type and bootable flag from there", async (t) => {
  const { cinder } = await openFixture(t);
  const { volume } = await cinder.volumes.create(member, { sizeGib: 2 });
  await cinder.volumeActions.setBootable(member, volume.id, true);
  await cinder.volumeActions.setImageMetadata(member, volume.id, { os: "x" });
  const snapshot = await cinder.snapshots.create(member, { volumeId: volume.id, allowInUse: false });
  const ofSnapshot = (await cinder.volumes.create(member, { snapshotId: snapshot.id })).volume;
  const ofVolume = (await cinder.volumes.create(member, { sourceVolumeId: volume.id, sizeGib: 4 })).volume;
  assert.deepEqual([ofSnapshot.sizeGib, ofSnapshot.bootable, ofSnapshot.imageMetadata["os"]], [2, true, "x"]);
  assert.deepEqual([ofVolume.sizeGib, ofVolume.sourceVolumeId], [4, volume.id]);
  await assert.rejects(cinder.volumes.create(member, { sourceVolumeId: volume.id, sizeGib: 1 }), fault("invalid", /smaller/));
  await assert.rejects(
    cinder.volumes.create(member, { sizeGib: 1, snapshotId: "nope" }),
    fault("not-found", "Snapshot nope could not be found."),
  );
  await assert.rejects(cinder.volumes.create(member, { sizeGib: 2 ** 31 }), fault("invalid", /largest possible/));
  await assert.rejects(cinder.volumeActions.extend(member, volume.id, 2 ** 31, false), fault("invalid", /largest possible/));
  await assert.rejects(cinder.volumes.create(member, {}), fault("invalid", /malformed or otherwise incorrect/));
  await assert.rejects(
    cinder.volumes.create(member, { sizeGib: 1, availabilityZone: "mars" }),
    fault("invalid", "Availability zone 'mars' is invalid."),
  );
  await assert.rejects(
    cinder.volumes.create(member, { sizeGib: 1, volumeType: "gold" }),
    fault("not-found", "Volume type with name gold could not be found."),
  );
});

test("quotas refuse with Cinder's sentences and charge nothing", async (t) => {
  const { cinder } = await openFixture(t, { quotas: { volumes: 2, gigabytes: 5, snapshots: 1, per_volume_gigabytes: 4 } });
  const { volume } = await cinder.volumes.create(member, { sizeGib: 2 });
  await assert.rejects(
    cinder.volumes.create(member, { sizeGib: 4 }),
    fault(
      "over-limit",
      "VolumeSizeExceedsAvailableQuota: Requested volume or snapshot exceeds allowed gigabytes quota. " +
        "Requested 4G, quota is 5G and 2G has been consumed.",
    ),
  );
  await assert.rejects(
    cinder.volumes.create(member, { sizeGib: 9 }),
    fault("over-limit", "VolumeSizeExceedsLimit: Requested volume size 9G is larger than maximum allowed limit 4G."),
  );
  await cinder.volumes.create(member, { sizeGib: 1 });
  await assert.rejects(
    cinder.volumes.create(member, { sizeGib: 1 }),
    fault("over-limit", "VolumeLimitExceeded: Maximum number of volumes allowed (2) exceeded for quota 'volumes'."),
  );
  await cinder.snapshots.create(member, { volumeId: volume.id, allowInUse: false });
  await cinder.quotas.set(admin, "demo", { gigabytes: 100 });
  await assert.rejects(
    cinder.snapshots.create(member, { volumeId: volume.id, allowInUse: false }),
    fault("over-limit", "SnapshotLimitExceeded: Maximum number of snapshots allowed (1) exceeded"),
  );
  const quota = await cinder.quotas.show(member, "demo");
  assert.deepEqual([quota["volumes"]?.inUse, quota["gigabytes"]?.inUse, quota["snapshots"]?.inUse], [2, 5, 1]);
});

test("a volume with snapshots goes only with them, and a cascade takes any number", async (t) => {
  const { cinder, troubles } = await openFixture(t, { quotas: { snapshots: 100 } });
  const { volume } = await cinder.volumes.create(member, { sizeGib: 1 });
  for (let i = 0; i < 11; i++) await cinder.snapshots.create(member, { volumeId: volume.id, allowInUse: false });
  const plain = { cascade: false, force: false };
  await assert.rejects(
    cinder.volumes.delete(member, volume.id, plain),
    fault("invalid", /^Invalid volume: Volume status must be available or error or error_restoring or .* have snapshots/),
  );
  await assert.rejects(
    cinder.volumes.delete(admin, volume.id, { cascade: false, force: true }),
    fault("invalid", /^Invalid volume: Volume {2}must not be migrating, attached, belong to a group, have snapshots/),
  );
  await cinder.volumes.delete(member, volume.id, { cascade: true, force: false });
  await cinder.idle();
  await assert.rejects(cinder.volumes.show(member, volume.id), fault("not-found", /could not be found/));
  assert.equal((await cinder.snapshots.list(member, defaultListQuery)).items.length, 0);
  const quota = await cinder.quotas.show(member, "demo");
  assert.deepEqual([quota["volumes"]?.inUse, quota["gigabytes"]?.inUse, quota["snapshots"]?.inUse], [0, 0, 0]);
  assert.deepEqual(troubles, []);
});

test("a type that no pool meets leads to an error that the user can read about, and the volume can be deleted", async (t) => {
  const { cinder } = await openFixture(t);
  const type = await cinder.volumeTypes.create(admin, { name: "bogus", extraSpecs: { vendor_name: "nobody" } });
  const { volume } = await cinder.volumes.create(member, { sizeGib: 1, volumeType: type.id });
  assert.deepEqual([volume.status, volume.host], ["error", null]);
  const [message] = (await cinder.messages.list(member, defaultListQuery)).items;
  assert.equal(message?.eventId, "VOLUME_VOLUME_001_003");
  assert.equal(message?.resourceId, volume.id);
  assert.match(message?.userMessage ?? "", /^schedule allocate volume:.*vendor_name is Andiron, not "nobody"/);
  await cinder.volumes.delete(member, volume.id, { cascade: false, force: false });
  assert.equal((await cinder.quotas.show(member, "demo"))["volumes"]?.inUse, 0);
});

test("metadata is merged, replaced with If-Match, and changed key by key", async (t) => {
  const { cinder } = await openFixture(t);
  const { volume } = await cinder.volumes.create(member, { sizeGib: 1, metadata: { a: "1" } });
  const { metadata } = cinder.volumes;
  assert.deepEqual(await metadata.merge(member, volume.id, { b: "2" }), { a: "1", b: "2" });
  await metadata.setKey(member, volume.id, "__proto__", "3");
  assert.equal(await metadata.showKey(member, volume.id, "__proto__"), "3");
  await metadata.deleteKey(member, volume.id, "__proto__");
  await assert.rejects(
    metadata.deleteKey(member, volume.id, "c"),
    fault("not-found", `Volume ${volume.id} has no metadata with key c.`),
  );
  await assert.rejects(
    metadata.replace(member, volume.id, {}, () => false),
    fault("precondition-failed", /changed/),
  );
  assert.deepEqual(await metadata.replace(member, volume.id, { z: "9" }, (present) => present["a"] === "1"), { z: "9" });
  assert.deepEqual(await metadata.show(member, volume.id), { z: "9" });
  await assert.rejects(metadata.merge(member, volume.id, { "": "x" }), fault("invalid", /key blank/));
  await assert.rejects(metadata.merge(member, volume.id, { k: "x".repeat(256) }), fault("invalid", /greater than 255/));
  const { count, totalGib, metadata: values } = await cinder.volumes.summary(member, defaultListQuery);
  assert.deepEqual([count, totalGib, values], [1, 1, { z: ["9"] }]);
});
