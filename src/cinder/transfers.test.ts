// Transfers: who sees what, the key, and that volume, snapshots and usage of both projects move at once or not at all.

import assert from "node:assert/strict";
import { test } from "node:test";
import { admin, type CinderFixture, member, openFixture, stranger } from "./cinder-fixture.ts";
import { CinderFault } from "./faults.ts";
import { defaultListQuery } from "./list-query.ts";
import type { Cinder } from "./verbs.ts";

const refused = (pattern: RegExp) => (error: unknown) => error instanceof CinderFault && pattern.test(error.message);

async function used(cinder: Cinder, projectId: string): Promise<Record<string, number>> {
  const set = await cinder.quotas.show(admin, projectId);
  const keys = ["volumes", "gigabytes", "snapshots", "volumes___DEFAULT__", "gigabytes___DEFAULT__"];
  return Object.fromEntries(keys.map((key) => [key, set[key]?.inUse ?? -1]));
}

async function offer(cinder: Cinder, noSnapshots = false): Promise<{ volumeId: string; id: string; authKey: string }> {
  const { volume } = await cinder.volumes.create(member, { sizeGib: 2 });
  await cinder.snapshots.create(member, { volumeId: volume.id, allowInUse: false });
  const { transfer, authKey } = await cinder.transfers.create(member, { volumeId: volume.id, name: "gift", noSnapshots });
  return { volumeId: volume.id, id: transfer.id, authKey };
}

async function statusOf(cinder: Cinder, volumeId: string): Promise<string> {
  return (await cinder.volumes.show(admin, volumeId)).volume.status;
}

const nothing = { volumes: 0, gigabytes: 0, snapshots: 0, volumes___DEFAULT__: 0, gigabytes___DEFAULT__: 0 };
const offered = { volumes: 1, gigabytes: 4, snapshots: 1, volumes___DEFAULT__: 1, gigabytes___DEFAULT__: 4 };

test("an acceptance moves volume, snapshots and usage; the key is kept by nobody", async (t) => {
  const { cinder, registry } = await openFixture(t);
  const { volumeId, id, authKey } = await offer(cinder);
  assert.match(authKey, /^[0-9a-f]{16}$/);
  const { entries } = await registry.range({ prefix: "cinder/" });
  assert.ok(entries.every(({ value }) => !value.includes(authKey)));
  assert.equal(await statusOf(cinder, volumeId), "awaiting-transfer");
  await assert.rejects(cinder.transfers.accept(stranger, id, "0000000000000000"), refused(/^Invalid auth key: Attempt/));
  assert.deepEqual(await used(cinder, "other"), nothing);
  assert.equal((await cinder.transfers.accept(stranger, id, authKey)).volumeId, volumeId);
  assert.deepEqual(await used(cinder, "demo"), nothing);
  assert.deepEqual(await used(cinder, "other"), offered);
  const { volume } = await cinder.volumes.show(stranger, volumeId);
  assert.deepEqual([volume.projectId, volume.userId, volume.status], ["other", "user-of-other", "available"]);
  assert.equal((await cinder.snapshots.list(stranger, defaultListQuery)).items.length, 1);
  assert.equal((await cinder.snapshots.list(member, defaultListQuery)).items.length, 0);
  assert.equal((await cinder.volumes.list(member, defaultListQuery)).items.length, 0);
  await assert.rejects(cinder.transfers.accept(stranger, id, authKey), refused(/could not be found/));
  await cinder.volumes.delete(stranger, volumeId, { cascade: true, force: false });
  await cinder.idle();
  assert.deepEqual(await used(cinder, "other"), nothing);
});

test("snapshots that stay behind stay charged to their project and keep the volume from being deleted", async (t) => {
  const { cinder } = await openFixture(t);
  const { volumeId, id, authKey } = await offer(cinder, true);
  await cinder.transfers.accept(stranger, id, authKey);
  assert.deepEqual(await used(cinder, "demo"), { ...nothing, gigabytes: 2, snapshots: 1, gigabytes___DEFAULT__: 2 });
  const [snapshot] = (await cinder.snapshots.list(member, defaultListQuery)).items;
  for (const cascade of [false, true]) {
    const refusal = refused(/disassociated from snapshots after volume transfer/);
    await assert.rejects(cinder.volumes.delete(stranger, volumeId, { cascade, force: false }), refusal);
  }
  await cinder.snapshots.delete(member, snapshot!.id);
  await cinder.volumes.delete(stranger, volumeId, { cascade: false, force: false });
  assert.deepEqual(await used(cinder, "demo"), nothing);
  assert.deepEqual(await used(cinder, "other"), nothing);
});

test("a project without room for it does not get it, and nothing has moved", async (t) => {
  const { cinder } = await openFixture(t);
  await cinder.quotas.set(admin, "other", { gigabytes: 3 });
  const { volumeId, id, authKey } = await offer(cinder);
  await assert.rejects(cinder.transfers.accept(stranger, id, authKey), refused(/exceeds allowed gigabytes quota/));
  assert.deepEqual(await used(cinder, "demo"), offered);
  assert.deepEqual(await used(cinder, "other"), nothing);
  assert.equal(await statusOf(cinder, volumeId), "awaiting-transfer");
});

test("of several acceptances at once, through two processes, one succeeds", async (t) => {
  const fixture: CinderFixture = await openFixture(t);
  const peer = await fixture.openPeer();
  const { id, authKey } = await offer(fixture.cinder);
  const results = await Promise.allSettled(
    [fixture.cinder, peer, fixture.cinder, peer].map((cinder) => cinder.transfers.accept(stranger, id, authKey)),
  );
  assert.equal(results.filter(({ status }) => status === "fulfilled").length, 1);
  assert.deepEqual(await used(peer, "other"), offered);
  assert.deepEqual(await used(fixture.cinder, "demo"), nothing);
});

test("only the offering project and administrators see a transfer; taking it back frees the volume", async (t) => {
  const { cinder } = await openFixture(t);
  const { volumeId, id } = await offer(cinder);
  await assert.rejects(cinder.transfers.show(stranger, id), refused(/^Transfer .* could not be found/));
  await assert.rejects(cinder.transfers.delete(stranger, id), refused(/could not be found/));
  assert.equal((await cinder.transfers.list(stranger, defaultListQuery)).items.length, 0);
  assert.equal((await cinder.transfers.list(member, defaultListQuery)).items.length, 1);
  const page = await cinder.transfers.list({ ...admin, projectId: "admin" }, { ...defaultListQuery, allTenants: true });
  assert.equal(page.items.length, 1);
  await assert.rejects(
    cinder.transfers.create(member, { volumeId, name: null, noSnapshots: false }),
    refused(/status must be available/),
  );
  await cinder.transfers.delete(member, id);
  assert.equal(await statusOf(cinder, volumeId), "available");
});

test("a connection that was left open ends with the acceptance", async (t) => {
  const { cinder, control } = await openFixture(t);
  const { volumeId, id, authKey } = await offer(cinder);
  const info = await cinder.legacyAttach.initializeConnection(member, volumeId, { host: "h" });
  await cinder.transfers.accept(stranger, id, authKey);
  assert.deepEqual(control.awaited, [info.attachment_id]);
  assert.equal((await cinder.attachments.list(admin, { ...defaultListQuery, allTenants: true })).items.length, 0);
});

test("deleting a volume by force takes its transfer along", async (t) => {
  const { cinder } = await openFixture(t);
  const { volume } = await cinder.volumes.create(member, { sizeGib: 1 });
  const { transfer } = await cinder.transfers.create(member, { volumeId: volume.id, name: null, noSnapshots: true });
  await cinder.volumeActions.forceDelete(admin, volume.id);
  await assert.rejects(cinder.transfers.show(member, transfer.id), refused(/could not be found/));
});
