// Managing and letting go of vDisks and snapshots; what an operator does to services; hints to the scheduler.

import assert from "node:assert/strict";
import { test } from "node:test";
import { admin, member, openFixture, stranger } from "./cinder-fixture.ts";
import { CinderFault } from "./faults.ts";

const refused = (pattern: RegExp) => (error: unknown) => error instanceof CinderFault && pattern.test(error.message);
const host = "andiron@p1#p1";

test("a volume that is let go keeps its vDisk, frees its quota, and can be taken in again by name or id", async (t) => {
  const { cinder, control } = await openFixture(t);
  const { volume } = await cinder.volumes.create(member, { sizeGib: 3, name: "mine" });
  await assert.rejects(cinder.management.unmanageVolume(member, volume.id), refused(/^Policy doesn't allow/));
  let id = volume.id;
  for (const call of [() => ({ sourceName: "mine" }), () => ({ sourceName: `volume-${id}` }), () => ({ sourceId: id })]) {
    const reference = call();
    await cinder.management.unmanageVolume(admin, id);
    assert.equal((await control.vdisk(id))?.sizeBytes, 3 * 2 ** 30);
    assert.equal((await cinder.quotas.show(admin, "demo"))["gigabytes"]?.inUse, 0);
    const [row] = await cinder.management.manageableVolumes(admin, host);
    assert.deepEqual(row, { name: "mine", sizeGib: 3 });
    const { volume: again } = await cinder.management.manageVolume(admin, { host, reference, bootable: false, name: "mine" });
    assert.deepEqual([again.sizeGib, again.status, again.host], [3, "available", host]);
    assert.notEqual(again.id, id, "it is another volume than the one that was let go");
    assert.equal(await control.vdisk(id), undefined);
    id = again.id;
    assert.equal((await cinder.quotas.show(admin, "demo"))["gigabytes"]?.inUse, 3);
    const [managed] = await cinder.management.manageableVolumes(admin, host);
    assert.deepEqual([managed?.managedId, managed?.reasonNotSafe], [id, "already managed"]);
  }
});

test("what can't be taken in is refused: no such vDisk, one that is a volume, no such pool, no room", async (t) => {
  const { cinder } = await openFixture(t, { quotas: { volumes: 1 } });
  const { volume } = await cinder.volumes.create(member, { sizeGib: 1 });
  const take = (reference: object, pool = host): Promise<unknown> =>
    cinder.management.manageVolume(admin, { host: pool, reference, bootable: false });
  await assert.rejects(take({ sourceName: "nothing" }), refused(/invalid backend reference nothing/));
  await assert.rejects(take({ sourceName: "../../x" }), refused(/invalid backend reference/));
  await assert.rejects(take({}), refused(/must have a 'source-name'/));
  await assert.rejects(take({ sourceId: volume.id }), refused(/already managed/));
  await assert.rejects(take({ sourceId: volume.id }, "andiron@p2#p2"), refused(/^Host 'andiron@p2#p2' not found$/));
  await cinder.management.unmanageVolume(admin, volume.id);
  await cinder.volumes.create(member, { sizeGib: 1 });
  await assert.rejects(take({ sourceId: volume.id }), refused(/^VolumeLimitExceeded/));
});

test("a volume with snapshots or a connection is not let go; a snapshot is, and comes back", async (t) => {
  const { cinder, control } = await openFixture(t);
  const { volume } = await cinder.volumes.create(member, { sizeGib: 1 });
  const snapshot = await cinder.snapshots.create(member, { volumeId: volume.id, allowInUse: false, name: "s" });
  await assert.rejects(cinder.management.unmanageVolume(admin, volume.id), refused(/have snapshots/));
  await cinder.management.unmanageSnapshot(admin, snapshot.id);
  assert.equal((await control.snapshot(snapshot.id))?.state, "ready");
  assert.equal((await cinder.quotas.show(admin, "demo"))["snapshots"]?.inUse, 0);
  const [row] = await cinder.management.manageableSnapshots(admin, host);
  assert.deepEqual([row?.name, row?.reasonNotSafe], [`snapshot-${snapshot.id}`, undefined]);
  const other = await cinder.volumes.create(member, { sizeGib: 1 });
  const reference = { sourceName: `_snapshot-${snapshot.id}` };
  await assert.rejects(
    cinder.management.manageSnapshot(admin, { volumeId: other.volume.id, reference }),
    refused(/it is not of volume/),
  );
  await assert.rejects(
    cinder.management.manageSnapshot(admin, { volumeId: volume.id, reference: { sourceName: "x" } }),
    refused(/invalid backend reference x/),
  );
  await cinder.management.manageSnapshot(admin, { volumeId: volume.id, reference });
  assert.equal((await cinder.volumes.show(member, volume.id)).volume.snapshotCount, 1);
  assert.equal((await cinder.quotas.show(admin, "demo"))["snapshots"]?.inUse, 1);
  await assert.rejects(cinder.management.manageSnapshot(admin, { volumeId: volume.id, reference }), refused(/already managed/));
  await cinder.management.unmanageSnapshot(admin, snapshot.id);
  await cinder.management.unmanageVolume(admin, volume.id);
  const byId = { sourceId: volume.id };
  const again = await cinder.management.manageVolume(admin, { host, reference: byId, bootable: false });
  await cinder.management.manageSnapshot(admin, { volumeId: again.volume.id, reference });
  await cinder.attachments.create(member, { volumeId: other.volume.id, connector: { host: "h" } });
  await assert.rejects(cinder.management.unmanageVolume(admin, other.volume.id), refused(/must not be migrating, attached/));
});

test("a frozen backend takes no volumes until it thaws; failover is refused as without replication", async (t) => {
  const { cinder } = await openFixture(t);
  const backend = "andiron@p1";
  await cinder.serviceActions.freeze(admin, backend);
  await assert.rejects(cinder.serviceActions.freeze(admin, backend), refused(/frozen in .* must be False/));
  assert.equal((await cinder.volumes.create(member, { sizeGib: 1 })).volume.status, "error");
  await cinder.serviceActions.thaw(admin, backend);
  assert.equal((await cinder.volumes.create(member, { sizeGib: 1 })).volume.status, "available");
  await assert.rejects(cinder.serviceActions.thaw(admin, "nowhere"), refused(/^No service found with host=nowhere$/));
  await assert.rejects(cinder.serviceActions.failover(admin, backend), refused(/replication_status/));
  await assert.rejects(cinder.serviceActions.freeze(member, backend), refused(/volume_extension:services:update/));
});

test("a log level is set here at once, and forgotten by the next process", async (t) => {
  const fixture = await openFixture(t);
  const { cinder } = fixture;
  await cinder.serviceActions.setLogLevel(admin, { prefix: "andiron" }, "debug");
  await cinder.serviceActions.setLogLevel(admin, { prefix: "sqlalchemy" }, "error");
  const rows = await cinder.serviceActions.logLevels(admin, {});
  assert.deepEqual(rows, [
    { binary: "cinder-api", host: "andiron", levels: { andiron: "DEBUG" } },
    { binary: "cinder-scheduler", host: "andiron", levels: { andiron: "DEBUG" } },
    { binary: "cinder-backup", host: "andiron", levels: { andiron: "DEBUG" } },
  ]);
  assert.deepEqual(await cinder.serviceActions.logLevels(admin, { server: "elsewhere" }), []);
  const kept = async (): Promise<boolean> => {
    const { entries } = await fixture.registry.range({ prefix: "cinder/service/" });
    return entries.some(({ value }) => value.includes("DEBUG"));
  };
  assert.equal(await kept(), true);
  await fixture.openPeer();
  assert.equal(await kept(), false);
});

test("clean-up names the services that are down", async (t) => {
  const { cinder, control } = await openFixture(t);
  assert.deepEqual(await cinder.serviceActions.cleanUp(admin, {}), []);
  control.routerRows = [];
  const expected = [{ id: 3, binary: "cinder-volume", host: "andiron@p1" }];
  assert.deepEqual(await cinder.serviceActions.cleanUp(admin, {}), expected);
  assert.deepEqual(await cinder.serviceActions.cleanUp(admin, { isUp: true }), []);
  assert.deepEqual(await cinder.serviceActions.cleanUp(admin, { serviceId: 3, disabled: false }), expected);
  assert.deepEqual(await cinder.serviceActions.cleanUp(admin, { host: "elsewhere" }), []);
});

test("hints keep a volume with another, or away from it", async (t) => {
  const { cinder, control } = await openFixture(t);
  const [p1] = control.poolRows;
  control.poolRows = [p1!, { ...p1!, name: "p2", freeBytes: 2 ** 48 }];
  const first = (await cinder.volumes.create(member, { sizeGib: 1 })).volume;
  assert.equal(first.host, host);
  const away = (await cinder.volumes.create(member, { sizeGib: 1, differentHost: [first.id] })).volume;
  assert.equal(away.host, "andiron@p2#p2");
  const together = (await cinder.volumes.create(member, { sizeGib: 1, sameHost: [away.id] })).volume;
  assert.equal(together.host, away.host);
  const torn = { sizeGib: 1, sameHost: [first.id], differentHost: [first.id, away.id] };
  assert.equal((await cinder.volumes.create(member, torn)).volume.status, "error");
  const foreign = (await cinder.volumes.create(stranger, { sizeGib: 1, differentHost: [first.id] })).volume;
  assert.equal(foreign.host, host);
});
