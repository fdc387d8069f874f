// What is told of a backup while it is made: that it began, how far it is, and that it ended.

import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { test, type TestContext } from "node:test";
import { member, openFixture } from "../cinder-fixture.ts";
import { gibBytes } from "../model.ts";
import { outboxPrefix, parseOutboxRecord } from "../notifications/outbox-record.ts";
import { type BackupBytes, noBackupBytes } from "./backup-bytes.ts";

const steps = 4;

/** Writes a quarter in each step. */
const inQuarters: BackupBytes = {
  ...noBackupBytes,
  isConfigured: true,
  defaultContainer: "c",
  async write({ cursor }) {
    const step = Number(cursor["step"] ?? 0) + 1;
    await sleep(5);
    const done = (step * gibBytes) / steps;
    const result = { location: {}, objectCount: step, encryptionKeyId: null };
    return { cursor: { step }, done, ...(step === steps ? { result } : {}) };
  },
};

/** The events of a backup of 1 GiB, each with its status and percent. */
async function told(t: TestContext, backupTellingIntervalMs: number): Promise<readonly unknown[]> {
  const outbox = { isOn: true, isFull: () => false, dropped: () => undefined };
  const { cinder, registry } = await openFixture(t, {
    backups: inQuarters,
    settings: { backupTellingIntervalMs },
    outbox: () => Promise.resolve(outbox),
  });
  const { volume } = await cinder.volumes.create(member, { sizeGib: 1 });
  const asked = { container: null, incremental: false, force: false, snapshotId: null };
  await cinder.backups.create(member, { ...asked, volumeId: volume.id });
  await cinder.idle();
  const { entries } = await registry.range({ prefix: outboxPrefix });
  const inOrder = entries.toSorted((one, other) => one.createRevision - other.createRevision);
  const messages = inOrder.flatMap(({ key, value }) => parseOutboxRecord(key, value).messages);
  return messages
    .map(({ body }) => ({ event: body["event_type"], payload: Object(body["payload"]) as Readonly<Record<string, unknown>> }))
    .filter(({ payload }) => payload["backup_id"] !== undefined)
    .map(({ event, payload }) => [event, payload["status"], payload["backup_percent"]]);
}

const progress = (percent: number): readonly unknown[] => ["backup.createprogress", "creating", percent];
const begin = ["backup.create.start", "creating", undefined];
const end = ["backup.create.end", "available", undefined];

test("a backup is told of when it begins, once in each interval, and when it ends", async (t) => {
  const each = await told(t, 1);
  assert.deepEqual(each, [begin, progress(0), progress(25), progress(50), progress(75), progress(100), end]);
});

test("a backup that takes less than an interval is told of at its beginning and its end alone", async (t) => {
  assert.deepEqual(await told(t, 3600_000), [begin, progress(0), progress(100), end]);
});
