// Attachments and the older attach family: exports that live as long as their attachment, and what the volume reads meanwhile.

import assert from "node:assert/strict";
import { test } from "node:test";
import { admin, member, openFixture, stranger, type CinderFixture } from "./cinder-fixture.ts";
import { CinderFault } from "./faults.ts";
import { defaultListQuery } from "./list-query.ts";
import type { Volume } from "./model.ts";
import { noServers } from "./ports.ts";

const server1 = "11111111-1111-4111-8111-111111111111";
const server2 = "22222222-2222-4222-8222-222222222222";
const connector = { host: "compute1", ip: "10.0.0.1", mountpoint: "/dev/vdb", initiator: null };

async function makeVolume(fixture: CinderFixture, volumeType?: string): Promise<string> {
  const request = volumeType === undefined ? { sizeGib: 1 } : { sizeGib: 1, volumeType };
  return (await fixture.cinder.volumes.create(member, request)).volume.id;
}

async function makeSharedVolume(fixture: CinderFixture): Promise<string> {
  await fixture.cinder.volumeTypes.create(admin, { name: "shared", extraSpecs: { multiattach: "<is> True" } });
  return makeVolume(fixture, "shared");
}

async function statusOf(fixture: CinderFixture, id: string): Promise<Volume["status"]> {
  return (await fixture.cinder.volumes.show(member, id)).volume.status;
}

function refused(kind: string, message: RegExp): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof CinderFault, String(error));
    assert.equal(error.kind, kind);
    assert.match(error.message, message);
    return true;
  };
}

test("reserve, connect, complete, delete: the volume follows and the export dies with the attachment", async (t) => {
  const fixture = await openFixture(t);
  const { attachments } = fixture.cinder;
  const volumeId = await makeVolume(fixture);
  const reserved = await attachments.create(member, { volumeId, instanceId: server1 });
  assert.deepEqual([reserved.status, reserved.connectionInfo, await statusOf(fixture, volumeId)], ["reserved", null, "reserved"]);
  const connected = await attachments.update(member, reserved.id, connector);
  assert.equal(await statusOf(fixture, volumeId), "attaching");
  assert.deepEqual([connected.attachedHost, connected.mountpoint], ["compute1", "/dev/vdb"]);
  assert.notEqual(connected.attachedAtMs, null, "the time is that of the connection");
  const info = connected.connectionInfo;
  assert.deepEqual([info?.driver_volume_type, info?.ports, info?.access_mode], ["nbd", ["10809"], "rw"]);
  assert.ok((info?.name.length ?? 0) >= 43);
  const repeated = await attachments.update(member, reserved.id, connector);
  assert.equal(repeated.connectionInfo?.name, info?.name, "a repeated update keeps the export");
  await attachments.complete(member, reserved.id);
  const detail = await fixture.cinder.volumes.show(member, volumeId);
  assert.deepEqual([detail.volume.status, detail.attachments.length], ["in-use", 1]);
  await assert.rejects(
    fixture.cinder.volumes.delete(member, volumeId, { cascade: false, force: false }),
    refused("invalid", /must not be migrating, attached/),
  );
  assert.deepEqual(await attachments.delete(member, reserved.id), []);
  assert.deepEqual(fixture.control.awaited, [reserved.id]);
  assert.equal(await statusOf(fixture, volumeId), "available");
  await assert.rejects(attachments.delete(member, reserved.id), refused("not-found", /could not be found/));
  assert.equal(fixture.control.awaited.length, 2, "a repeated delete waits for the same end");
  await assert.rejects(
    attachments.show(member, reserved.id),
    refused("not-found", /^Volume attachment could not be found with filter: attachment_id = /),
  );
});

test("a live migration has two attachments of one server, and the old one goes at the end", async (t) => {
  const fixture = await openFixture(t);
  const { attachments } = fixture.cinder;
  const volumeId = await makeVolume(fixture);
  const source = await attachments.create(member, { volumeId, instanceId: server1, connector });
  await attachments.complete(member, source.id);
  await assert.rejects(
    attachments.create(member, { volumeId, instanceId: server2 }),
    refused("invalid", /status must be available or downloading to reserve, but the current status is in-use/),
  );
  const target = await attachments.create(member, {
    volumeId,
    instanceId: server1,
    connector: { ...connector, host: "compute2" },
  });
  assert.equal(await statusOf(fixture, volumeId), "attaching");
  assert.notEqual(target.connectionInfo?.name, source.connectionInfo?.name);
  await attachments.complete(member, target.id);
  const remaining = await attachments.delete(member, source.id);
  assert.deepEqual(
    remaining.map((row) => row.id),
    [target.id],
  );
  assert.equal(await statusOf(fixture, volumeId), "in-use");
});

test("a second connector on a volume that is not shared is a conflict", async (t) => {
  const fixture = await openFixture(t);
  const { attachments } = fixture.cinder;
  const volumeId = await makeVolume(fixture);
  const first = await attachments.create(member, { volumeId, instanceId: server1, connector });
  await attachments.complete(member, first.id);
  const second = await attachments.create(member, { volumeId, instanceId: server1 });
  await assert.rejects(
    attachments.update(member, second.id, connector),
    refused("conflict", /^Resource conflict: duplicate connectors detected on volume/),
  );
});

test("a shared volume serves several servers, one reservation at a time", async (t) => {
  const fixture = await openFixture(t);
  const { attachments } = fixture.cinder;
  const volumeId = await makeSharedVolume(fixture);
  const first = await attachments.create(member, { volumeId, instanceId: server1, connector });
  await assert.rejects(
    attachments.create(member, { volumeId, instanceId: server2 }),
    refused("invalid", /must be available or in-use or downloading to reserve/),
  );
  await attachments.complete(member, first.id);
  const second = await attachments.create(member, { volumeId, instanceId: server2 });
  assert.equal(await statusOf(fixture, volumeId), "reserved");
  await attachments.update(member, second.id, { ...connector, host: "compute2" });
  await attachments.complete(member, second.id);
  assert.equal((await fixture.cinder.volumes.show(member, volumeId)).attachments.length, 2);
  await attachments.delete(member, first.id);
  assert.equal(await statusOf(fixture, volumeId), "in-use");
});

test("an attachment belongs to its project, and lists are filtered", async (t) => {
  const fixture = await openFixture(t);
  const { attachments } = fixture.cinder;
  const volumeId = await makeVolume(fixture);
  const row = await attachments.create(member, { volumeId, instanceId: server1 });
  await assert.rejects(attachments.show(stranger, row.id), refused("not-found", /attachment/));
  await assert.rejects(attachments.delete(stranger, row.id), refused("not-found", /attachment/));
  const query = { ...defaultListQuery, filters: { volume_id: [volumeId] } };
  assert.equal((await attachments.list(member, query)).items.length, 1);
  assert.equal((await attachments.list(stranger, query)).items.length, 0);
});

test("modes: a read-only volume is exported read-only, and never for writing", async (t) => {
  const fixture = await openFixture(t);
  const { attachments, volumeActions } = fixture.cinder;
  const volumeId = await makeVolume(fixture);
  await volumeActions.setReadOnly(member, volumeId, true);
  await assert.rejects(
    attachments.create(member, { volumeId, instanceId: server1, mode: "rw" }),
    refused("invalid", /Invalid attaching mode 'rw'/),
  );
  const row = await attachments.create(member, { volumeId, instanceId: server1, connector });
  assert.equal(row.connectionInfo?.access_mode, "ro");
  await assert.rejects(
    volumeActions.setReadOnly(member, volumeId, false),
    refused("invalid", /must be available to update readonly flag/),
  );
});

test("what a server uses is taken away only by Nova, by a service token, or when Nova does not know of it", async (t) => {
  const nova: { used?: string } = {};
  const fixture = await openFixture(t, { servers: { ...noServers, attachmentId: () => Promise.resolve(nova.used) } });
  const { attachments, legacyAttach } = fixture.cinder;
  const volumeId = await makeVolume(fixture);
  const row = await attachments.create(member, { volumeId, instanceId: server1, connector });
  await attachments.complete(member, row.id);
  nova.used = row.id;
  const message = new RegExp(`^ConflictNovaUsingAttachment: Detach volume from instance ${server1} using the Compute API`);
  await assert.rejects(attachments.delete(member, row.id), refused("conflict", message));
  await assert.rejects(legacyAttach.detach(member, volumeId, undefined), refused("conflict", message));
  await assert.rejects(legacyAttach.terminateConnection(member, volumeId, connector), refused("conflict", message));
  await assert.rejects(legacyAttach.forceDetach(admin, volumeId, {}), refused("conflict", message));
  await attachments.delete({ ...member, serviceRoles: ["service"] }, row.id);
  assert.equal(await statusOf(fixture, volumeId), "available");
});

test("a volume that grows under servers tells Nova, which may be away", async (t) => {
  const told: string[][] = [];
  const volumeExtended = (_context: unknown, servers: readonly string[], volume: string): Promise<void> => {
    told.push([volume, ...servers]);
    return told.length === 1 ? Promise.resolve() : Promise.reject(new Error("away"));
  };
  const fixture = await openFixture(t, { servers: { ...noServers, volumeExtended } });
  const { attachments, volumeActions } = fixture.cinder;
  const volumeId = await makeVolume(fixture);
  await volumeActions.extend(member, volumeId, 2, false);
  const row = await attachments.create(member, { volumeId, instanceId: server1, connector });
  await attachments.complete(member, row.id);
  assert.deepEqual(told, []);
  await volumeActions.extend(member, volumeId, 3, true);
  await volumeActions.extend(member, volumeId, 4, true);
  assert.deepEqual(told, [
    [volumeId, server1],
    [volumeId, server1],
  ]);
  assert.match(fixture.troubles.join(), /^Nova could not be told that volume .* has grown; .*: Error: away$/);
  assert.equal((await fixture.cinder.volumes.show(member, volumeId)).volume.sizeGib, 4);
});

test("the older family: reserve, connect, attach, detach; an unclaimed connection is claimed or goes", async (t) => {
  const fixture = await openFixture(t);
  const { legacyAttach } = fixture.cinder;
  const volumeId = await makeVolume(fixture);
  await legacyAttach.reserve(member, volumeId);
  await assert.rejects(
    legacyAttach.reserve(member, volumeId),
    refused("invalid", /must be available to reserve, but the status is attaching/),
  );
  const info = await legacyAttach.initializeConnection(member, volumeId, connector);
  assert.equal((await legacyAttach.initializeConnection(member, volumeId, connector)).name, info.name);
  await legacyAttach.attach(member, volumeId, { instanceId: server1, mountpoint: "/dev/vdc", mode: "rw" });
  const detail = await fixture.cinder.volumes.show(member, volumeId);
  assert.deepEqual([detail.volume.status, detail.attachments.length], ["in-use", 1]);
  assert.deepEqual([detail.attachments[0]?.instanceId, detail.attachments[0]?.mountpoint], [server1, "/dev/vdc"]);
  assert.equal(detail.volume.adminMetadata["attached_mode"], "rw");
  await assert.rejects(legacyAttach.attach(member, volumeId, { instanceId: server2 }), refused("invalid", /already attached/));
  await legacyAttach.beginDetaching(member, volumeId);
  assert.equal(await statusOf(fixture, volumeId), "detaching");
  await legacyAttach.rollDetaching(member, volumeId);
  assert.equal(await statusOf(fixture, volumeId), "in-use");
  await legacyAttach.terminateConnection(member, volumeId, connector);
  assert.equal(fixture.control.awaited.length, 1);
  await legacyAttach.detach(member, volumeId, undefined);
  const { volume } = await fixture.cinder.volumes.show(member, volumeId);
  // Cinder leaves "readonly" behind too.
  assert.deepEqual([volume.status, volume.attachmentIds, volume.adminMetadata], ["available", [], { readonly: "False" }]);
});

test("an instance or a host is attached without a connector, and is detached by name of the attachment", async (t) => {
  const fixture = await openFixture(t);
  const { legacyAttach } = fixture.cinder;
  const volumeId = await makeSharedVolume(fixture);
  await legacyAttach.attach(member, volumeId, { instanceId: server1 });
  await legacyAttach.attach(member, volumeId, { hostName: "metal" });
  const unclear = /^ConflictNovaUsingAttachment: Detach volume from instance  using/;
  await assert.rejects(legacyAttach.detach(member, volumeId, undefined), refused("conflict", unclear));
  await assert.rejects(legacyAttach.detach(member, volumeId, server1), refused("conflict", unclear));
  const nova = { ...member, serviceRoles: ["service"] };
  await assert.rejects(legacyAttach.detach(nova, volumeId, undefined), refused("invalid", /More than one attachment/));
  const { attachments } = await fixture.cinder.volumes.show(member, volumeId);
  await legacyAttach.detach(member, volumeId, attachments[0]!.id);
  assert.equal(await statusOf(fixture, volumeId), "in-use");
  await legacyAttach.forceDetach(admin, volumeId, { attachmentId: attachments[1]!.id, connector: {} });
  assert.equal(await statusOf(fixture, volumeId), "available");
  await assert.rejects(legacyAttach.attach(member, volumeId, {}), refused("invalid", /invalid target/));
});

test("resetting attach_status to detached ends the exports; a left-over connection keeps no volume from going", async (t) => {
  const fixture = await openFixture(t);
  const { attachments, legacyAttach, volumeActions, volumes } = fixture.cinder;
  const volumeId = await makeVolume(fixture);
  const row = await attachments.create(member, { volumeId, instanceId: server1, connector });
  await volumeActions.resetStatus(admin, volumeId, { status: "available", attachStatus: "detached", migrationStatus: "none" });
  assert.deepEqual(fixture.control.awaited, [row.id]);
  assert.equal((await attachments.list(member, defaultListQuery)).items.length, 0);
  await legacyAttach.initializeConnection(member, volumeId, connector);
  assert.equal(await statusOf(fixture, volumeId), "available");
  await volumes.delete(member, volumeId, { cascade: false, force: false });
  assert.equal((await attachments.list(member, defaultListQuery)).items.length, 0);
});

test("a connection that nobody claimed counts for nothing in the volume's status", async (t) => {
  const fixture = await openFixture(t);
  const { legacyAttach } = fixture.cinder;
  const volumeId = await makeVolume(fixture);
  await legacyAttach.attach(member, volumeId, { instanceId: server1 });
  await legacyAttach.initializeConnection(member, volumeId, connector);
  await legacyAttach.detach(member, volumeId, undefined);
  assert.equal(await statusOf(fixture, volumeId), "available");
  await legacyAttach.terminateConnection(member, volumeId, null);
  assert.deepEqual((await fixture.cinder.volumes.show(member, volumeId)).volume.attachmentIds, []);
});
