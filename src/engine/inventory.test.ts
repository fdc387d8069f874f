// What of a pool can be found by name and id, and what is listed.

import assert from "node:assert/strict";
import { test } from "node:test";
import { errorCodeOf } from "../common/errors.ts";
import { EngineRig, rigPool } from "./engine-rig.fixture.ts";
import { MiB } from "./limits.ts";
import type { VdiskName } from "./control.ts";

const coded = (code: string) => (error: unknown) => errorCodeOf(error) === code;

test("vDisks are listed and found by name and id, unless they are exported; snapshots by id", { timeout: 30_000 }, async () => {
  const rig = await EngineRig.open();
  try {
    const id = await rig.createDisk(4 * MiB);
    const other = await rig.createDisk(8 * MiB);
    const find = (called: VdiskName, pool = rigPool): Promise<unknown> =>
      rig.atomically((tx) => rig.control.findVdisk(tx, pool, called));
    const row = { id, name: `disk-${id}`, sizeBytes: 4 * MiB, state: "ready", exported: false };
    assert.deepEqual(await find({ name: `disk-${id}` }), row);
    assert.deepEqual(await find({ id }), row);
    for (const called of [{ name: "nothing" }, { name: "no/key part" }, { name: "" }, { id: "nothing" }]) {
      await assert.rejects(find(called), coded("vdisk_not_found"), JSON.stringify(called));
    }
    await assert.rejects(find({ id }, "elsewhere"), coded("vdisk_not_found"));

    const snapshotId = await rig.snapshot(other);
    await rig.open(other);
    await assert.rejects(find({ id: other }), coded("vdisk_busy"));
    const rows = await rig.control.vdisks(rigPool, 10);
    assert.deepEqual(rows.map(({ id: each, exported }) => `${each} ${exported}`).sort(), [`${id} false`, `${other} true`].sort());
    assert.equal((await rig.control.vdisks(rigPool, 1)).length, 1);
    assert.deepEqual(await rig.control.vdisks("elsewhere", 10), []);

    const cut = { id: snapshotId, vdiskId: other, name: "snap", sizeBytes: 8 * MiB, state: "ready" };
    assert.deepEqual(await rig.control.snapshots(rigPool, 10), [cut]);
    assert.deepEqual(await rig.atomically((tx) => rig.control.findSnapshot(tx, snapshotId)), cut);
    const unknown = rig.atomically((tx) => rig.control.findSnapshot(tx, id));
    await assert.rejects(unknown, coded("snapshot_not_found"));
    await rig.detach(other);
  } finally {
    await rig.close();
  }
});

test("a vDisk that no router has open gets another id, and its snapshots go with it", { timeout: 30_000 }, async () => {
  const rig = await EngineRig.open();
  try {
    const id = await rig.createDisk(4 * MiB);
    const other = await rig.createDisk(4 * MiB);
    const snapshotId = await rig.snapshot(id);
    const othersSnapshotId = await rig.snapshot(other);
    const rekey = (from: string, to: string): Promise<unknown> => rig.atomically((tx) => rig.control.rekeyVdisk(tx, from, to));
    await assert.rejects(rekey(id, other), coded("vdisk_exists"));
    await assert.rejects(rekey("nothing", "new"), coded("vdisk_not_found"));
    const opened = await rig.open(other);
    assert.ok(opened);
    await assert.rejects(rekey(other, "new"), coded("vdisk_busy"));
    await rig.detach(other);

    const newId = "99999999-9999-4999-8999-999999999999";
    await rekey(id, newId);
    assert.equal(await rig.control.vdisk(id), undefined);
    assert.equal((await rig.control.vdisk(newId))?.name, `disk-${id}`);
    assert.equal((await rig.control.snapshot(snapshotId))?.vdiskId, newId);
    assert.equal((await rig.control.snapshot(othersSnapshotId))?.vdiskId, other);
    const found = await rig.atomically((tx) => rig.control.findVdisk(tx, rigPool, { name: `disk-${id}` }));
    assert.equal(found.id, newId);
    await rig.atomically((tx) => rig.control.revertVdisk(tx, newId, snapshotId));
  } finally {
    await rig.close();
  }
});
