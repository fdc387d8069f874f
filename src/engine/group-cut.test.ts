// Snapshots of several disks at one instant. A writer stamps the disks in order, each number on the first disk, then on the
// second, then on the third, each after the last was acknowledged: a set of snapshots that has a number on a later disk and
// not on an earlier one is of no instant.

import assert from "node:assert/strict";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { systemClock } from "../common/clock.ts";
import { systemRandom } from "../common/random.ts";
import type { SnapshotInfo } from "./control.ts";
import type { ExportSession } from "./device.ts";
import type { RigOptions } from "./engine-rig.fixture.ts";
import { EngineRig, readRange } from "./engine-rig.fixture.ts";
import { clusterBytes, KiB, MiB } from "./limits.ts";
import { cutTogether } from "./group-cut.ts";
import type { LogUse } from "./open-logs.ts";
import type { LogRecord, RouterRecord, SnapshotRecord, VdiskRecord, WishMember } from "./records.ts";
import { keys, parseRecord } from "./records.ts";

const timeout = { timeout: 60_000 };
const stampClusters = 16;
const churn = { segmentBytes: 64 * KiB, checkpointBytes: 128 * KiB, checkpointEntries: 40 };

async function withRig(options: RigOptions, body: (rig: EngineRig) => Promise<void>): Promise<void> {
  const rig = await EngineRig.open(options);
  try {
    await body(rig);
  } finally {
    await rig.close();
  }
}

async function makeDisks(rig: EngineRig, count: number): Promise<string[]> {
  return Promise.all(Array.from({ length: count }, () => rig.createDisk(2 * MiB)));
}

/** Asks for snapshots of all at one instant; their ids. */
async function ask(rig: EngineRig, vdisks: readonly string[]): Promise<string[]> {
  const requests = vdisks.map((vdiskId) => ({ id: systemRandom.uuid(), vdiskId, name: "together" }));
  await rig.atomically((tx) => rig.control.createSnapshots(tx, systemRandom.uuid(), requests));
  return requests.map((request) => request.id);
}

async function settled(rig: EngineRig, ids: readonly string[]): Promise<(SnapshotInfo | undefined)[]> {
  for (const id of ids) await rig.settled(async () => (await rig.control.snapshot(id))?.state);
  return Promise.all(ids.map((id) => rig.control.snapshot(id)));
}

const states = (infos: readonly (SnapshotInfo | undefined)[]): (string | undefined)[] => infos.map((info) => info?.state);

/** Stamps until told to stop, or until a disk fails (the router "died"). */
class Stamper {
  readonly #sessions: readonly ExportSession[];
  acknowledged = 0;
  #stopped = false;
  readonly #end: Promise<void>;

  constructor(sessions: readonly ExportSession[], from = 0) {
    this.#sessions = sessions;
    this.acknowledged = from;
    this.#end = this.#run().catch(() => undefined);
  }

  stop(): Promise<void> {
    this.#stopped = true;
    return this.#end;
  }

  async #run(): Promise<void> {
    for (let number = this.acknowledged + 1; !this.#stopped; number++) {
      for (const { device } of this.#sessions) {
        const cluster = Buffer.alloc(clusterBytes);
        cluster.writeUInt32LE(number);
        await device.write((number % stampClusters) * clusterBytes, cluster, { fua: number % 29 === 0 });
      }
      this.acknowledged = number;
    }
  }
}

/** The numbers on a disk made of the snapshot, by cluster. */
async function numbersOf(rig: EngineRig, snapshotId: string): Promise<number[]> {
  const clone = await rig.createDisk(2 * MiB, { kind: "snapshot", snapshotId });
  const bytes = await readRange(await rig.open(clone), 0, stampClusters * clusterBytes);
  await rig.detach(clone);
  return Array.from({ length: stampClusters }, (_, i) => bytes.readUInt32LE(i * clusterBytes));
}

async function highestOf(rig: EngineRig, ids: readonly string[]): Promise<number[]> {
  const highest: number[] = [];
  for (const id of ids) highest.push(Math.max(...(await numbersOf(rig, id))));
  return highest;
}

/** The highest number of a disk that one writer has stamped from the beginning. */
async function stampOf(rig: EngineRig, snapshotId: string): Promise<number> {
  const numbers = await numbersOf(rig, snapshotId);
  const highest = Math.max(...numbers);
  for (let number = Math.max(1, highest - stampClusters + 1); number <= highest; number++) {
    assert.equal(numbers[number % stampClusters], number, "the log of one disk has no gaps");
  }
  return highest;
}

async function checkInstant(rig: EngineRig, ids: readonly string[], acknowledgedBefore: number): Promise<void> {
  const stamps: number[] = [];
  for (const id of ids) stamps.push(await stampOf(rig, id));
  const [first = 0, last = 0] = [stamps[0], stamps.at(-1)];
  for (let i = 1; i < stamps.length; i++) {
    assert.ok(stamps[i]! <= stamps[i - 1]!, `a later write is in and an earlier one is not: ${stamps.join(" ")}`);
  }
  assert.ok(first - last <= 1, `one writer, one number under way: ${stamps.join(" ")}`);
  assert.ok(last >= acknowledgedBefore, `${last} is older than what was acknowledged before it was asked for`);
}

test("snapshots of disks that are written in order are of one instant", timeout, async () => {
  await withRig({ settings: churn }, async (rig) => {
    const disks = await makeDisks(rig, 3);
    const stamper = new Stamper(await Promise.all(disks.map((id) => rig.open(id))));
    const taken: { ids: string[]; before: number }[] = [];
    for (let i = 0; i < 12; i++) {
      await systemClock.sleep(systemRandom.below(25));
      const before = stamper.acknowledged;
      const ids = await ask(rig, disks);
      assert.deepEqual(states(await settled(rig, ids)), ["ready", "ready", "ready"]);
      taken.push({ ids, before });
    }
    await stamper.stop();
    assert.ok(stamper.acknowledged > 12);
    for (const { ids, before } of taken) await checkInstant(rig, ids, before);
  });
});

test("a router that dies at any moment of it leaves snapshots of one instant to the next", timeout, async () => {
  await withRig({ settings: churn }, async (rig) => {
    const disks = await makeDisks(rig, 3);
    let sessions = await Promise.all(disks.map((id) => rig.open(id)));
    let number = 0;
    for (let round = 0; round < 8; round++) {
      const stamper = new Stamper(sessions, number);
      await systemClock.sleep(5 + systemRandom.below(20));
      const before = stamper.acknowledged;
      const ids = await ask(rig, disks);
      for (let turns = systemRandom.below(12); turns > 0; turns--) await new Promise((resolve) => setImmediate(resolve));
      await rig.crash();
      await stamper.stop();
      number = stamper.acknowledged;
      assert.deepEqual(states(await settled(rig, ids)), ["ready", "ready", "ready"]);
      await checkDescending(rig, ids, before);
      sessions = await Promise.all(disks.map((id) => rig.reopen(id)));
    }
  });
});

/** After a death the number that was under way may be missing in the middle of a disk: only the order is looked at. */
async function checkDescending(rig: EngineRig, ids: readonly string[], acknowledgedBefore: number): Promise<void> {
  const stamps = await highestOf(rig, ids);
  assert.deepEqual(
    stamps,
    [...stamps].sort((a, b) => b - a),
    "a later write is in and an earlier one is not",
  );
  assert.ok(stamps.at(-1)! >= acknowledgedBefore, `${stamps.join(" ")} and ${acknowledgedBefore} acknowledged`);
}

test("disks that come and go meanwhile are at the same instant as those that stay", timeout, async () => {
  await withRig({ settings: churn }, async (rig) => {
    const disks = await makeDisks(rig, 3);
    const [first, second, third] = disks as [string, string, string];
    let number = 0;
    for (let round = 0; round < 10; round++) {
      const sessions = await Promise.all(disks.map((id) => rig.open(id)));
      const stamper = new Stamper(sessions, number);
      await systemClock.sleep(10);
      await stamper.stop();
      number = stamper.acknowledged;
      // The third is released when it is asked for, or about to be, and is written again right after.
      const detached = rig.detach(third);
      if (round % 2 === 0) await detached;
      const asked = ask(rig, disks);
      if (round % 3 === 0) await systemClock.sleep(2);
      const again = await detached.then(() => rig.open(third));
      const later = new Stamper([again], number);
      const ids = await asked;
      assert.deepEqual(states(await settled(rig, ids)), ["ready", "ready", "ready"]);
      await later.stop();
      const stamps = await highestOf(rig, ids);
      assert.deepEqual(stamps.slice(0, 2), [number, number]);
      assert.ok(stamps[2]! >= number);
      number = later.acknowledged;
      for (const id of [first, second, third]) await rig.detach(id);
    }
  });
});

test("disks that nobody has open are snapshot in the transaction that asks", timeout, async () => {
  await withRig({}, async (rig) => {
    const disks = await makeDisks(rig, 3);
    const requests = disks.map((vdiskId) => ({ id: systemRandom.uuid(), vdiskId, name: "n" }));
    assert.equal(await rig.atomically((tx) => rig.control.createSnapshots(tx, systemRandom.uuid(), requests)), "ready");
    const twice = [requests[0]!, { ...requests[1]!, id: systemRandom.uuid(), vdiskId: requests[0]!.vdiskId }];
    await assert.rejects(
      rig.atomically((tx) => rig.control.createSnapshots(tx, systemRandom.uuid(), twice)),
      /different vDisks/,
    );
    await assert.rejects(
      rig.atomically((tx) => rig.control.createSnapshots(tx, systemRandom.uuid(), [])),
      /different vDisks/,
    );
  });
});

test("a snapshot that is deleted, or a disk that is, before the instant is no reason to fail the others", timeout, async () => {
  await withRig({}, async (rig) => {
    const disks = await makeDisks(rig, 3);
    await rig.open(disks[0]!);
    const requests = disks.map((vdiskId) => ({ id: systemRandom.uuid(), vdiskId, name: "n" }));
    await rig.atomically(async (tx) => {
      await rig.control.createSnapshots(tx, systemRandom.uuid(), requests);
      await rig.control.deleteSnapshot(tx, requests[1]!.id);
      await rig.control.deleteVdisk(tx, disks[2]!);
    });
    const ids = requests.map((request) => request.id);
    assert.deepEqual(states(await settled(rig, ids)), ["ready", undefined, "ready"]);
    assert.deepEqual((await rig.registry.range({ prefix: keys.wishes })).entries, []);
  });
});

test("a disk that was opened, written and given back after the instant is not taken as it is then", timeout, async () => {
  await withRig({}, async (rig) => {
    const [open, resting] = (await makeDisks(rig, 2)) as [string, string];
    await (await rig.open(open)).device.write(0, Buffer.alloc(clusterBytes, 1), { fua: false });
    const wishes: WishMember[] = [];
    // Without wishes, so that the router does not carry them out by itself.
    for (const vdisk of [resting, open]) {
      const log = await changeLog(rig, vdisk, (same) => same);
      const target = systemRandom.uuid();
      const facts = { v: 1, id: target, vdisk, pool: "pool1", log, name: "n", sizeBytes: 2 * MiB } as const;
      const record: SnapshotRecord = { ...facts, state: "pending", view: null };
      await rig.atomically(async (tx) => tx.put(keys.snapshot(target), JSON.stringify(record)));
      wishes.push({ log, target });
    }
    let interferes = true;
    // The resting disk's record was read by then.
    const use = async (log: string): Promise<LogUse> => {
      if (!interferes) return rig.router.openLogs.use(log);
      await (await rig.open(resting)).device.write(0, Buffer.alloc(clusterBytes, 2), { fua: false });
      await rig.detach(resting);
      return rig.router.openLogs.use(log);
    };
    const { registry, router } = rig;
    const parts = { registry, clock: systemClock, random: systemRandom, router: router.routerId, openLogs: { use } };
    assert.equal(await cutTogether(parts, wishes), "again");
    assert.equal((await rig.control.snapshot(wishes[0]!.target))?.state, "pending");
    interferes = false;
    assert.equal(await cutTogether(parts, wishes), "done");
    assert.equal((await rig.control.snapshot(wishes[0]!.target))?.state, "ready");
  });
});

async function changeLog(rig: EngineRig, vdiskId: string, change: (log: LogRecord) => LogRecord): Promise<string> {
  return rig.atomically(async (tx) => {
    const vdisk = parseRecord<VdiskRecord>("", (await tx.get(keys.vdisk(vdiskId)))!);
    const log = parseRecord<LogRecord>("", (await tx.get(keys.log(vdisk.log)))!);
    tx.put(keys.log(log.id), JSON.stringify(change(log)));
    return log.id;
  });
}

test("a member that is damaged fails all of them, with the reason", timeout, async () => {
  await withRig({}, async (rig) => {
    const disks = await makeDisks(rig, 2);
    for (const id of disks) await (await rig.open(id)).device.write(0, Buffer.alloc(clusterBytes, 7), { fua: true });
    const log = await changeLog(rig, disks[1]!, (same) => same);
    await rig.crash(() => rm(join(rig.directory, "journal", log), { recursive: true }));
    const infos = await settled(rig, await ask(rig, disks));
    assert.deepEqual(states(infos), ["error", "error"]);
    for (const info of infos) assert.match(info?.message ?? "", new RegExp(log));
    assert.deepEqual((await rig.registry.range({ prefix: keys.wishes })).entries, []);
  });
});

test("disks of several living routers are refused, and those of one other router are left to it", timeout, async () => {
  await withRig({}, async (rig) => {
    const disks = await makeDisks(rig, 2);
    const other: RouterRecord = {
      v: 1,
      id: "other",
      host: "elsewhere",
      pools: [],
      nbdHosts: [],
      nbdPort: 1,
      startedAtMs: 0,
      reportedAtMs: 0,
    };
    await rig.atomically(async (tx) => tx.put(keys.router("other"), JSON.stringify(other)));
    await changeLog(rig, disks[1]!, (log) => ({ ...log, owner: "other" }));
    const theirs = await ask(rig, disks);
    await systemClock.sleep(300);
    assert.deepEqual(states(await Promise.all(theirs.map((id) => rig.control.snapshot(id)))), ["pending", "pending"]);
    await rig.open(disks[0]!);
    const both = await settled(rig, await ask(rig, disks));
    assert.deepEqual(states(both), ["error", "error"]);
    assert.match(both[0]?.message ?? "", /several storage routers/);
    await changeLog(rig, disks[1]!, (log) => ({ ...log, owner: null }));
    await rig.atomically(async (tx) => tx.delete(keys.router("other")));
    await settled(rig, theirs);
  });
});
