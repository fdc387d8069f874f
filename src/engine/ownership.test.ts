// Who may answer for a disk, and what a cut holds: snapshots under load, wishes while a disk is given back, revocation, a lost
// lease, and clones of what is only in the journal.

import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { setImmediate } from "node:timers/promises";
import { systemClock } from "../common/clock.ts";
import { systemRandom } from "../common/random.ts";
import { AndironError, errorCodeOf } from "../common/errors.ts";
import type { Registry } from "../registry/registry.ts";
import { openSqliteRegistry } from "../registry/sqlite/open.ts";
import type { ObjectBackend } from "./backend/backend.ts";
import { EngineRig, readRange } from "./engine-rig.fixture.ts";
import type { RigOptions } from "./engine-rig.fixture.ts";
import { clusterBytes, KiB, MiB } from "./limits.ts";
import { type ExportRecord, keys } from "./records.ts";

const noFua = { fua: false };
const timeout = { timeout: 30_000 };

async function withRig(options: RigOptions, body: (rig: EngineRig) => Promise<void>): Promise<void> {
  const rig = await EngineRig.open(options);
  try {
    await body(rig);
  } finally {
    await rig.close();
  }
}

const numbered = (number: number): Buffer => {
  const cluster = Buffer.alloc(clusterBytes);
  cluster.writeUInt32LE(number);
  return cluster;
};

/** The numbers that the first clusters of a disk hold. */
async function numbersOn(rig: EngineRig, vdiskId: string, clusters: number): Promise<number[]> {
  const session = await rig.open(vdiskId);
  const bytes = await readRange(session, 0, clusters * clusterBytes);
  return Array.from({ length: clusters }, (_, i) => bytes.readUInt32LE(i * clusterBytes));
}

test(
  "a snapshot or clone under writes has all that was acknowledged before it was asked for and nothing issued after it was ready",
  timeout,
  async () => {
    const settings = { segmentBytes: 128 * KiB, checkpointBytes: 256 * KiB, checkpointEntries: 50 };
    await withRig({ settings }, async (rig) => {
      const clusters = 32;
      const id = await rig.createDisk(4 * MiB);
      const { device } = await rig.open(id);
      const issued: number[] = Array(clusters).fill(0);
      const acknowledged: number[] = Array(clusters).fill(0);
      let stop = false;
      const writers = issued.map(async (_, cluster) => {
        while (!stop) {
          const number = ++issued[cluster]!;
          await device.write(cluster * clusterBytes, numbered(number), { fua: number % 17 === 0 });
          acknowledged[cluster] = number;
        }
      });
      const cuts: { id: string; low: number[]; high: number[]; kind: string }[] = [];
      for (let i = 0; i < 8; i++) {
        await systemClock.sleep(systemRandom.below(20));
        const low = [...acknowledged];
        const kind = i % 2 === 0 ? "snapshot" : "clone";
        const cut = kind === "snapshot" ? await rig.snapshot(id) : await rig.createDisk(4 * MiB, { kind: "vdisk", vdiskId: id });
        cuts.push({ id: cut, low, high: [...issued], kind });
      }
      stop = true;
      await Promise.all(writers);
      for (const { id: cut, low, high, kind } of cuts) {
        const disk = kind === "clone" ? cut : await rig.createDisk(4 * MiB, { kind: "snapshot", snapshotId: cut });
        const found = await numbersOn(rig, disk, clusters);
        found.forEach((number, i) =>
          assert.ok(number >= low[i]! && number <= high[i]!, `${kind}: ${low[i]} <= ${number} <= ${high[i]}`),
        );
      }
    });
  },
);

test("a snapshot asked for at any moment of a detach is taken, and exact", timeout, async () => {
  await withRig({}, async (rig) => {
    const id = await rig.createDisk(4 * MiB);
    for (let round = 1; round <= 12; round++) {
      const { device } = await rig.open(id);
      for (let i = 0; i < 8; i++) await device.write(i * clusterBytes, numbered(round), noFua);
      const detached = rig.detach(id);
      await systemClock.sleep(round);
      const snapshot = await rig.snapshot(id);
      await detached;
      assert.equal((await rig.control.snapshot(snapshot))?.state, "ready");
      const clone = await rig.createDisk(4 * MiB, { kind: "snapshot", snapshotId: snapshot });
      assert.deepEqual(await numbersOn(rig, clone, 8), Array(8).fill(round));
    }
  });
});

test("a disk that is deleted while somebody waits for its cut leaves a good clone, and no wish", timeout, async () => {
  await withRig({}, async (rig) => {
    const id = await rig.createDisk(4 * MiB);
    const { device } = await rig.open(id);
    await device.write(0, numbered(5), noFua);
    const detached = rig.detach(id);
    const clone = rig.createDisk(4 * MiB, { kind: "vdisk", vdiskId: id });
    while (
      (await rig.control.vdisk(id))!.owner === undefined &&
      (await rig.registry.range({ prefix: keys.wishes })).entries.length > 0
    )
      await systemClock.sleep(1);
    const cloneId = await clone;
    await detached;
    await rig.atomically((tx) => rig.control.deleteVdisk(tx, id));
    await rig.router.cleaners.get("pool1")!.pass();
    assert.deepEqual(await numbersOn(rig, cloneId, 1), [5]);
    assert.deepEqual((await rig.registry.range({ prefix: keys.wishes })).entries, []);
  });
});

test("a clone or snapshot that is deleted before its cut was taken stays deleted", timeout, async () => {
  await withRig({}, async (rig) => {
    const id = await rig.createDisk(4 * MiB);
    const { device } = await rig.open(id);
    await device.write(0, numbered(1), noFua);
    const [snapshot, clone] = [systemRandom.uuid(), systemRandom.uuid()];
    await rig.atomically((tx) => rig.control.createSnapshot(tx, { id: snapshot, vdiskId: id, name: "gone" }));
    const source = { kind: "vdisk", vdiskId: id } as const;
    await rig.atomically((tx) =>
      rig.control.createVdisk(tx, { id: clone, pool: "pool1", name: "gone", sizeBytes: 4 * MiB, source }),
    );
    await rig.atomically((tx) => rig.control.deleteSnapshot(tx, snapshot));
    await rig.atomically((tx) => rig.control.deleteVdisk(tx, clone));
    while ((await rig.registry.range({ prefix: keys.wishes })).entries.length > 0) await systemClock.sleep(5);
    assert.equal(await rig.control.snapshot(snapshot), undefined);
    assert.equal(await rig.control.vdisk(clone), undefined);
    await rig.detach(id);
  });
});

test("a revoked export answers what is under way and is gone only then", timeout, async () => {
  await withRig({}, async (rig) => {
    const id = await rig.createDisk(4 * MiB);
    const exportId = systemRandom.uuid();
    const { exportName } = await rig.atomically((tx) =>
      rig.control.createExport(tx, { id: exportId, vdiskId: id, readOnly: false }),
    );
    const session = await rig.router.exports.open(exportName);
    let cut = false;
    session.onRevoked(() => (cut = true));
    const writes = Array.from({ length: 64 }, (_, i) =>
      session.device.write(i * clusterBytes, numbered(i + 1), { fua: i % 7 === 0 }),
    );
    // They are queued; a turn of the loop later they are under way, and no revocation stops them.
    await setImmediate();
    await setImmediate();
    await rig.atomically((tx) => rig.control.revokeExport(tx, exportId));
    let gone = false;
    const confirmed = rig.control.exportGone(exportId).then(() => (gone = true));
    await assert.rejects(rig.router.exports.open(exportName), { code: "export_not_found" });
    await Promise.all(writes);
    while (!cut) await systemClock.sleep(1);
    assert.equal(gone, false, "not gone while the session is there");
    await session.close();
    await confirmed;
    assert.deepEqual(
      await numbersOn(rig, id, 64),
      Array.from({ length: 64 }, (_, i) => i + 1),
    );
  });
});

test(
  "an export that is made again under its id can be revoked while the log is still drained for the first",
  timeout,
  async () => {
    const gate = Promise.withResolvers<void>();
    const wrap = (inner: ObjectBackend): ObjectBackend =>
      new Proxy(inner, {
        get(backend, name: keyof ObjectBackend) {
          if (name !== "putFile") return backend[name].bind(backend);
          return (object: string, path: string): Promise<void> => gate.promise.then(() => backend.putFile(object, path));
        },
      });
    await withRig({ wrap }, async (rig) => {
      const request = { id: systemRandom.uuid(), vdiskId: await rig.createDisk(4 * MiB), readOnly: false };
      try {
        for (const number of [1, 2]) {
          const { exportName } = await rig.atomically((tx) => rig.control.createExport(tx, request));
          const session = await rig.router.exports.open(exportName);
          await session.device.write(0, numbered(number), { fua: true });
          await session.close();
          await rig.atomically((tx) => rig.control.revokeExport(tx, request.id));
          await rig.control.exportGone(request.id);
        }
      } finally {
        gate.resolve();
      }
    });
  },
);

test("an export that is made again under its id has no connection of the first, and keeps its own", timeout, async () => {
  const opening = Promise.withResolvers<void>();
  const gate = Promise.withResolvers<void>();
  let held = "";
  const wrapRegistry = (inner: Registry): Registry =>
    new Proxy(inner, {
      get(registry, name: keyof Registry) {
        if (name !== "get") return (registry[name] as () => unknown).bind(registry);
        return async (key: string): ReturnType<Registry["get"]> => {
          if (key === held) {
            held = "";
            opening.resolve();
            await gate.promise;
          }
          return registry.get(key);
        };
      },
    });
  await withRig({ wrapRegistry }, async (rig) => {
    const request = { id: systemRandom.uuid(), vdiskId: await rig.createDisk(4 * MiB), readOnly: false };
    const make = (): Promise<{ exportName: string }> => rig.atomically((tx) => rig.control.createExport(tx, request));
    const { exportName } = await make();
    held = keys.vdisk(request.vdiskId);
    const refused = assert.rejects(rig.router.exports.open(exportName), { code: "export_not_found" });
    await opening.promise;
    const first = JSON.parse((await rig.registry.get(keys.export(request.id)))!.value) as ExportRecord;
    await rig.atomically((tx) => rig.control.revokeExport(tx, request.id));
    await rig.control.exportGone(request.id);
    const { exportName: newName } = await make();
    gate.resolve();
    await refused;
    const session = await rig.router.exports.open(newName);
    // A confirmation that failed is tried again, with what it knew.
    await rig.router.exports.revoked(first);
    await session.device.write(0, numbered(1), noFua);
    await session.close();
  });
});

test("without its lease a router acknowledges nothing; with a new one all that was acknowledged is there", timeout, async () => {
  await withRig({ settings: { leaseTtlMs: 500 } }, async (rig) => {
    const id = await rig.createDisk(4 * MiB);
    const session = await rig.open(id);
    let acknowledged = 0;
    let code = "";
    const writer = (async () => {
      for (let number = 1; number <= 100_000; number++) {
        try {
          await session.device.write(0, numbered(number), { fua: number % 5 === 0 });
          acknowledged = number;
        } catch (error) {
          code = errorCodeOf(error);
          return;
        }
      }
    })();
    await systemClock.sleep(50);
    const lease = (await rig.registry.get(keys.router(rig.router.routerId)))!.leaseId!;
    // By another process: the router learns of it when it renews.
    const other = await openSqliteRegistry({ path: join(rig.directory, "registry.db"), random: systemRandom });
    await other.revokeLease(lease);
    await other.close();
    await writer;
    // Which of them depends on where the write is when the router learns of it: the sessions are cut before the log is abandoned.
    assert.ok(["lease_lost", "owner_changed", "journal_poisoned", "export_revoked"].includes(code), code);
    while ((await rig.registry.get(keys.router(rig.router.routerId))) === undefined) await systemClock.sleep(5);
    const again = await rig.reopen(id);
    const found = (await readRange(again, 0, 4)).readUInt32LE();
    assert.ok(found >= acknowledged && found <= acknowledged + 1, `${found}, acknowledged ${acknowledged}`);
    await again.device.write(0, numbered(7), { fua: true });
  });
});

test("a clone whose map names what its parent has not uploaded yet can be read right after a crash", timeout, async () => {
  let held = "";
  const gate = Promise.withResolvers<void>();
  const wrap = (inner: ObjectBackend): ObjectBackend =>
    new Proxy(inner, {
      get(backend, name: keyof ObjectBackend) {
        if (name !== "putFile") return backend[name].bind(backend);
        return async (object: string, path: string): Promise<void> => {
          if (object.startsWith(held)) await gate.promise;
          return backend.putFile(object, path);
        };
      },
    });
  await withRig({ wrap, settings: { checkpointEntries: 20 } }, async (rig) => {
    const parent = await rig.createDisk(4 * MiB);
    held = JSON.parse((await rig.registry.get(keys.vdisk(parent)))!.value).log as string;
    try {
      const { device } = await rig.open(parent);
      for (let i = 0; i < 8; i++) await device.write(i * clusterBytes, numbered(i + 1), noFua);
      const clone = await rig.createDisk(4 * MiB, { kind: "vdisk", vdiskId: parent });
      const { device: cloned } = await rig.open(clone);
      for (let i = 8; i < 64; i++) await cloned.write(i * clusterBytes, numbered(i + 1), noFua);
      await rig.detach(clone);
      await rig.crash();
      assert.deepEqual(
        await numbersOn(rig, clone, 64),
        Array.from({ length: 64 }, (_, i) => i + 1),
      );
    } finally {
      gate.resolve();
    }
  });
});

test("a registry that is away when the last session ends holds the giving back up, and ends nothing", timeout, async () => {
  let away = false;
  const wrapRegistry = (inner: Registry): Registry =>
    new Proxy(inner, {
      get(registry, name: keyof Registry) {
        if (name !== "get") return registry[name].bind(registry);
        return async (key: string) => {
          if (away) throw new AndironError("registry_unavailable", "away in a test");
          return registry.get(key);
        };
      },
    });
  await withRig({ wrapRegistry }, async (rig) => {
    const id = await rig.createDisk(4 * MiB);
    const session = await rig.open(id);
    await session.device.write(0, numbered(3), noFua);
    away = true;
    await session.close();
    await systemClock.sleep(50);
    away = false;
    await rig.detach(id);
    assert.deepEqual(await numbersOn(rig, id, 1), [3]);
  });
});
