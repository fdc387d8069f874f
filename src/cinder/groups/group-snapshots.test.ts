// Group snapshots and the groups that are made of them or of groups: their states, what their members may not, and that a copy
// that comes to nothing leaves neither cuts nor quota behind.

import assert from "node:assert/strict";
import { test } from "node:test";
import { admin, type CinderFixture, member, openFixture } from "../cinder-fixture.ts";
import { CinderFault } from "../faults.ts";
import { defaultListQuery } from "../list-query.ts";
import type { Group, GroupSnapshot, Volume } from "../model.ts";

const refused = (kind: string, message: RegExp) => (error: unknown) =>
  error instanceof CinderFault && error.kind === kind && message.test(error.message);

const noNames = { name: null, description: null };

interface Made {
  readonly group: Group;
  readonly volumeIds: readonly string[];
}

async function makeGroup({ cinder }: CinderFixture, size: number): Promise<Made> {
  await cinder.groupTypes.create(admin, { name: "g" });
  const group = await cinder.groups.create(member, { ...noNames, groupType: "g", volumeTypes: ["__DEFAULT__"] });
  const volumeIds: string[] = [];
  for (let i = 0; i < size; i++) {
    const request = { sizeGib: i + 1, volumeType: "__DEFAULT__", groupId: group.id };
    volumeIds.push((await cinder.volumes.create(member, request)).volume.id);
  }
  return { group, volumeIds };
}

function cut({ cinder }: CinderFixture, groupId: string): Promise<GroupSnapshot> {
  return cinder.groupSnapshots.create(member, { groupId, name: "gs", description: "d" });
}

async function volumesOf({ cinder }: CinderFixture, groupId: string): Promise<readonly Volume[]> {
  const query = { ...defaultListQuery, filters: { group_id: [groupId] } };
  return (await cinder.volumes.list(member, query)).items.map((detail) => detail.volume);
}

async function usage({ cinder }: CinderFixture): Promise<Readonly<Record<string, number | undefined>>> {
  const set = await cinder.quotas.show(member, "demo");
  return Object.fromEntries(["groups", "volumes", "snapshots", "gigabytes"].map((key) => [key, set[key]?.inUse]));
}

test("a group snapshot has a snapshot of each volume, which can't be deleted alone", async (t) => {
  const fixture = await openFixture(t);
  const { groupSnapshots, groups, snapshots, transfers, volumes } = fixture.cinder;
  const { group, volumeIds } = await makeGroup(fixture, 3);
  const made = await cut(fixture, group.id);
  assert.deepEqual([made.status, made.groupId, made.snapshotIds.length], ["available", group.id, 3]);
  const { items } = await snapshots.list(member, defaultListQuery);
  assert.deepEqual(new Set(items.map((one) => one.volumeId)), new Set(volumeIds));
  for (const one of items) {
    assert.deepEqual([one.groupSnapshotId, one.name, one.status, one.progress], [made.id, "gs", "available", "100%"]);
    await assert.rejects(snapshots.delete(member, one.id), refused("invalid", /must not be part of a group/));
    await assert.rejects(snapshots.forceDelete(admin, one.id), refused("invalid", /must not be part of a group/));
  }
  await assert.rejects(
    groups.delete(member, group.id, true),
    refused("invalid", /^Invalid Group: Group has existing snapshots\.$/),
  );
  const [left = ""] = volumeIds;
  await groups.update(member, group.id, { addVolumes: [], removeVolumes: [left] });
  await assert.rejects(volumes.delete(member, left, { cascade: true, force: false }), refused("invalid", /^Invalid volume/));
  const offer = { volumeId: left, name: null, noSnapshots: false };
  await assert.rejects(transfers.create(member, offer), refused("invalid", /must not be part of a group$/));
  await groupSnapshots.delete(member, made.id);
  await assert.rejects(groupSnapshots.show(member, made.id), refused("not-found", /^GroupSnapshot \S+ could not be found\.$/));
  assert.deepEqual(await usage(fixture), { groups: 1, volumes: 3, snapshots: 0, gigabytes: 6 });
  await volumes.delete(member, left, { cascade: false, force: false });
});

test("members wait for the router together, and are available together", async (t) => {
  const fixture = await openFixture(t);
  const { cinder, control } = fixture;
  const { group } = await makeGroup(fixture, 3);
  control.holdBack = true;
  const made = await cut(fixture, group.id);
  assert.equal(made.status, "creating");
  const statuses = async (): Promise<string[]> => {
    const { items } = await cinder.snapshots.list(member, defaultListQuery);
    return [(await cinder.groupSnapshots.show(member, made.id)).status, ...items.map((one) => one.status)];
  };
  for (const id of made.snapshotIds) {
    assert.deepEqual(await statuses(), Array<string>(4).fill("creating"));
    await assert.rejects(cinder.groupSnapshots.delete(member, made.id), refused("invalid", /status must be available or error/));
    await control.settle("snapshot", id, "ready");
    await cinder.idle();
  }
  assert.deepEqual(await statuses(), Array<string>(4).fill("available"));
});

test("one member in error makes the group snapshot an error with a message, and it can be deleted", async (t) => {
  const fixture = await openFixture(t);
  const { cinder, control } = fixture;
  const { group } = await makeGroup(fixture, 2);
  control.holdBack = true;
  const made = await cut(fixture, group.id);
  for (const id of made.snapshotIds) await control.settle("snapshot", id, "error");
  await cinder.idle();
  assert.equal((await cinder.groupSnapshots.show(member, made.id)).status, "error");
  const { items } = await cinder.messages.list(member, defaultListQuery);
  assert.deepEqual(
    items.map((one) => [one.resourceType, one.resourceId]),
    [["VOLUME_GROUP_SNAPSHOT", made.id]],
  );
  await cinder.groupSnapshots.delete(member, made.id);
  assert.deepEqual(await usage(fixture), { groups: 1, volumes: 2, snapshots: 0, gigabytes: 3 });
});

test("a group snapshot that would exceed a quota takes nothing of it", async (t) => {
  const fixture = await openFixture(t, { quotas: { snapshots: 2 } });
  const { group } = await makeGroup(fixture, 3);
  await assert.rejects(cut(fixture, group.id), refused("over-limit", /Maximum number of snapshots allowed \(2\) exceeded/));
  assert.deepEqual(await usage(fixture), { groups: 1, volumes: 3, snapshots: 0, gigabytes: 6 });
  assert.equal((await fixture.cinder.groups.show(member, group.id)).snapshotCount, 0);
});

test("which volumes keep a group from being snapshot", async (t) => {
  const fixture = await openFixture(t);
  const { group, volumeIds } = await makeGroup(fixture, 2);
  const set = (status: string): Promise<void> => fixture.cinder.volumeActions.resetStatus(admin, volumeIds[1]!, { status });
  const cases = { error: /in error status/, maintenance: /in maintenance mode/, creating: /current status is: creating/ };
  for (const [status, message] of Object.entries(cases)) {
    await set(status);
    await assert.rejects(cut(fixture, group.id), refused("invalid", message));
  }
  await set("available");
  const empty = await fixture.cinder.groups.create(member, { ...noNames, groupType: "g", volumeTypes: ["__DEFAULT__"] });
  assert.deepEqual([(await cut(fixture, empty.id)).status, (await cut(fixture, group.id)).status], ["available", "available"]);
});

test("a group of a group snapshot has its volumes, all available at once, each of its snapshot", async (t) => {
  const fixture = await openFixture(t, { quotas: { volumes: 20 } });
  const { cinder } = fixture;
  const { group } = await makeGroup(fixture, 6);
  const made = await cut(fixture, group.id);
  const copy = await cinder.groups.createFromSource(member, { name: "copy", description: null, groupSnapshotId: made.id });
  assert.deepEqual([copy.status, copy.groupSnapshotId, copy.groupTypeId], ["creating", made.id, group.groupTypeId]);
  await cinder.idle();
  const ready = await cinder.groups.show(member, copy.id);
  assert.deepEqual([ready.status, ready.jobId], ["available", undefined]);
  const volumes = await volumesOf(fixture, copy.id);
  assert.deepEqual(volumes.map((one) => one.id).sort(), [...ready.volumeIds].sort());
  assert.deepEqual(new Set(volumes.map((one) => one.snapshotId)), new Set(made.snapshotIds));
  for (const one of volumes) {
    assert.deepEqual([one.status, one.jobId, one.host], ["available", undefined, group.host]);
    assert.equal((await fixture.control.vdisk(one.id))?.sizeBytes, one.sizeGib * 2 ** 30);
  }
  assert.deepEqual(await usage(fixture), { groups: 2, volumes: 12, snapshots: 6, gigabytes: 63 });
  await cinder.groups.delete(member, copy.id, true);
  await cinder.idle();
  await cinder.groupSnapshots.delete(member, made.id);
  assert.deepEqual(await usage(fixture), { groups: 1, volumes: 6, snapshots: 0, gigabytes: 21 });
  assert.deepEqual(fixture.troubles, []);
});

test("a group of a group waits for cuts of its own, that nobody sees and that go", async (t) => {
  const fixture = await openFixture(t);
  const { cinder, control } = fixture;
  const { group, volumeIds } = await makeGroup(fixture, 5);
  control.holdBack = true;
  const copy = await cinder.groups.createFromSource(member, { ...noNames, sourceGroupId: group.id });
  control.holdBack = false;
  assert.equal(
    (await volumesOf(fixture, copy.id)).every((one) => one.status === "creating"),
    true,
  );
  assert.deepEqual((await cinder.snapshots.list(member, defaultListQuery)).items, []);
  const pool = "andiron@p1#p1";
  assert.deepEqual(await cinder.management.manageableSnapshots(admin, pool), []);
  const take = { volumeId: volumeIds[0]!, reference: { sourceId: copy.volumeIds[0]! } };
  await assert.rejects(cinder.management.manageSnapshot(admin, take), refused("invalid", /invalid backend reference/));
  await assert.rejects(cinder.groups.delete(member, group.id, true), refused("invalid", /source for an ongoing group/));
  for (const id of copy.volumeIds) await control.settle("snapshot", id, "ready");
  await cinder.idle();
  const volumes = await volumesOf(fixture, copy.id);
  assert.deepEqual(new Set(volumes.map((one) => one.sourceVolumeId)), new Set(volumeIds));
  assert.equal(
    volumes.every((one) => one.status === "available"),
    true,
  );
  for (const id of copy.volumeIds) assert.equal(await control.snapshot(id), undefined);
  assert.deepEqual(await usage(fixture), { groups: 2, volumes: 10, snapshots: 0, gigabytes: 30 });
});

test("a copy whose cut fails is an error with a message, and goes with all of its volumes", async (t) => {
  const fixture = await openFixture(t);
  const { cinder, control } = fixture;
  const { group } = await makeGroup(fixture, 3);
  control.holdBack = true;
  const copy = await cinder.groups.createFromSource(member, { ...noNames, sourceGroupId: group.id });
  for (const id of copy.volumeIds) await control.settle("snapshot", id, "error");
  await cinder.idle();
  assert.equal((await cinder.groups.show(member, copy.id)).status, "error");
  for (const one of await volumesOf(fixture, copy.id)) assert.deepEqual([one.status, one.host], ["error", null]);
  for (const id of copy.volumeIds) assert.equal(await control.snapshot(id), undefined);
  assert.equal((await cinder.messages.list(member, defaultListQuery)).items[0]?.resourceId, copy.id);
  await cinder.groups.delete(member, copy.id, true);
  await cinder.idle();
  assert.deepEqual(await usage(fixture), { groups: 1, volumes: 3, snapshots: 0, gigabytes: 6 });
});

test("a copy that is deleted while it waits gives way", async (t) => {
  const fixture = await openFixture(t);
  const { cinder, control } = fixture;
  const { group } = await makeGroup(fixture, 2);
  control.holdBack = true;
  const copy = await cinder.groups.createFromSource(member, { ...noNames, sourceGroupId: group.id });
  await assert.rejects(cinder.groups.delete(member, copy.id, false), refused("invalid", /but current status is: creating/));
  await cinder.groups.resetStatus(admin, copy.id, "available");
  const change = { addVolumes: [], removeVolumes: [copy.volumeIds[0]!] };
  await cinder.volumeActions.resetStatus(admin, copy.volumeIds[0]!, { status: "available" });
  await assert.rejects(cinder.groups.update(member, copy.id, change), refused("invalid", /^Invalid Group: Group status must be/));
  await cinder.groups.delete(member, copy.id, true);
  await cinder.idle();
  await assert.rejects(cinder.groups.show(member, copy.id), refused("not-found", /Group/));
  assert.deepEqual(await usage(fixture), { groups: 1, volumes: 2, snapshots: 0, gigabytes: 3 });
});

test("nothing is made of what is empty, or not settled", async (t) => {
  const fixture = await openFixture(t);
  const { groups, snapshots } = fixture.cinder;
  const { group } = await makeGroup(fixture, 1);
  const empty = await groups.create(member, { ...noNames, groupType: "g", volumeTypes: ["__DEFAULT__"] });
  const ofEmpty = await cut(fixture, empty.id);
  await assert.rejects(
    groups.createFromSource(member, { ...noNames, sourceGroupId: empty.id }),
    refused("invalid", /^Invalid Group: Source Group is empty\. No group will be created\.$/),
  );
  await assert.rejects(
    groups.createFromSource(member, { ...noNames, groupSnapshotId: ofEmpty.id }),
    refused("invalid", /^Invalid Group: Group snapshot is empty\. No group will be created\.$/),
  );
  const made = await cut(fixture, group.id);
  await snapshots.resetStatus(admin, made.snapshotIds[0]!, "error");
  await assert.rejects(
    groups.createFromSource(member, { ...noNames, groupSnapshotId: made.id }),
    refused("invalid", /snapshot \S+ is not in a valid state\. Valid states are: \('available',\)\.$/),
  );
  assert.equal((await usage(fixture))["groups"], 2);
});
