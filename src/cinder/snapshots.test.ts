// Snapshots and the actions on volumes: allowed states, sentences, and what each leaves behind.

import assert from "node:assert/strict";
import { test } from "node:test";
import { admin, member, openFixture, stranger, type CinderFixture } from "./cinder-fixture.ts";
import { CinderFault } from "./faults.ts";
import { defaultListQuery } from "./list-query.ts";
import type { VolumeStatus } from "./model.ts";

const server = "11111111-1111-4111-8111-111111111111";

async function makeVolume({ cinder }: CinderFixture, sizeGib = 1): Promise<string> {
  return (await cinder.volumes.create(member, { sizeGib })).volume.id;
}

function refused(kind: string, message: RegExp): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof CinderFault, String(error));
    assert.match(error.message, message);
    assert.equal(error.kind, kind);
    return true;
  };
}

test("a snapshot is made, shown, renamed, described, and deleted", async (t) => {
  const fixture = await openFixture(t);
  const { snapshots, volumes } = fixture.cinder;
  const volumeId = await makeVolume(fixture, 2);
  const made = await snapshots.create(member, { volumeId, name: "s", metadata: { a: "b" }, allowInUse: false });
  assert.deepEqual([made.status, made.progress, made.sizeGib, made.volumeId], ["available", "100%", 2, volumeId]);
  assert.deepEqual(await snapshots.show(member, made.id), made);
  await assert.rejects(snapshots.show(stranger, made.id), refused("not-found", /^Snapshot .* could not be found\.$/));
  const updated = await snapshots.update(member, made.id, { name: "t", description: "d" });
  assert.deepEqual([updated.name, updated.description], ["t", "d"]);
  assert.deepEqual(await snapshots.metadata.merge(member, made.id, { c: "d" }), { a: "b", c: "d" });
  await assert.rejects(
    snapshots.metadata.showKey(member, made.id, "z"),
    refused("not-found", /^Snapshot .* has no metadata with key z\.$/),
  );
  const query = { ...defaultListQuery, metadata: { c: "d" }, filters: { volume_id: [volumeId] } };
  assert.equal((await snapshots.list(member, query)).items.length, 1);
  assert.equal((await snapshots.list({ ...admin, projectId: "x" }, { ...query, allTenants: true })).items.length, 1);
  await snapshots.delete(member, made.id);
  assert.equal((await volumes.show(member, volumeId)).volume.snapshotCount, 0);
  assert.equal((await fixture.cinder.quotas.show(member, "demo"))["gigabytes"]?.inUse, 2);
});

test("which volumes can be snapshotted", async (t) => {
  const fixture = await openFixture(t);
  const { snapshots, volumeActions, legacyAttach } = fixture.cinder;
  const volumeId = await makeVolume(fixture);
  await legacyAttach.attach(member, volumeId, { instanceId: server });
  await assert.rejects(
    snapshots.create(member, { volumeId, allowInUse: false }),
    refused("invalid", /^Invalid volume: Volume .* status must be available, but current status is: in-use\.$/),
  );
  await snapshots.create(member, { volumeId, allowInUse: true });
  await volumeActions.resetStatus(admin, volumeId, { status: "error" });
  await assert.rejects(snapshots.create(member, { volumeId, allowInUse: true }), refused("invalid", /in error status/));
  await volumeActions.resetStatus(admin, volumeId, { status: "maintenance" });
  await assert.rejects(
    snapshots.create(member, { volumeId, allowInUse: true }),
    refused("invalid", /when the volume is in maintenance mode/),
  );
});

test("snapshot states by hand: reset, force delete, and what a driver may report", async (t) => {
  const fixture = await openFixture(t);
  const { snapshots } = fixture.cinder;
  const volumeId = await makeVolume(fixture);
  const { id } = await snapshots.create(member, { volumeId, allowInUse: false });
  await assert.rejects(
    snapshots.resetStatus(member, id, "error"),
    refused("forbidden", /^Policy doesn't allow .*reset_status to be/),
  );
  await assert.rejects(snapshots.resetStatus(admin, id, "bogus"), refused("invalid", /bogus/));
  await snapshots.resetStatus(admin, id, "creating");
  await assert.rejects(
    snapshots.delete(member, id),
    refused("invalid", /^Invalid snapshot: Snapshot status must be available or error and must not be part of a group\.$/),
  );
  await assert.rejects(snapshots.updateStatus(member, id, "deleting", undefined), refused("invalid", /not allowed/));
  await snapshots.updateStatus(member, id, "error", "80%");
  assert.equal((await snapshots.show(member, id)).progress, "80%");
  await snapshots.resetStatus(admin, id, "backing-up");
  await snapshots.forceDelete(admin, id);
  await assert.rejects(snapshots.show(member, id), refused("not-found", /Snapshot/));
});

test("extend grows the vDisk and the charge, and says what it can't", async (t) => {
  const fixture = await openFixture(t, { quotas: { gigabytes: 10 } });
  const { volumeActions, legacyAttach, volumes } = fixture.cinder;
  const id = await makeVolume(fixture, 2);
  await volumeActions.extend(member, id, 5, false);
  assert.equal((await fixture.control.vdisk(id))?.sizeBytes, 5 * 2 ** 30);
  await assert.rejects(
    volumeActions.extend(member, id, 5, false),
    refused(
      "invalid",
      /^Invalid input received: New size for extend must be greater than current size\. \(current: 5, extended: 5\)\.$/,
    ),
  );
  await assert.rejects(
    volumeActions.extend(member, id, 11, false),
    refused("over-limit", /Requested 6G, quota is 10G and 5G has been consumed\.$/),
  );
  await legacyAttach.attach(member, id, { instanceId: server });
  await assert.rejects(
    volumeActions.extend(member, id, 6, false),
    refused("invalid", /status must be '\{'status': 'available'\}' to extend, currently in-use\.$/),
  );
  await volumeActions.extend(member, id, 6, true);
  const { volume } = await volumes.show(member, id);
  assert.deepEqual([volume.sizeGib, volume.status], [6, "in-use"]);
});

test("revert goes to the newest snapshot only, of the same size, and only when both are available", async (t) => {
  const fixture = await openFixture(t, { wallMs: 1_700_000_000_000 });
  const { volumeActions, snapshots } = fixture.cinder;
  const volumeId = await makeVolume(fixture);
  await assert.rejects(volumeActions.revert(member, volumeId, "x"), refused("invalid", /has no snapshots/));
  const older = await snapshots.create(member, { volumeId, allowInUse: false });
  for (let i = 0; i < 4; i++) await snapshots.create(member, { volumeId, allowInUse: false });
  const newest = await snapshots.create(member, { volumeId, allowInUse: false });
  await assert.rejects(
    volumeActions.revert(member, volumeId, older.id),
    refused("invalid", /^Specified snapshot .* is None or not the latest one of volume/),
  );
  await volumeActions.revert(member, volumeId, newest.id);
  await volumeActions.resetStatus(admin, volumeId, { status: "error" });
  await assert.rejects(volumeActions.revert(member, volumeId, newest.id), refused("conflict", /Volume's status must be/));
  await volumeActions.resetStatus(admin, volumeId, { status: "available" });
  await snapshots.resetStatus(admin, newest.id, "error");
  await assert.rejects(volumeActions.revert(member, volumeId, newest.id), refused("conflict", /Snapshot's status must be/));
  await volumeActions.extend(member, volumeId, 2, false);
  await assert.rejects(volumeActions.revert(member, volumeId, newest.id), refused("invalid", /size must be equal/));
});

test("deletes, updates and reservations by status", async (t) => {
  const fixture = await openFixture(t);
  const { volumeActions, volumes, legacyAttach } = fixture.cinder;
  const id = await makeVolume(fixture);
  const set = (status: VolumeStatus): Promise<void> => volumeActions.resetStatus(admin, id, { status });
  const allowed: VolumeStatus[] = ["available", "error", "error_restoring", "error_extending", "error_managing"];
  for (const status of ["creating", "attaching", "detaching", "reserved", "maintenance", "uploading"] as const) {
    await set(status);
    await assert.rejects(
      volumes.delete(member, id, { cascade: true, force: false }),
      refused("invalid", new RegExp(`^Invalid volume: Volume status must be ${allowed.join(" or ")} and must not be migrating`)),
    );
    await assert.rejects(legacyAttach.reserve(member, id), refused("invalid", new RegExp(`but the status is ${status}`)));
  }
  await set("maintenance");
  await assert.rejects(volumes.update(member, id, { name: "x" }), refused("invalid", /cannot be updated during maintenance/));
  await assert.rejects(
    volumes.metadata.setKey(member, id, "k", "v"),
    refused("invalid", /not allowed for volumes in maintenance/),
  );
  await assert.rejects(legacyAttach.attach(member, id, { instanceId: server }), refused("invalid", /attached in maintenance/));
  await assert.rejects(
    legacyAttach.initializeConnection(member, id, {}),
    refused("invalid", /connection cannot be initialized in maintenance mode/),
  );
  for (const bad of ["deleting", "bogus", "in-use"]) {
    await assert.rejects(volumeActions.resetStatus(admin, id, { status: bad }), refused("invalid", /./));
  }
  await assert.rejects(volumeActions.resetStatus(member, id, { status: "error" }), refused("forbidden", /reset_status/));
  await assert.rejects(volumeActions.forceDelete(member, id), refused("forbidden", /force_delete/));
  await assert.rejects(
    volumes.delete(member, id, { cascade: false, force: true }),
    refused("forbidden", /^Policy doesn't allow volume:force_delete to be performed\.$/),
  );
  await volumeActions.resetStatus(admin, id, { migrationStatus: "migrating" });
  await assert.rejects(
    volumeActions.forceDelete(admin, id),
    refused("invalid", /^Invalid volume: Volume {2}must not be migrating/),
  );
  await volumeActions.resetStatus(admin, id, { migrationStatus: "none" });
  await volumeActions.forceDelete(admin, id);
  await assert.rejects(volumes.show(member, id), refused("not-found", /Volume/));
});

test("detaching by status: begin, roll back, and what is no operation", async (t) => {
  const fixture = await openFixture(t);
  const { legacyAttach, volumes } = fixture.cinder;
  const id = await makeVolume(fixture);
  await assert.rejects(
    legacyAttach.beginDetaching(member, id),
    refused("invalid", /Unable to detach volume\. Volume status must be 'in-use' and attach_status must be 'attached'/),
  );
  await legacyAttach.rollDetaching(member, id);
  await legacyAttach.unreserve(member, id);
  await legacyAttach.reserve(member, id);
  await legacyAttach.unreserve(member, id);
  assert.equal((await volumes.show(member, id)).volume.status, "available");
});

test("image metadata is set, shown and unset", async (t) => {
  const fixture = await openFixture(t);
  const { volumeActions } = fixture.cinder;
  const id = await makeVolume(fixture);
  assert.deepEqual(await volumeActions.setImageMetadata(member, id, { a: "1" }), { a: "1" });
  assert.deepEqual(await volumeActions.setImageMetadata(member, id, { b: "2" }), { a: "1", b: "2" });
  await volumeActions.unsetImageMetadata(member, id, "a");
  assert.deepEqual(await volumeActions.showImageMetadata(member, id), { b: "2" });
  const unknown = refused("not-found", /^Glance metadata for volume\/snapshot \S+ cannot be found\.$/);
  await assert.rejects(volumeActions.unsetImageMetadata(member, id, "a"), unknown);
  await volumeActions.unsetImageMetadata(member, id, "b");
  await assert.rejects(volumeActions.showImageMetadata(member, id), unknown);
});
