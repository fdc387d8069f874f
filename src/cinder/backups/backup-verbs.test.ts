// Backups from the request to the end of their jobs: what each record says meanwhile and after, what counts in the quota, what is
// refused, and what becomes of failures. Bytes are made up here; src/backups/ has them.

import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { AndironError } from "../../common/errors.ts";
import { admin, type CinderFixture, type FixtureOptions, member, openFixture, stranger } from "../cinder-fixture.ts";
import { defaultListQuery } from "../list-query.ts";
import type { Volume } from "../model.ts";
import { type BackupBytes, noBackupBytes } from "./backup-bytes.ts";
import type { Backup } from "./backup.ts";
import type { CreateBackup } from "./backup-verbs.ts";

const whole: Omit<CreateBackup, "volumeId"> = {
  container: null,
  incremental: false,
  force: false,
  snapshotId: null,
};

/** Steps that wait until they are let go, or fail. */
class Bytes implements BackupBytes {
  readonly isConfigured = true;
  readonly defaultContainer = "c";
  readonly checkContainer = noBackupBytes.checkContainer;
  readonly locationOf: BackupBytes["locationOf"] = ({ backupId }) => ({ partial: backupId });
  readonly erased: unknown[] = [];
  /** Steps that the store refuses. */
  failing: readonly (keyof BackupBytes)[] = [];
  #gate: Promise<void> = Promise.resolve();
  #open: () => void = () => undefined;

  hold(): void {
    this.#gate = new Promise((resolve) => (this.#open = resolve));
  }

  letGo(): void {
    this.#open();
  }

  async #pass(step: keyof BackupBytes): Promise<void> {
    await this.#gate;
    if (this.failing.includes(step)) throw new AndironError("invalid_request", "the store says no");
  }

  async write({ backupId }: Parameters<BackupBytes["write"]>[0]): ReturnType<BackupBytes["write"]> {
    await this.#pass("write");
    return { cursor: {}, done: 0, result: { location: { at: backupId }, objectCount: 5, encryptionKeyId: null } };
  }

  async restore(): ReturnType<BackupBytes["restore"]> {
    await this.#pass("restore");
    return { cursor: {}, done: 1, isDone: true };
  }

  async erase({ location }: Parameters<BackupBytes["erase"]>[0]): ReturnType<BackupBytes["erase"]> {
    await this.#pass("erase");
    this.erased.push(location);
    return { cursor: {}, done: 1, isDone: true };
  }
}

async function open(t: TestContext, options: FixtureOptions = {}): Promise<CinderFixture & { readonly bytes: Bytes }> {
  const bytes = new Bytes();
  const fixture = await openFixture(t, { backups: bytes, ...options });
  return { ...fixture, bytes };
}

type Fixture = Awaited<ReturnType<typeof open>>;

const invalid = (message: RegExp): object => ({ kind: "invalid", message });

async function makeVolume({ cinder }: Fixture, sizeGib = 2, context = member): Promise<Volume> {
  return (await cinder.volumes.create(context, { sizeGib, name: "v" })).volume;
}

async function volumeAt({ cinder }: Fixture, id: string): Promise<Volume> {
  return (await cinder.volumes.show(admin, id)).volume;
}

async function backupAt({ cinder }: Fixture, id: string): Promise<Backup> {
  return (await cinder.backups.show(admin, id)).backup;
}

async function makeBackup(fixture: Fixture, volumeId: string, change: Partial<CreateBackup> = {}): Promise<Backup> {
  const { id } = await fixture.cinder.backups.create(member, { ...whole, volumeId, ...change });
  await fixture.cinder.idle();
  return backupAt(fixture, id);
}

async function usage({ cinder }: Fixture): Promise<readonly unknown[]> {
  const limits = await cinder.quotas.limits(member, "demo");
  return [limits.totalBackupsUsed, limits.totalBackupGigabytesUsed];
}

async function messagesOf({ cinder }: Fixture, id: string): Promise<readonly string[]> {
  const query = { ...defaultListQuery, filters: { resource_uuid: [id] } };
  return (await cinder.messages.list(member, query)).items.map(({ eventId, userMessage }) => `${eventId} ${userMessage}`);
}

test("a backup is made, shown, and deleted; volume and quota say so at each moment", async (t) => {
  const fixture = await open(t);
  const { cinder, bytes } = fixture;
  const volume = await makeVolume(fixture);
  bytes.hold();
  const asked = { ...whole, volumeId: volume.id, name: "b", description: "d", metadata: { a: "b" }, container: "mine" };
  const made = await cinder.backups.create(member, asked);
  assert.deepEqual([made.status, made.container, made.sizeGib, made.metadata], ["creating", "mine", 2, { a: "b" }]);
  const busy = await volumeAt(fixture, volume.id);
  assert.deepEqual([busy.status, busy.previousStatus], ["backing-up", "available"]);
  assert.deepEqual(await usage(fixture), [1, 2]);
  for (const refused of [
    () => cinder.backups.create(member, { ...asked, force: true }),
    () => cinder.volumes.delete(member, volume.id, { cascade: false, force: false }),
    () => cinder.volumeActions.extend(member, volume.id, 3, true),
    () => cinder.transfers.create(member, { volumeId: volume.id, name: null, noSnapshots: false }),
    () => cinder.volumeMoves.migrate(admin, volume.id, { host: "other@vpool#vpool", lock: false }),
    () => cinder.snapshots.create(member, { volumeId: volume.id, allowInUse: true }),
    () => cinder.legacyAttach.reserve(member, volume.id),
    () => cinder.backups.delete(member, made.id),
    () => cinder.backups.restore(member, made.id, { volumeId: null, name: null }),
  ]) {
    await assert.rejects(refused, { kind: "invalid" });
  }
  bytes.letGo();
  await cinder.idle();
  const ready = await backupAt(fixture, made.id);
  assert.deepEqual([ready.status, ready.objectCount, ready.location], ["available", 5, { at: made.id }]);
  assert.equal(ready.dataTimestampMs, made.dataTimestampMs);
  assert.equal((await volumeAt(fixture, volume.id)).status, "available");
  await assert.rejects(cinder.backups.delete(stranger, made.id), { kind: "not-found" });
  await cinder.backups.delete(member, made.id);
  await cinder.idle();
  await assert.rejects(cinder.backups.show(member, made.id), { kind: "not-found" });
  assert.deepEqual(bytes.erased, [{ at: made.id }]);
  assert.deepEqual(await usage(fixture), [0, 0]);
  assert.deepEqual(fixture.troubles, []);
});

test("an incremental backup builds on the latest one, which cannot go before it", async (t) => {
  const fixture = await open(t);
  const { cinder } = fixture;
  const { id: volumeId } = await makeVolume(fixture);
  const incremental = { incremental: true };
  const none = invalid(/^Invalid backup: No backups available to do an incremental backup\.$/);
  await assert.rejects(cinder.backups.create(member, { ...whole, volumeId, incremental: true }), none);
  assert.deepEqual(await usage(fixture), [0, 0]);
  const first = await makeBackup(fixture, volumeId);
  const snapshot = await cinder.snapshots.create(member, { volumeId, allowInUse: false });
  const second = await makeBackup(fixture, volumeId, incremental);
  assert.equal(second.parentId, first.id);
  const ofSnapshot = await makeBackup(fixture, volumeId, { ...incremental, snapshotId: snapshot.id });
  assert.deepEqual([ofSnapshot.parentId, ofSnapshot.dataTimestampMs], [first.id, snapshot.createdAtMs]);
  assert.equal((await cinder.snapshots.show(member, snapshot.id)).status, "available");
  const third = await makeBackup(fixture, volumeId, incremental);
  assert.equal(third.parentId, second.id);
  assert.equal((await cinder.backups.show(member, second.id)).hasDependents, true);
  const refused = invalid(/^Invalid backup: Incremental backups exist for this backup\.$/);
  for (const { id } of [first, second]) {
    await assert.rejects(cinder.backups.delete(member, id), refused);
    await assert.rejects(cinder.backups.forceDelete(admin, id), refused);
  }
  for (const { id } of [third, second, ofSnapshot, first]) {
    await cinder.backups.delete(member, id);
    await cinder.idle();
  }
  await assert.rejects(cinder.backups.create(admin, { ...whole, volumeId, ...incremental }), none);
});

test("a parent that is not whole refuses, and a project does not build on another's", async (t) => {
  const fixture = await open(t);
  const { cinder } = fixture;
  const { id: volumeId } = await makeVolume(fixture);
  const first = await makeBackup(fixture, volumeId);
  const other = { ...admin, projectId: "other" };
  const theirs = await cinder.backups.create(other, { ...whole, volumeId });
  await cinder.idle();
  assert.equal(theirs.projectId, "other");
  assert.equal((await makeBackup(fixture, volumeId, { incremental: true })).parentId, first.id);
  await cinder.backups.resetStatus(admin, first.id, "error");
  const latest = (await cinder.backups.list(member, defaultListQuery)).items[0]!.backup;
  await cinder.backups.resetStatus(admin, latest.id, "error");
  const refusal = invalid(/^Invalid backup: The parent backup must be available for incremental backup\.$/);
  await assert.rejects(cinder.backups.create(member, { ...whole, volumeId, incremental: true }), refusal);
});

test("a backup that fails is in error and says why, to its owner too; its volume is what it was", async (t) => {
  const fixture = await open(t);
  const { cinder, bytes } = fixture;
  const volume = await makeVolume(fixture);
  bytes.failing = ["write"];
  const { id } = await cinder.backups.create(member, { ...whole, volumeId: volume.id });
  await cinder.idle();
  const failed = await backupAt(fixture, id);
  assert.equal(failed.status, "error");
  assert.match(failed.failReason!, /the store says no/);
  assert.equal((await volumeAt(fixture, volume.id)).status, "available");
  assert.deepEqual(await messagesOf(fixture, id), [
    `VOLUME_VOLUME_BACKUP_013_020 create backup:Backup driver failed to create backup. (${failed.failReason})`,
  ]);
  assert.deepEqual(await usage(fixture), [1, 2]);
  await cinder.backups.delete(member, id); // nothing is left of it: no job
  await assert.rejects(cinder.backups.show(member, id), { kind: "not-found" });
  assert.deepEqual(await usage(fixture), [0, 0]);
});

test("a restore goes to a volume that is free and large enough, or to a new one", async (t) => {
  const fixture = await open(t);
  const { cinder, bytes } = fixture;
  const source = await makeVolume(fixture);
  const { id } = await makeBackup(fixture, source.id);
  const small = await makeVolume(fixture, 1);
  await assert.rejects(
    cinder.backups.restore(member, id, { volumeId: small.id, name: null }),
    invalid(/^Invalid volume: volume size 1 is too small to restore backup of size 2\.$/),
  );
  const target = await makeVolume(fixture, 3);
  bytes.hold();
  const answer = await cinder.backups.restore(member, id, { volumeId: target.id, name: null });
  assert.deepEqual(answer, { backupId: id, volumeId: target.id, volumeName: "v" });
  assert.equal((await volumeAt(fixture, target.id)).status, "restoring-backup");
  const busy = await backupAt(fixture, id);
  assert.deepEqual([busy.status, busy.restoreVolumeId], ["restoring", target.id]);
  await assert.rejects(cinder.backups.delete(member, id), invalid(/must be available or error/));
  bytes.letGo();
  await cinder.idle();
  const filled = await volumeAt(fixture, target.id);
  assert.deepEqual([filled.status, filled.metadata["src_backup_id"], filled.jobId], ["available", id, undefined]);
  assert.equal((await backupAt(fixture, id)).status, "available");

  const made = await cinder.backups.restore(member, id, { volumeId: null, name: null });
  assert.equal(made.volumeName, `restore_backup_${id}`);
  const shown = await volumeAt(fixture, made.volumeId);
  assert.deepEqual([shown.sizeGib, shown.description], [2, "auto-created_from_restore_from_backup"]);
  await cinder.idle();
  assert.equal((await volumeAt(fixture, made.volumeId)).status, "available");
});

test("a volume is created from a backup, and is creating until it has the bytes", async (t) => {
  const fixture = await open(t);
  const { cinder, bytes } = fixture;
  const { id: backupId } = await makeBackup(fixture, (await makeVolume(fixture)).id);
  const tooSmall = /Volume size 1GB cannot be smaller than the backup size 2GB\. It must be >= backup size\.$/;
  await assert.rejects(cinder.volumes.create(member, { sizeGib: 1, backupId }), invalid(tooSmall));
  await assert.rejects(cinder.volumes.create(stranger, { backupId }), { kind: "not-found" });
  bytes.hold();
  const { volume } = await cinder.volumes.create(member, { backupId, name: "n" });
  assert.deepEqual([volume.status, volume.sizeGib], ["creating", 2]);
  bytes.letGo();
  await cinder.idle();
  assert.equal((await volumeAt(fixture, volume.id)).status, "available");
  bytes.failing = ["restore", "erase"];
  const { volume: unlucky } = await cinder.volumes.create(member, { backupId });
  await cinder.idle();
  assert.equal((await volumeAt(fixture, unlucky.id)).status, "error");
  assert.equal((await backupAt(fixture, backupId)).status, "available");
  assert.match((await messagesOf(fixture, backupId))[0]!, /^VOLUME_VOLUME_BACKUP_015_026 restore backup:Backup driver failed/);
});

test("a failed restore leaves the volume error_restoring, a failed delete error_deleting, of which force gets rid", async (t) => {
  const fixture = await open(t);
  const { cinder, bytes } = fixture;
  const volume = await makeVolume(fixture);
  const { id } = await makeBackup(fixture, volume.id);
  bytes.failing = ["restore", "erase"];
  await cinder.backups.restore(member, id, { volumeId: volume.id, name: null });
  await cinder.idle();
  assert.equal((await volumeAt(fixture, volume.id)).status, "error_restoring");
  await cinder.backups.delete(member, id);
  await cinder.idle();
  assert.equal((await backupAt(fixture, id)).status, "error_deleting");
  assert.match((await messagesOf(fixture, id)).join(), /VOLUME_VOLUME_BACKUP_014_025 delete backup:/);
  await assert.rejects(cinder.backups.delete(member, id), invalid(/must be available or error/));
  await assert.rejects(cinder.backups.forceDelete(member, id), { kind: "forbidden" });
  bytes.failing = [];
  await cinder.backups.forceDelete(admin, id);
  await cinder.idle();
  await assert.rejects(cinder.backups.show(member, id), { kind: "not-found" });
  assert.deepEqual(await usage(fixture), [0, 0]);
});

test("a forced delete ends what is under way; a deleted volume leaves its backups", async (t) => {
  const fixture = await open(t);
  const { cinder, bytes } = fixture;
  const volume = await makeVolume(fixture);
  const kept = await makeBackup(fixture, volume.id);
  bytes.hold();
  const { id } = await cinder.backups.create(member, { ...whole, volumeId: volume.id });
  const gone = cinder.backups.forceDelete(admin, id);
  await new Promise((resolve) => setTimeout(resolve, 50));
  bytes.letGo();
  await gone;
  await cinder.idle();
  await assert.rejects(cinder.backups.show(member, id), { kind: "not-found" });
  assert.equal((await volumeAt(fixture, volume.id)).status, "available");
  await cinder.volumes.delete(member, volume.id, { cascade: false, force: false });
  assert.equal((await backupAt(fixture, kept.id)).volumeId, volume.id);
  const restored = await cinder.backups.restore(member, kept.id, { volumeId: null, name: "again" });
  assert.equal(restored.volumeName, "again");
  await cinder.idle();
  assert.equal((await volumeAt(fixture, restored.volumeId)).status, "available");
});

test("bytes that two records lead to go with the second", async (t) => {
  const fixture = await open(t);
  const { cinder, bytes } = fixture;
  const { id } = await makeBackup(fixture, (await makeVolume(fixture)).id);
  const { service, url } = await cinder.backups.exportRecord(admin, id);
  const fields = JSON.parse(Buffer.from(url, "base64").toString()) as object;
  const copyId = "00000000-0000-4000-8000-000000000001";
  const copy = Buffer.from(JSON.stringify({ ...fields, id: copyId })).toString("base64");
  await cinder.backups.importRecord(admin, { service, url: copy });
  await cinder.backups.delete(member, id);
  await cinder.idle();
  assert.deepEqual(bytes.erased, []);
  await cinder.backups.delete(member, copyId);
  await cinder.idle();
  assert.deepEqual(bytes.erased, [{ at: id }]);
});

test("without a store, or with the service disabled, there is no such service", async (t) => {
  const fixture = await open(t);
  const { cinder } = fixture;
  const volume = await makeVolume(fixture);
  const { id } = await makeBackup(fixture, volume.id);
  const [row] = await cinder.topology.services(admin, { binary: "cinder-backup" });
  await cinder.topology.disableService(admin, { binary: "cinder-backup", host: row!.host }, null);
  const refused = { kind: "not-found", message: "Service cinder-backup could not be found." };
  for (const verb of [
    () => cinder.backups.create(member, { ...whole, volumeId: volume.id }),
    () => cinder.backups.restore(member, id, { volumeId: null, name: null }),
    () => cinder.backups.delete(member, id),
    () => cinder.volumes.create(member, { backupId: id }),
  ]) {
    await assert.rejects(verb, refused);
  }
  const bare = await openFixture(t, { backups: noBackupBytes });
  const { volume: theirs } = await bare.cinder.volumes.create(member, { sizeGib: 1 });
  await assert.rejects(bare.cinder.backups.create(member, { ...whole, volumeId: theirs.id }), refused);
  assert.deepEqual(await bare.cinder.topology.services(admin, { binary: "cinder-backup" }), []);
});
