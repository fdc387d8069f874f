// The record of a backup: what is written is read again, whatever is in it; what is no backup is refused; the index finds it by
// volume and by parent.

import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { AndironError } from "../../common/errors.ts";
import { ListedCollection, SharedTexts } from "../collection.ts";
import { backupKind, keyOf, parseRecord } from "../records.ts";
import { backupBounds, backupStatuses, checkLocation, type Backup } from "./backup.ts";

const time = fc.integer({ min: 0, max: 2 ** 45 });
const text = fc.option(fc.string());
const reference = fc.option(fc.uuid());
const anyBackup: fc.Arbitrary<Backup> = fc.record({
  v: fc.constant(1),
  id: fc.uuid(),
  projectId: fc.string(),
  userId: fc.string(),
  name: text,
  description: text,
  metadata: fc.dictionary(fc.string(), fc.string(), { maxKeys: 3 }),
  status: fc.constantFrom(...backupStatuses),
  failReason: text,
  volumeId: fc.uuid(),
  snapshotId: reference,
  parentId: reference,
  sizeGib: fc.nat(),
  dataTimestampMs: time,
  service: text,
  container: text,
  objectCount: fc.nat(),
  location: fc.option(fc.dictionary(fc.string(), fc.jsonValue(), { maxKeys: 3 })),
  host: text,
  availabilityZone: text,
  encryptionKeyId: text,
  restoreVolumeId: reference,
  createdAtMs: time,
  updatedAtMs: fc.option(time),
});

const isDamage = (error: unknown): boolean => error instanceof AndironError && error.code === "record_damaged";

function sample(change: Partial<Backup> = {}): Backup {
  return { ...fc.sample(anyBackup, { seed: 1, numRuns: 1 })[0]!, ...change };
}

test("what is written is read again, with fields of a later build", () => {
  fc.assert(
    fc.property(anyBackup, fc.option(fc.uuid(), { nil: undefined }), (backup, jobId) => {
      const written = JSON.stringify({ later: 1, ...backup, jobId });
      assert.deepEqual(JSON.parse(JSON.stringify(parseRecord(backupKind, "k", written))), JSON.parse(written));
    }),
  );
});

test("a record with any wrong field is refused as damaged, and so is one that is its own parent", () => {
  for (const field of [...Object.keys(sample()), "jobId"]) {
    for (const wrong of [undefined, [], true, { wrong: 1 }]) {
      if (field === "jobId" && wrong === undefined) continue;
      if (field === "location" && !Array.isArray(wrong) && typeof wrong === "object") continue; // any object
      const written = JSON.stringify({ ...sample(), [field]: wrong });
      assert.throws(() => parseRecord(backupKind, "k", written), isDamage, `${field} ${JSON.stringify(wrong)}`);
    }
  }
  assert.throws(() => parseRecord(backupKind, "k", JSON.stringify(sample({ id: "a", parentId: "a" }))), isDamage);
});

test("a location that does not fit is refused", () => {
  checkLocation({ prefix: "x".repeat(backupBounds.locationBytesMax - 20) });
  assert.throws(() => checkLocation({ prefix: "x".repeat(backupBounds.locationBytesMax) }), /the most is/);
});

test("backups are found by volume and by parent", () => {
  const backups = new ListedCollection(backupKind, new SharedTexts());
  const whole = sample({ id: "whole", volumeId: "v", parentId: null });
  const child = sample({ id: "child", volumeId: "v", parentId: "whole" });
  for (const [at, backup] of [whole, child].entries()) {
    backups.put(keyOf(backupKind, backup.id), JSON.stringify(backup), at + 1);
  }
  assert.equal(backups.ofVolume("v").size, 2);
  assert.deepEqual([...backups.ofText("parent_id", "whole")], [backups.get("child")]);
  backups.delete(keyOf(backupKind, "child"), 3);
  assert.equal(backups.ofText("parent_id", "whole").size, 0);
});
