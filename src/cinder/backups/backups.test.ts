// Backups as their owners and an operator see them, without bytes: records come by import.

import assert from "node:assert/strict";
import { test } from "node:test";
import { admin, member, openFixture, stranger, type CinderFixture } from "../cinder-fixture.ts";
import { defaultListQuery } from "../list-query.ts";
import { backupService } from "./backup.ts";
import type { ExportedBackup } from "./backup-verbs.ts";

const idAt = (n: number): string => `${String(n).padStart(8, "0")}-0000-4000-8000-000000000000`;

/** A record as another cloud writes it. */
function recordOf(n: number, change: Readonly<Record<string, unknown>> = {}): ExportedBackup {
  const fields = {
    id: idAt(n),
    display_name: `b${n}`,
    display_description: null,
    container: "c",
    size: 2,
    service_metadata: '{"prefix":"p"}',
    object_count: 3,
    volume_id: idAt(900),
    data_timestamp: `2026-01-0${n}T00:00:00Z`,
    created_at: `2026-01-0${n}T00:00:01Z`,
    metadata: { a: "b" },
    ...change,
  };
  return { service: backupService, url: Buffer.from(JSON.stringify(fields)).toString("base64") };
}

const invalid = (message: RegExp) => ({ kind: "invalid", message });

async function usage({ cinder }: CinderFixture): Promise<readonly (number | undefined)[]> {
  const limits = await cinder.quotas.limits(admin, "demo");
  return [limits.totalBackupsUsed, limits.totalBackupGigabytesUsed];
}

test("what is exported is imported again as it was, under another id too", async (t) => {
  const { cinder } = await openFixture(t);
  const first = await cinder.backups.importRecord(admin, recordOf(1));
  assert.equal(first.status, "available");
  assert.deepEqual(first.location, { prefix: "p" });
  assert.equal(first.createdAtMs, Date.UTC(2026, 0, 1, 0, 0, 1));
  const exported = await cinder.backups.exportRecord(admin, first.id);
  assert.equal(exported.service, backupService);
  await assert.rejects(cinder.backups.importRecord(admin, exported), invalid(/^Invalid backup: Backup already exists/));
  const fields = JSON.parse(Buffer.from(exported.url, "base64").toString()) as Record<string, unknown>;
  const url = Buffer.from(JSON.stringify({ ...fields, id: idAt(2) })).toString("base64");
  const second = await cinder.backups.importRecord(admin, { ...exported, url });
  assert.deepEqual({ ...second, id: first.id }, first);
});

test("a record that is no record is refused, one that is of no use becomes a backup in error that says why", async (t) => {
  const fixture = await openFixture(t);
  const { cinder } = fixture;
  const refused = async (record: unknown, message: RegExp): Promise<void> => {
    const url = Buffer.from(typeof record === "string" ? record : JSON.stringify(record)).toString("base64");
    await assert.rejects(cinder.backups.importRecord(admin, { service: backupService, url }), invalid(message));
  };
  await refused("{", /Can't parse backup record/);
  await refused([], /Can't parse backup record/);
  await refused({ size: 1 }, /missing an id/);
  await refused({ id: idAt(1) }, /missing size attribute/);
  await refused({ id: "../x", size: 1 }, /no UUID/);
  await refused({ id: idAt(1), size: -1 }, /no number of gigabytes/);
  assert.deepEqual(await usage(fixture), [0, 0]);

  const reasonOf = async (record: ExportedBackup): Promise<string | null> => {
    const backup = await cinder.backups.importRecord(admin, record);
    assert.equal(backup.status, "error");
    return backup.failReason;
  };
  assert.match((await reasonOf({ ...recordOf(1), service: "cinder.backup.drivers.ceph" }))!, /cannot find backup service/);
  assert.match((await reasonOf(recordOf(2, { container: undefined })))!, /missing fields \(container\)/);
  assert.match((await reasonOf(recordOf(3, { service_metadata: "volume_1/az_nova_backup" })))!, /where the data/);
  assert.match((await reasonOf(recordOf(4, { parent_id: idAt(4) })))!, /its own parent/);
  assert.deepEqual(await usage(fixture), [4, 8]);
});

test("imports count in the quota, and the limit of either kind refuses them", async (t) => {
  const fixture = await openFixture(t, { quotas: { backups: 2, backup_gigabytes: 5 } });
  const { cinder } = fixture;
  await cinder.backups.importRecord(admin, recordOf(1));
  await assert.rejects(cinder.backups.importRecord(admin, recordOf(2, { size: 4 })), {
    kind: "over-limit",
    message:
      "VolumeBackupSizeExceedsAvailableQuota: Requested backup exceeds allowed Backup gigabytes quota. " +
      "Requested 4G, quota is 5G and 2G has been consumed.",
  });
  await cinder.backups.importRecord(admin, recordOf(2));
  await assert.rejects(cinder.backups.importRecord(admin, recordOf(3, { size: 1 })), {
    kind: "over-limit",
    message: "BackupLimitExceeded: Maximum number of backups allowed (2) exceeded",
  });
  assert.deepEqual(await usage(fixture), [2, 4]);
});

test("lists filter, sort and page, show who is built upon, and keep to the project", async (t) => {
  const { cinder } = await openFixture(t);
  await cinder.backups.importRecord(admin, recordOf(1));
  await cinder.backups.importRecord(admin, recordOf(2, { parent_id: idAt(1), size: 3 }));
  await cinder.backups.importRecord(admin, recordOf(3, { volume_id: idAt(901), size: 1 }));
  const list = async (query: object, context = member): Promise<unknown[]> => {
    const { items, count } = await cinder.backups.list(context, { ...defaultListQuery, ...query });
    return [
      ...items.map(({ backup, hasDependents }) => `${backup.name}${hasDependents ? "+" : ""}`),
      ...(count === undefined ? [] : [count]),
    ];
  };
  assert.deepEqual(await list({}), ["b3", "b2", "b1+"]);
  assert.deepEqual(await list({ filters: { volume_id: [idAt(900)] } }), ["b2", "b1+"]);
  assert.deepEqual(await list({ filters: { name: ["b3"] }, withCount: true }), ["b3", 1]);
  assert.deepEqual(await list({ sort: [{ key: "size", descending: false }] }), ["b3", "b1+", "b2"]);
  assert.deepEqual(await list({ limit: 1, marker: idAt(3) }), ["b2"]);
  assert.deepEqual(await list({}, stranger), []);
  assert.deepEqual(await list({ allTenants: true }, { ...admin, projectId: "other" }), ["b3", "b2", "b1+"]);
  await assert.rejects(cinder.backups.show(stranger, idAt(1)), {
    kind: "not-found",
    message: `Backup ${idAt(1)} could not be found.`,
  });
});

test("names and metadata change, a status is set by administrators only, and only an available one is exported", async (t) => {
  const { cinder } = await openFixture(t);
  await cinder.backups.importRecord(admin, recordOf(1));
  await cinder.backups.update(member, idAt(1), { name: "n", metadata: { c: "d" } });
  const { backup } = await cinder.backups.show(member, idAt(1));
  assert.deepEqual([backup.name, backup.description, backup.metadata], ["n", null, { c: "d" }]);
  await assert.rejects(cinder.backups.resetStatus(member, idAt(1), "error"), { kind: "forbidden" });
  await assert.rejects(
    cinder.backups.resetStatus(admin, idAt(1), "creating"),
    invalid(/valid statuses are: \['available', 'error'\]/),
  );
  await cinder.backups.resetStatus(admin, idAt(1), "ERROR");
  assert.equal((await cinder.backups.show(member, idAt(1))).backup.status, "error");
  await assert.rejects(cinder.backups.exportRecord(admin, idAt(1)), invalid(/must be available and not error/));
  await assert.rejects(cinder.backups.exportRecord(member, idAt(1)), { kind: "forbidden" });
});
