// The cuts of backups through their life: which there are in the engine at each moment, which one an incremental backup is given,
// and that none is left or shown, whatever becomes of the backup, its volume or its snapshot.

import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { AndironError } from "../../common/errors.ts";
import { admin, type CinderFixture, member, openFixture } from "../cinder-fixture.ts";
import { defaultListQuery } from "../list-query.ts";
import type { Volume } from "../model.ts";
import { type BackupBytes, noBackupBytes } from "./backup-bytes.ts";
import type { Backup } from "./backup.ts";

const pool2 = "andiron@p2#p2";

interface Rig extends CinderFixture {
  /** What each write was given: which cuts there were, and how many of them were the base. */
  readonly writes: { readonly cuts: number; readonly hasBase: boolean }[];
  fail: boolean;
  readonly volume: Volume;
  backup(change?: { readonly incremental?: boolean; readonly snapshotId?: string }): Promise<Backup>;
  /** Ids of the engine's snapshots that are no snapshots of the API. */
  cuts(): Promise<string[]>;
  baseOf(): Promise<string | undefined>;
}

async function open(t: TestContext): Promise<Rig> {
  const writes: Rig["writes"] = [];
  const cuts = async (): Promise<string[]> => {
    const rows = [...(await fixture.control.snapshots("p1", 100))].map(({ id }) => id);
    const { items } = await fixture.cinder.snapshots.list(admin, defaultListQuery);
    const shown = new Set(items.map(({ id }) => id));
    return rows.filter((id) => !shown.has(id));
  };
  const bytes: BackupBytes = {
    ...noBackupBytes,
    isConfigured: true,
    defaultContainer: "c",
    async write({ backupId, cutId, baseId }) {
      const present = await cuts();
      assert.ok(present.includes(cutId) && (baseId === null || present.includes(baseId)), "what is read is there");
      writes.push({ cuts: present.length, hasBase: baseId !== null });
      if (rig.fail) throw new AndironError("invalid_request", "the store says no");
      return { cursor: {}, done: 0, result: { location: { at: backupId }, objectCount: 1, encryptionKeyId: null } };
    },
    erase: () => Promise.resolve({ cursor: {}, done: 0, isDone: true }),
  };
  const fixture = await openFixture(t, { backups: bytes });
  const { cinder, control } = fixture;
  const [row] = control.poolRows;
  control.poolRows = [row!, { ...row!, name: "p2" }];
  const { volume } = await cinder.volumes.create(member, { sizeGib: 1, name: "v" });
  const rig: Rig = {
    ...fixture,
    writes,
    fail: false,
    volume,
    cuts,
    async backup({ incremental = false, snapshotId = null }: { incremental?: boolean; snapshotId?: string | null } = {}) {
      const asked = { volumeId: volume.id, container: null, incremental, force: false, snapshotId };
      const { id } = await cinder.backups.create(member, asked);
      await cinder.idle();
      return (await cinder.backups.show(member, id)).backup;
    },
    baseOf: async () => (await cinder.volumes.show(admin, volume.id)).volume.backupBaseId,
  };
  return rig;
}

async function remove({ cinder }: Rig, { id }: Backup): Promise<void> {
  await cinder.backups.delete(member, id);
  await cinder.idle();
}

test("the newest backup's cut stays as the base of the next one, and no other", async (t) => {
  const rig = await open(t);
  const first = await rig.backup();
  assert.deepEqual([await rig.cuts(), await rig.baseOf()], [[first.id], first.id]);
  const second = await rig.backup({ incremental: true });
  assert.equal(second.parentId, first.id);
  assert.deepEqual([await rig.cuts(), await rig.baseOf()], [[second.id], second.id]);
  // Its own cut, the volume's base, and its copy of that.
  assert.deepEqual(rig.writes, [
    { cuts: 1, hasBase: false },
    { cuts: 3, hasBase: true },
  ]);
  await remove(rig, second);
  assert.deepEqual([await rig.cuts(), await rig.baseOf()], [[], undefined]);
  const third = await rig.backup({ incremental: true });
  assert.equal(third.parentId, first.id);
  assert.deepEqual(rig.writes.at(-1), { cuts: 1, hasBase: false });
  assert.deepEqual(rig.troubles, []);
});

test("a backup that fails leaves no cut, and the base that there was", async (t) => {
  const rig = await open(t);
  const first = await rig.backup();
  rig.fail = true;
  const failed = await rig.backup({ incremental: true });
  assert.equal(failed.status, "error");
  assert.deepEqual([await rig.cuts(), await rig.baseOf()], [[first.id], first.id]);
  rig.fail = false;
  await remove(rig, failed);
  await rig.backup({ incremental: true });
  assert.equal(rig.writes.at(-1)?.hasBase, true);
});

test("a base shows nowhere, nobody takes it in, and the volume goes with it", async (t) => {
  const rig = await open(t);
  const { cinder, volume } = rig;
  const { id } = await rig.backup();
  assert.deepEqual(await cinder.management.manageableSnapshots(admin, volume.host!), []);
  const taking = { volumeId: volume.id, reference: { sourceId: id }, name: "mine" };
  await assert.rejects(cinder.management.manageSnapshot(admin, taking), /no such snapshot/);
  await cinder.volumes.delete(member, volume.id, { cascade: false, force: false });
  assert.deepEqual(await rig.cuts(), []);
});

test("a volume that is let go, or gets another disk, has no base any more", async (t) => {
  const rig = await open(t);
  const { cinder, volume } = rig;
  await rig.backup();
  await cinder.volumeMoves.migrate(admin, volume.id, { host: pool2, lock: false });
  await cinder.idle();
  assert.equal((await cinder.volumes.show(admin, volume.id)).volume.host, pool2);
  assert.deepEqual([await rig.cuts(), await rig.baseOf()], [[], undefined]);
  const next = await rig.backup({ incremental: true });
  assert.deepEqual([next.status, rig.writes.at(-1)?.hasBase], ["available", false]);
  await cinder.management.unmanageVolume(admin, volume.id);
  assert.deepEqual(await rig.cuts(), []);
});

test("a backup of a snapshot outlives it; of an older one than the base it keeps no cut", async (t) => {
  const rig = await open(t);
  const { cinder, volume } = rig;
  const old = await cinder.snapshots.create(member, { volumeId: volume.id, allowInUse: false });
  const first = await rig.backup();
  const ofOld = await rig.backup({ snapshotId: old.id });
  assert.equal(ofOld.status, "available");
  assert.deepEqual([await rig.cuts(), await rig.baseOf()], [[first.id], first.id]);
  const young = await cinder.snapshots.create(member, { volumeId: volume.id, allowInUse: false });
  const ofYoung = await rig.backup({ snapshotId: young.id, incremental: true });
  assert.deepEqual([ofYoung.parentId, rig.writes.at(-1)?.hasBase], [first.id, true]);
  for (const { id } of [old, young]) {
    assert.equal((await cinder.snapshots.show(member, id)).status, "available");
    await cinder.snapshots.delete(member, id);
  }
  assert.deepEqual([await rig.cuts(), await rig.baseOf()], [[ofYoung.id], ofYoung.id]);
  const next = await rig.backup({ incremental: true });
  assert.deepEqual([next.parentId, rig.writes.at(-1)?.hasBase], [ofYoung.id, true]);
});
