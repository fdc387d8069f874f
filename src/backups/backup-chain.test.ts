// Backups of a disk of a real engine, in a directory: random writes and backups against plain arrays, claims that die, restores
// of every backup of a chain, erasure with nothing left, how much is read and written, damage, and stores that fail.

import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import fc from "fast-check";
import { AndironError } from "../common/errors.ts";
import { systemRandom } from "../common/random.ts";
import { RamDevice } from "../nbd/ram-device.test.ts";
import type { ObjectStore } from "../object-store/object-store.ts";
import { BackupRig, hasty, KiB, type MadeBackup, MiB, patient, type RigOptions } from "./backup-rig.test.ts";
import { cursorOf } from "./backup-writer.ts";
import { EncryptionKeys } from "./encryption-keys.ts";
import { claimedPlace } from "./place.ts";

const cluster = 4 * KiB;
const keys = EncryptionKeys.parse(`k1 ${"5a".repeat(32)}`, "/keys");

async function openRig(t: TestContext, sizeBytes: number, options: RigOptions = {}): Promise<BackupRig> {
  const rig = await BackupRig.open(sizeBytes, options);
  t.after(() => rig.close());
  return rig;
}

const act = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({ do: fc.constant("write" as const), at: fc.nat(500), clusters: fc.integer({ min: 1, max: 60 }) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant("zero" as const), at: fc.nat(500), clusters: fc.integer({ min: 1, max: 200 }) }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("grow" as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("revert" as const), which: fc.nat() }) },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant("backup" as const),
      isFull: fc.boolean(),
      withoutBase: fc.boolean(),
      deaths: fc.array(fc.boolean(), { maxLength: 4 }),
      yields: fc.boolean(),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("delete" as const), yields: fc.boolean() }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("restore" as const), which: fc.nat(), yields: fc.boolean() }) },
);

test("any backup of any chain restores to its instant, and when all are erased nothing is left", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(act, { minLength: 5, maxLength: 14 }), fc.boolean(), async (acts, isEncrypted) => {
      const rig = await BackupRig.open(2 * MiB, { keys: isEncrypted ? keys : undefined });
      try {
        const chain: MadeBackup[] = [];
        for (const [step, one] of acts.entries()) {
          const offset = "at" in one ? (one.at % (rig.bytes.length / cluster)) * cluster : 0;
          const length = "at" in one ? Math.min(one.clusters * cluster, rig.bytes.length - offset) : 0;
          if (one.do === "write") await rig.write(offset, Buffer.alloc(length, step + 1));
          if (one.do === "zero") await rig.zero(offset, length);
          if (one.do === "grow") await rig.grow(256 * KiB);
          if (one.do === "revert" && chain.length > 0) {
            const to = chain[one.which % chain.length]!;
            if (to.bytes.length === rig.bytes.length) await rig.revert(to);
          }
          if (one.do === "backup") {
            const parent = one.isFull ? undefined : chain.at(-1);
            chain.push(await rig.backup({ ...one, ...(parent === undefined ? {} : { parent }) }));
          }
          if (one.do === "delete" && chain.length > 0) await rig.erase(chain.pop()!.location, one.yields);
          if (one.do === "restore" && chain.length > 0) {
            await rig.checkRestore(chain.slice(0, 1 + (one.which % chain.length)), one.yields);
          }
        }
        for (; chain.length > 0; await rig.erase(chain.pop()!.location)) await rig.checkRestore(chain);
        assert.deepEqual(await rig.names(), []);
      } finally {
        await rig.close();
      }
    }),
    { numRuns: 12, endOnFailure: true },
  );
});

/** Counts what is read of snapshots and what is put. */
function counted(rig: BackupRig): {
  readonly read: () => number;
  readonly put: () => number;
  readonly writer: BackupRig["writer"];
} {
  let read = 0;
  let put = 0;
  const open = rig.engine.router.openSnapshot.bind(rig.engine.router);
  rig.engine.router.openSnapshot = async (id, sinceId) => {
    const reader = await open(id, sinceId);
    return {
      sizeBytes: reader.sizeBytes,
      changes: (from, most) => reader.changes(from, most),
      read: (offset, target) => {
        read += target.length;
        return reader.read(offset, target);
      },
    };
  };
  const store = rig.store.put.bind(rig.store);
  rig.store.put = (name, bytes, options) => {
    put += bytes.length;
    return store(name, bytes, options);
  };
  return { read: () => read, put: () => put, writer: () => rig.writer() };
}

test("an incremental backup reads and writes what changed, and no more", async (t) => {
  const rig = await openRig(t, 64 * MiB, { chunkBytes: MiB });
  const count = counted(rig);
  await rig.write(0, systemRandom.bytes(24 * MiB));
  const first = await rig.backup();
  assert.equal(count.read(), 24 * MiB);
  await rig.write(5 * MiB, systemRandom.bytes(2 * MiB));
  await rig.zero(20 * MiB, MiB);
  const before = { read: count.read(), put: count.put() };
  const second = await rig.backup({ parent: first });
  assert.equal(count.read() - before.read, 2 * MiB);
  assert.ok(count.put() - before.put < 2 * MiB + 8 * KiB, `${count.put() - before.put} bytes were put`);
  const third = await rig.backup({ parent: second });
  assert.equal(third.location.chunkCount, 0);
  await rig.checkRestore([first, second, third]);
});

test("a base that is gone makes an incremental backup whole: it restores without those before it", async (t) => {
  const rig = await openRig(t, 4 * MiB);
  await rig.write(0, Buffer.alloc(MiB, 1));
  const first = await rig.backup();
  await rig.write(MiB, Buffer.alloc(MiB, 2));
  const second = await rig.backup({ parent: first, withoutBase: true });
  await rig.erase(first.location);
  await rig.checkRestore([first, second]);
  assert.deepEqual((await rig.checkRestore([first, second], true)).facts, { name: "n" });
});

test("a chain that is none is refused: a stranger below, another head, a part that is missing, a disk too small", async (t) => {
  const rig = await openRig(t, 4 * MiB);
  await rig.write(0, Buffer.alloc(MiB, 1));
  const first = await rig.backup();
  const stranger = await rig.backup();
  await rig.write(MiB, Buffer.alloc(MiB, 2));
  const second = await rig.backup({ parent: first });
  const restore = (chain: readonly { id: string; location: unknown }[], sizeBytes = 4 * MiB): Promise<unknown> =>
    rig.restorer(new RamDevice(sizeBytes)).step({ chain, exportName: "e", cursor: {} }, patient);
  const damaged = { code: "backup_damaged" };
  await assert.rejects(restore([stranger, second]), damaged);
  await assert.rejects(restore([second]), damaged);
  await assert.rejects(restore([{ id: first.id, location: stranger.location }, second]), damaged);
  await assert.rejects(restore([{ id: first.id, location: null }, second]), damaged);
  await assert.rejects(restore([first, second], 2 * MiB), { code: "invalid_request" });
  await assert.rejects(
    rig
      .restorer(new RamDevice(4 * MiB))
      .step({ chain: [stranger], exportName: "e", cursor: { backupId: first.id, chunks: 1 } }, patient),
    damaged,
  );
  for (const name of (await rig.names()).filter((each) => each.includes(first.id) && each.includes("00000001"))) {
    await rig.store.delete(name);
  }
  await assert.rejects(restore([first, second]), /is missing/);
});

test("no damaged, exchanged or foreign object reaches the disk", async (t) => {
  const rig = await openRig(t, 2 * MiB, { keys });
  await rig.write(0, systemRandom.bytes(MiB));
  const backup = await rig.backup();
  const names = (await rig.names()).filter((name) => !name.includes("head"));
  const [one, two] = [names[0]!, names[1]!];
  const [right, other] = [await rig.store.get(one), await rig.store.get(two)];
  const changed = Buffer.from(right);
  changed[200]! ^= 1;
  for (const wrong of [changed, other, Buffer.alloc(10), right.subarray(0, 90)]) {
    await rig.store.put(one, wrong);
    const device = new RamDevice(2 * MiB);
    const restoring = rig.restorer(device).step({ chain: [backup], exportName: "e", cursor: {} }, patient);
    await assert.rejects(restoring, { code: "backup_damaged" });
    assert.ok(!device.calls.some((call) => call.startsWith("write 0 ")));
  }
  await rig.store.put(one, right);
  const keyless = rig.restorer(new RamDevice(2 * MiB), EncryptionKeys.parse(`k9 ${"00".repeat(32)}`, "/keys"));
  await assert.rejects(keyless.step({ chain: [backup], exportName: "e", cursor: {} }, patient), { code: "backup_key_missing" });
  await rig.checkRestore([backup]);
});

test("a store that fails: the step rejects, the next claim goes on, and what both left is known by name", async (t) => {
  let failing = 0;
  const wrap = (store: ObjectStore): ObjectStore =>
    new Proxy(store, {
      get(target, property) {
        const value: unknown = Reflect.get(target, property);
        if (typeof value !== "function") return value;
        const call = (value as (...args: unknown[]) => Promise<unknown>).bind(target);
        if (property !== "put" && property !== "get") return call;
        return async (...args: unknown[]) => {
          if (failing > 0 && --failing === 0) throw new AndironError("backend_unavailable", "away");
          return call(...args);
        };
      },
    });
  const rig = await openRig(t, 4 * MiB, { wrap });
  await rig.write(0, systemRandom.bytes(3 * MiB));
  const task = rig.task(await rig.engine.snapshot(rig.disk), null, null);
  for (let generation = 1; generation <= 3; generation++) {
    failing = 4 * generation;
    await assert.rejects(rig.writer().step({ ...task, generation }, patient), { code: "backend_unavailable" });
  }
  failing = 0;
  const left = await rig.names();
  assert.equal(left.length, 3 + 7 + 11);
  await rig.erase(cursorOf({ ...task, generation: 3 }).place);
  assert.deepEqual(await rig.names(), []);
  const { location } = (await rig.writeAll({ ...task, generation: 4 })).result!;
  const device = new RamDevice(4 * MiB);
  const chain = [{ id: task.backupId, location }];
  failing = 5;
  await assert.rejects(rig.restorer(device).step({ chain, exportName: "e", cursor: {} }, patient), {
    code: "backend_unavailable",
  });
  assert.equal(device.active, 0);
  failing = 0;
  await rig.restorer(device).step({ chain, exportName: "e", cursor: {} }, patient);
  assert.ok(device.bytes.equals(rig.bytes));
});

test("a claim that may be lost puts nothing more; a step that is broken off ends", async (t) => {
  const rig = await openRig(t, 2 * MiB);
  await rig.write(0, systemRandom.bytes(MiB));
  const task = rig.task(await rig.engine.snapshot(rig.disk), null, null);
  await assert.rejects(rig.writer().step(task, { ...patient, mayAct: () => false }), { code: "lease_lost" });
  await assert.rejects(rig.writer().step(task, { ...patient, signal: AbortSignal.abort(new Error("broken off")) }), /broken off/);
  assert.deepEqual(await rig.names(), []);
  const written = await rig.writer().step(task, hasty);
  assert.equal(written.result, undefined);
  assert.deepEqual(claimedPlace(written.cursor.place, 1), written.cursor.place);
  await assert.rejects(rig.writer().step({ ...task, cursor: { place: { v: 9 } } }, patient), { code: "backup_damaged" });
});
