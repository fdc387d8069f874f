// Groups and their members: who may join and leave, what is refused while they belong together, what goes with the group, and
// that quota and records come out even.

import assert from "node:assert/strict";
import { test } from "node:test";
import { admin, type CinderFixture, member, openFixture, stranger } from "../cinder-fixture.ts";
import { CinderFault } from "../faults.ts";
import { defaultListQuery } from "../list-query.ts";
import { cinderLimits, type Group } from "../model.ts";

const refused = (kind: string, message: RegExp) => (error: unknown) =>
  error instanceof CinderFault && error.kind === kind && message.test(error.message);

const noNames = { name: null, description: null };
const noChange = { addVolumes: [], removeVolumes: [] };

async function makeGroup(fixture: CinderFixture, volumeTypes: readonly string[] = ["__DEFAULT__"]): Promise<Group> {
  const { groupTypes, groups } = fixture.cinder;
  const types = await groupTypes.list(admin, defaultListQuery, undefined);
  const type = types.items.find((one) => one.name === "g") ?? (await groupTypes.create(admin, { name: "g" }));
  return groups.create(member, { name: "group", description: "d", groupType: type.id, volumeTypes });
}

async function makeVolume(fixture: CinderFixture, groupId?: string): Promise<string> {
  const request = { sizeGib: 1, volumeType: "__DEFAULT__", ...(groupId === undefined ? {} : { groupId }) };
  return (await fixture.cinder.volumes.create(member, request)).volume.id;
}

async function used(fixture: CinderFixture, key: string): Promise<number | undefined> {
  return (await fixture.cinder.quotas.show(member, "demo"))[key]?.inUse;
}

test("a group is made, seen by its project, renamed and deleted, and counted meanwhile", async (t) => {
  const fixture = await openFixture(t, { quotas: { groups: 1 } });
  const { groups } = fixture.cinder;
  const { id, ...group } = await makeGroup(fixture);
  assert.deepEqual([group.status, group.volumeIds, group.availabilityZone], ["available", [], "nova"]);
  assert.equal(await used(fixture, "groups"), 1);
  await assert.rejects(makeGroup(fixture), refused("over-limit", /^GroupLimitExceeded: Maximum number of groups allowed \(1\)/));
  assert.deepEqual(
    (await groups.list(member, defaultListQuery)).items.map((one) => one.id),
    [id],
  );
  assert.deepEqual((await groups.list(stranger, defaultListQuery)).items, []);
  await assert.rejects(groups.show(stranger, id), refused("not-found", new RegExp(`^Group ${id} could not be found\\.$`)));
  await groups.update(member, id, { ...noChange, name: "other" });
  assert.deepEqual([(await groups.show(member, id)).name, (await groups.show(member, id)).description], ["other", "d"]);
  const same = { ...noChange, name: "other", description: "d" };
  await assert.rejects(groups.update(member, id, same), refused("invalid", /because no valid name, description, add_volumes/));
  await groups.delete(member, id, false);
  await assert.rejects(groups.show(member, id), refused("not-found", /Group/));
  assert.equal(await used(fixture, "groups"), 0);
});

test("without a pool for all of its types a group is in error, and a message says why", async (t) => {
  const fixture = await openFixture(t);
  await fixture.cinder.volumeTypes.create(admin, { name: "odd", extraSpecs: { volume_backend_name: "nowhere" } });
  const group = await makeGroup(fixture, ["__DEFAULT__", "odd"]);
  assert.deepEqual([group.status, group.host, group.volumeTypeIds.length], ["error", null, 2]);
  const { items } = await fixture.cinder.messages.list(member, defaultListQuery);
  assert.deepEqual(
    items.map((one) => [one.resourceType, one.resourceId, one.eventId]),
    [["VOLUME_GROUP", group.id, "VOLUME_VOLUME_GROUP_001_003"]],
  );
  await assert.rejects(makeVolume(fixture, group.id), refused("invalid", /^Invalid Group: Originating group status must be/));
  await fixture.cinder.groups.delete(member, group.id, false);
  assert.equal(await used(fixture, "groups"), 0);
});

test("a member is not deleted, moved, retyped or given away, until it has left", async (t) => {
  const fixture = await openFixture(t);
  const { groups, volumes, transfers, volumeMoves, management } = fixture.cinder;
  const group = await makeGroup(fixture);
  const [inside, added] = [await makeVolume(fixture, group.id), await makeVolume(fixture)];
  await groups.update(member, group.id, { ...noChange, addVolumes: [added, inside] });
  assert.deepEqual((await groups.show(member, group.id)).volumeIds, [inside, added]);
  for (const id of [inside, added]) {
    assert.equal((await volumes.show(member, id)).volume.groupId, group.id);
    const alone = { cascade: false, force: false };
    await assert.rejects(volumes.delete(member, id, alone), refused("invalid", /belong to a group/));
    await assert.rejects(volumes.delete(admin, id, { cascade: true, force: true }), refused("invalid", /belong to a group/));
    await assert.rejects(management.unmanageVolume(admin, id), refused("invalid", /belong to a group/));
    await assert.rejects(
      volumeMoves.migrate(admin, id, { host: "h@p2#p2", lock: false }),
      refused("invalid", /part of a group|host/),
    );
    const offer = { volumeId: id, name: null, noSnapshots: true };
    await assert.rejects(transfers.create(member, offer), refused("invalid", /must not be part of a consistency group\.$/));
  }
  await fixture.cinder.volumeTypes.create(admin, { name: "t" });
  await assert.rejects(volumeMoves.retype(member, inside, "t", false), refused("invalid", /part of an active migration or a/));
  await groups.update(member, group.id, { ...noChange, removeVolumes: [inside] });
  assert.deepEqual((await groups.show(member, group.id)).volumeIds, [added]);
  await volumes.delete(member, inside, { cascade: false, force: false });
  assert.equal(await used(fixture, "volumes"), 1);
});

test("who may not join or leave is told why, and nothing changes", async (t) => {
  const fixture = await openFixture(t);
  const { groups, volumes, volumeActions, volumeTypes } = fixture.cinder;
  const [group, other] = [await makeGroup(fixture), await makeGroup(fixture)];
  const [volume, elsewhere] = [await makeVolume(fixture), await makeVolume(fixture, other.id)];
  const theirs = (await volumes.create(stranger, { sizeGib: 1 })).volume.id;
  await volumeTypes.create(admin, { name: "t" });
  const untyped = (await volumes.create(member, { sizeGib: 1, volumeType: "t" })).volume.id;
  const add = (ids: readonly string[], context = member): Promise<void> =>
    groups.update(context, group.id, { ...noChange, addVolumes: ids });
  const cases: readonly [string, RegExp][] = [
    ["88888888-8888-4888-8888-888888888888", /because volume cannot be found\.$/],
    [theirs, /because volume cannot be found\.$/],
    [elsewhere, /because it is already in group /],
    [untyped, /because volume type \S+ is not supported by the group\.$/],
  ];
  for (const [id, message] of cases) await assert.rejects(add([volume, id]), refused("invalid", message));
  await assert.rejects(add([theirs], admin), refused("invalid", /as they belong to different projects\.$/));
  await volumeActions.resetStatus(admin, volume, { status: "maintenance" });
  await assert.rejects(
    add([volume]),
    refused("invalid", /is in an invalid state: maintenance\. Valid states are: \('available', 'in-use'\)\.$/),
  );
  await volumeActions.resetStatus(admin, volume, { status: "available" });
  await assert.rejects(
    groups.update(member, group.id, { addVolumes: [volume], removeVolumes: [volume] }),
    refused("invalid", /are in both add and remove volume list\.$/),
  );
  await assert.rejects(
    groups.update(member, group.id, { ...noChange, removeVolumes: [volume] }),
    refused("invalid", /because it is not in the group\.$/),
  );
  await groups.resetStatus(admin, group.id, "ERROR");
  await assert.rejects(add([volume]), refused("invalid", /Group status must be available\.$/));
  assert.deepEqual((await groups.show(member, group.id)).volumeIds, []);
  await assert.rejects(
    volumes.create(member, { sizeGib: 1, groupId: other.id }),
    refused("invalid", /volume_type must be provided when creating a volume in a group/),
  );
  await assert.rejects(
    volumes.create(member, { sizeGib: 1, groupId: other.id, volumeType: "t" }),
    refused("invalid", /Invalid volume_type provided: t /),
  );
});

test("a group has room for a bounded number of volumes, and no more", async (t) => {
  const fixture = await openFixture(t, { quotas: { volumes: 100 } });
  const group = await makeGroup(fixture);
  for (let i = 0; i < cinderLimits.groupVolumesMax; i++) await makeVolume(fixture, group.id);
  await assert.rejects(makeVolume(fixture, group.id), refused("invalid", /^Invalid Group: A group has at most 20 volumes/));
  const more = await makeVolume(fixture);
  const add = { ...noChange, addVolumes: [more] };
  await assert.rejects(fixture.cinder.groups.update(member, group.id, add), refused("invalid", /at most 20 volumes/));
  assert.equal(await used(fixture, "volumes"), cinderLimits.groupVolumesMax + 1);
});

test("a group with volumes goes only when that is asked for, volumes, vDisks and quota with it", async (t) => {
  const fixture = await openFixture(t, { quotas: { volumes: 20 } });
  const { groups, legacyAttach, snapshots, volumes } = fixture.cinder;
  const group = await makeGroup(fixture);
  const ids: string[] = [];
  for (let i = 0; i < 10; i++) ids.push(await makeVolume(fixture, group.id));
  const [first = ""] = ids;
  await assert.rejects(groups.delete(member, group.id, false), refused("invalid", /The delete-volumes flag is required/));
  await legacyAttach.attach(member, first, { hostName: "h" });
  await assert.rejects(groups.delete(member, group.id, true), refused("invalid", /is attached\. Need to detach first\.$/));
  await legacyAttach.detach(member, first, undefined);
  const snapshot = await snapshots.create(member, { volumeId: first, allowInUse: false });
  await assert.rejects(groups.delete(member, group.id, true), refused("invalid", /still has dependent snapshots\.$/));
  await snapshots.delete(member, snapshot.id);
  await groups.delete(member, group.id, true);
  await fixture.cinder.idle();
  await assert.rejects(groups.show(member, group.id), refused("not-found", /Group/));
  for (const id of ids) {
    await assert.rejects(volumes.show(member, id), refused("not-found", /Volume/));
    assert.equal(await fixture.control.vdisk(id), undefined);
  }
  for (const key of ["groups", "volumes", "gigabytes"]) assert.equal(await used(fixture, key), 0, key);
  assert.deepEqual(fixture.troubles, []);
});

test("types of a group are not deleted while it is there", async (t) => {
  const fixture = await openFixture(t);
  const { groupTypes, groups, volumeTypes } = fixture.cinder;
  const type = await volumeTypes.create(admin, { name: "t" });
  const group = await makeGroup(fixture, ["t"]);
  await assert.rejects(volumeTypes.delete(admin, type.id), refused("invalid", /^Target volume type is still in use\.$/));
  await assert.rejects(groupTypes.delete(admin, group.groupTypeId), refused("invalid", /^Target group type is still in use\. /));
  await groups.delete(member, group.id, false);
  await volumeTypes.delete(admin, type.id);
  await groupTypes.delete(admin, group.groupTypeId);
});

test("the older API makes groups of its own type, sees all, and the newer one leaves those alone", async (t) => {
  const fixture = await openFixture(t);
  const { consistencyGroups, groups, volumes } = fixture.cinder;
  const older = await consistencyGroups.create(member, { ...noNames, volumeTypes: ["__DEFAULT__"] });
  const newer = await makeGroup(fixture);
  const volume = await makeVolume(fixture, older.id);
  const shown = await volumes.show(member, volume);
  assert.deepEqual([shown.volume.groupId, shown.consistencyGroupId], [older.id, older.id]);
  assert.equal((await volumes.show(member, await makeVolume(fixture, newer.id))).consistencyGroupId, undefined);
  assert.deepEqual(
    (await groups.list(member, defaultListQuery)).items.map((one) => one.id),
    [newer.id],
  );
  assert.equal((await consistencyGroups.list(member, defaultListQuery)).items.length, 2);
  const reserved = refused(
    "invalid",
    /is reserved for migrating CGs to groups\. Migrated group can only be operated by CG APIs\.$/,
  );
  await assert.rejects(groups.show(member, older.id), reserved);
  await assert.rejects(groups.update(member, older.id, { ...noChange, name: "n" }), reserved);
  await assert.rejects(groups.delete(member, older.id, true), reserved);
  await assert.rejects(
    groups.create(member, { ...noNames, groupType: "default_cgsnapshot_type", volumeTypes: ["__DEFAULT__"] }),
    reserved,
  );
  await consistencyGroups.delete(member, older.id, true);
  await fixture.cinder.idle();
  assert.equal((await consistencyGroups.list(member, defaultListQuery)).items.length, 1);
});

test("replication is refused for the first reason that there is", async (t) => {
  const fixture = await openFixture(t);
  const { groupTypes, groups, volumeTypes } = fixture.cinder;
  const plain = await makeGroup(fixture);
  for (const verb of ["enable", "disable", "failover"] as const) {
    await assert.rejects(groups.replicate(member, plain.id, verb), refused("invalid", /is not a replication group type\.$/));
  }
  const groupSpecs = { group_replication_enabled: "<is> True" };
  const replicated = await groupTypes.create(admin, { name: "r", groupSpecs });
  const half = await groups.create(member, { ...noNames, groupType: "r", volumeTypes: ["__DEFAULT__"] });
  await assert.rejects(
    groups.replicationTargets(member, half.id),
    refused("invalid", /does not have 'replication_enabled' spec key/),
  );
  await volumeTypes.create(admin, { name: "t", extraSpecs: { replication_enabled: "<is> True" } });
  const whole = await groups.create(member, { ...noNames, groupType: replicated.id, volumeTypes: ["t"] });
  assert.equal(whole.status, "error");
  assert.equal((await groups.replicationTargets(member, whole.id)).id, whole.id);
  await assert.rejects(
    groups.replicate(member, whole.id, "enable"),
    refused("invalid", /status must be \['available'\], but current/),
  );
  await groups.resetStatus(admin, whole.id, "available");
  await assert.rejects(
    groups.replicate(member, whole.id, "failover"),
    refused("invalid", /replication status must be \['enabled', 'failed-over'\], but current status is: disabled/),
  );
});
