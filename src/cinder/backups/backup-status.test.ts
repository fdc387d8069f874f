// Which verb of a backup is allowed when, and on which backup an incremental one builds.

import assert from "node:assert/strict";
import { test } from "node:test";
import type { Snapshot, Volume } from "../model.ts";
import type { Backup } from "./backup.ts";
import * as states from "./backup-status.ts";

const volume = (change: Partial<Volume>): Volume => ({ id: "v", status: "available", sizeGib: 2, ...change }) as Volume;
const snapshot = (change: Partial<Snapshot>): Snapshot =>
  ({ id: "s", volumeId: "v", status: "available", ...change }) as Snapshot;
const backup = (change: Partial<Backup>): Backup => ({ id: "b", status: "available", sizeGib: 2, ...change }) as Backup;

test("a volume is backed up when it is free, or in use by force; a snapshot of it when that one is", () => {
  states.checkBackupSource(volume({}), undefined, false);
  states.checkBackupSource(volume({ status: "in-use" }), undefined, true);
  states.checkBackupSource(volume({ status: "in-use" }), snapshot({}), false);
  const refused = (refusal: () => void, message: RegExp): void => assert.throws(refusal, { kind: "invalid", message });
  refused(() => states.checkBackupSource(volume({ status: "in-use" }), undefined, false), /must use the force flag/);
  refused(() => states.checkBackupSource(volume({ status: "backing-up" }), undefined, true), /current status is "backing-up"/);
  refused(() => states.checkBackupSource(volume({ move: { host: "h" } }), undefined, true), /is being migrated/);
  refused(() => states.checkBackupSource(volume({}), snapshot({ status: "error" }), true), /current status is "error"/);
  refused(() => states.checkBackupSource(volume({ encryptionKeyId: "k" }), undefined, true), /is encrypted/);
  refused(() => states.checkBackupSource(volume({}), snapshot({ volumeId: "w" }), true), /does not match/);
});

test("an incremental backup builds on the latest data, of a snapshot on the latest before it, whatever the others are", () => {
  const at = (id: string, dataTimestampMs: number, status: Backup["status"] = "available"): Backup =>
    backup({ id, dataTimestampMs, status });
  assert.equal(states.chooseParent([at("a", 1), at("b", 3), at("c", 2)], undefined).id, "b");
  assert.equal(states.chooseParent([at("a", 1), at("b", 3)], snapshot({ createdAtMs: 2 })).id, "a");
  assert.throws(() => states.chooseParent([at("a", 1), at("b", 3, "creating")], undefined), /parent backup must be available/);
  assert.equal(states.chooseParent([at("a", 1), at("b", 3, "error")], snapshot({ createdAtMs: 2 })).id, "a");
  for (const others of [[], [at("b", 3)]]) {
    assert.throws(() => states.chooseParent(others, snapshot({ createdAtMs: 2 })), /No backups available/);
  }
});

test("a backup is deleted at rest or by force, restored when it is whole and fits, and never below what builds on it", () => {
  for (const status of ["available", "error"] as const) states.checkBackupDelete(backup({ status }), false);
  states.checkBackupDelete(backup({ status: "error_deleting" }), true);
  assert.throws(() => states.checkBackupDelete(backup({ status: "restoring" }), false), /must be available or error/);
  assert.throws(() => states.checkNoDependents(1), /Incremental backups exist/);
  states.checkRestorable(backup({}));
  assert.throws(() => states.checkRestorable(backup({ status: "error" })), /Backup status must be available/);
  states.checkRestoreTarget(volume({}), backup({}));
  assert.throws(() => states.checkRestoreTarget(volume({ encryptionKeyId: "k" }), backup({})), /is encrypted/);
  assert.throws(() => states.checkRestoreTarget(volume({ status: "in-use" }), backup({})), /must be available/);
  assert.throws(
    () => states.checkRestoreTarget(volume({ sizeGib: 1 }), backup({})),
    /volume size 1 is too small to restore backup of size 2\./,
  );
});
