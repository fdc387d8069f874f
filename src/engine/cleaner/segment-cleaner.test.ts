// What the cleaner looks at and what it leaves: counts of segments, and bytes on the backend.

import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { systemClock } from "../../common/clock.ts";
import { seededRandom } from "../../common/random.ts";
import type { Registry } from "../../registry/registry.ts";
import type { ObjectBackend, ReadOptions } from "../backend/backend.ts";
import type { ExportSession } from "../device.ts";
import { EngineRig, type RigOptions, readRange, rigPool } from "../engine-rig.fixture.ts";
import { clusterBytes, KiB, MiB } from "../limits.ts";
import { keys } from "../records.ts";
import type { CleanerPass } from "./cleaner.ts";

async function openRig(
  t: TestContext,
  settings: RigOptions["settings"],
  wrap: (backend: ObjectBackend) => ObjectBackend = (backend) => backend,
  wrapRegistry: (registry: Registry) => Registry = (registry) => registry,
): Promise<EngineRig> {
  const rig = await EngineRig.open({ settings: { cleanerDeadShare: 0.5, ...settings }, wrap, wrapRegistry });
  t.after(() => rig.close());
  return rig;
}

const clean = (rig: EngineRig): Promise<CleanerPass> => rig.router.cleaners.get(rigPool)!.pass();

/** Everything written is in a checkpoint then. */
async function checkpoint(rig: EngineRig, disk: string, session: ExportSession): Promise<ExportSession> {
  await session.close();
  await rig.detach(disk);
  return rig.open(disk);
}

/** A few at a time: what arrives together is in one segment. */
async function writeAll(session: ExportSession, clusters: readonly number[], byte: number): Promise<void> {
  const data = Buffer.alloc(clusterBytes, byte);
  const together = 4;
  for (let at = 0; at < clusters.length; at += together) {
    const some = clusters.slice(at, at + together);
    await Promise.all(some.map((cluster) => session.device.write(cluster * clusterBytes, data, { fua: false })));
  }
}

const clustersOfLeaf = 256;

const range = (count: number): number[] => Array.from({ length: count }, (_, i) => i);

/** 128 clusters, and every second one of them again: half of each segment is dead. */
async function writeHalfOver(session: ExportSession): Promise<void> {
  await writeAll(session, range(128), 1);
  const even = range(128).filter((cluster) => cluster % 2 === 0);
  await writeAll(session, even, 2);
}

async function storedBytes(rig: EngineRig): Promise<number> {
  let bytes = 0;
  for (const name of await rig.backend.list("")) bytes += (await rig.backend.size(name)) ?? 0;
  return bytes;
}

test("what is written over at random again and again takes a bounded multiple of its bytes", async (t) => {
  const rig = await openRig(t, { segmentBytes: 128 * KiB });
  const clusters = 512;
  const disk = await rig.createDisk(clusters * clusterBytes);
  let session = await rig.open(disk);
  const random = seededRandom(7);
  await writeAll(session, range(clusters), 1);
  for (let round = 0; round < 6; round++) {
    const some = range(clusters).map(() => random.below(clusters));
    await writeAll(session, some, round);
    session = await checkpoint(rig, disk, session);
    // The second pass deletes what the first one has retired.
    for (let pass = 0; pass < 3; pass++) await clean(rig);
  }
  const ratio = (await storedBytes(rig)) / (clusters * clusterBytes);
  assert.ok(ratio < 1.8, `${ratio} bytes on the backend for each that lives`);
});

test("segments that are new are not looked at before enough of them has died", async (t) => {
  const rig = await openRig(t, { segmentBytes: 128 * KiB });
  const clusters = 512;
  const disk = await rig.createDisk(clusters * clusterBytes);
  let session = await rig.open(disk);
  await writeAll(session, range(clusters), 1);
  session = await checkpoint(rig, disk, session);
  assert.equal((await clean(rig)).examined, 0);
  await writeAll(session, range(clusters / 2), 2);
  session = await checkpoint(rig, disk, session);
  const pass = await clean(rig);
  assert.ok(pass.examined > 0 && pass.dropped > 0, JSON.stringify(pass));
  assert.equal((await clean(rig)).examined, 0);
  assert.equal((await readRange(session, 0, 1))[0], 2);
});

/** Tells of each read of a map object. */
const onMapReads =
  (read: () => void) =>
  (inner: ObjectBackend): ObjectBackend =>
    new Proxy(inner, {
      get(target, name: keyof ObjectBackend) {
        if (name !== "read") return target[name].bind(target);
        return (object: string, offset: number, into: Buffer, options?: ReadOptions): Promise<void> => {
          if (object.includes("/m-")) read();
          return target.read(object, offset, into, options);
        };
      },
    });

test("after a restart a disk written at random is looked at with fewer reads of its map than it has clusters", async (t) => {
  let reads = 0;
  const rig = await openRig(
    t,
    { segmentBytes: MiB },
    onMapReads(() => reads++),
  );
  const leaves = 2000;
  const disk = await rig.createDisk(leaves * MiB);
  const random = seededRandom(3);
  const session = await rig.open(disk);
  const clusters = range(leaves).map((leaf) => leaf * clustersOfLeaf + random.below(clustersOfLeaf));
  for (let at = leaves - 1; at > 0; at--) {
    const other = random.below(at + 1);
    [clusters[at], clusters[other]] = [clusters[other]!, clusters[at]!];
  }
  await writeAll(session, clusters, 1);
  await checkpoint(rig, disk, session);
  await rig.crash();
  reads = 0;
  const pass = await clean(rig);
  assert.ok(pass.examined >= 7 && pass.compacted + pass.dropped === 0, JSON.stringify(pass));
  assert.ok(reads < leaves / 5, `${reads} reads of the map for ${leaves} clusters`);
});

test("records that lie in two leaves each are looked at with few reads of the map, too", async (t) => {
  let reads = 0;
  const rig = await openRig(
    t,
    { segmentBytes: 32 * MiB },
    onMapReads(() => reads++),
  );
  const leaves = 600;
  const disk = await rig.createDisk((leaves + 1) * MiB);
  const session = await rig.open(disk);
  const data = Buffer.alloc(8 * clusterBytes, 1);
  for (let leaf = 0; leaf < leaves; leaf++)
    await session.device.write(((leaf + 1) * clustersOfLeaf - 4) * clusterBytes, data, { fua: false });
  await checkpoint(rig, disk, session);
  await rig.crash();
  reads = 0;
  const pass = await clean(rig);
  assert.ok(pass.examined > 0 && pass.compacted + pass.dropped === 0, JSON.stringify(pass));
  assert.ok(reads < leaves / 10, `${reads} reads of the map for ${leaves} records`);
});

test("a log of more segments than one pass looks at is looked at up to its end after a trim", async (t) => {
  const rig = await openRig(t, { segmentBytes: 32 * KiB });
  const clusters = 3000;
  const trimmed = 200;
  const disk = await rig.createDisk(16 * MiB);
  let session = await rig.open(disk);
  await writeAll(session, range(clusters), 1);
  session = await checkpoint(rig, disk, session);
  await clean(rig);
  await session.device.trim((clusters - trimmed) * clusterBytes, trimmed * clusterBytes, { fua: false });
  await checkpoint(rig, disk, session);
  const passes: CleanerPass[] = [];
  while (passes.length < 10 && passes.at(-1)?.examined !== 0) passes.push({ ...(await clean(rig)) });
  const sum = (count: (pass: CleanerPass) => number): number => passes.reduce((total, pass) => total + count(pass), 0);
  assert.equal(passes.at(-1)?.examined, 0);
  assert.ok(passes.length > 2 && sum((pass) => pass.examined) < clusters / 3, "each segment is looked at once");
  assert.ok(sum((pass) => pass.dropped) >= trimmed / 10, "what was trimmed is dropped");
});

test("what came after the last snapshot goes with the disk, although none of it was written over", async (t) => {
  const rig = await openRig(t, { segmentBytes: 128 * KiB });
  const disk = await rig.createDisk(4 * MiB);
  const session = await rig.open(disk);
  await writeAll(session, range(64), 1);
  await rig.snapshot(disk);
  await writeAll(
    session,
    range(512).map((cluster) => cluster + 64),
    2,
  );
  await session.close();
  await rig.detach(disk);
  await clean(rig);
  const before = await storedBytes(rig);
  await rig.atomically((tx) => rig.control.deleteVdisk(tx, disk));
  for (let pass = 0; pass < 3; pass++) await clean(rig);
  assert.ok((await storedBytes(rig)) < before / 3, `${await storedBytes(rig)} of ${before} bytes are left`);
});

test("a log whose segments take long to be looked at keeps no other one waiting", async (t) => {
  const gate = Promise.withResolvers<void>();
  let held = "";
  const wrap = (inner: ObjectBackend): ObjectBackend =>
    new Proxy(inner, {
      get(backend, name: keyof ObjectBackend) {
        if (name !== "size") return backend[name].bind(backend);
        return async (object: string) => {
          if (held !== "" && object.startsWith(held)) await gate.promise;
          return backend.size(object);
        };
      },
    });
  const rig = await openRig(t, { segmentBytes: 128 * KiB }, wrap);
  const logs: string[] = [];
  for (let i = 0; i < 2; i++) {
    const disk = await rig.createDisk(MiB);
    const session = await rig.open(disk);
    for (const byte of [1, 2]) await writeAll(session, range(128), byte);
    await checkpoint(rig, disk, session);
    logs.push((JSON.parse((await rig.registry.get(keys.vdisk(disk)))!.value) as { readonly log: string }).log);
  }
  const [first, second] = logs.toSorted() as [string, string];
  held = first;
  const passing = clean(rig);
  const isRetired = async (): Promise<boolean> =>
    (await rig.registry.range({ prefix: keys.retiredAll })).entries.some(({ value }) => value.includes(second));
  try {
    while (!(await isRetired())) await systemClock.sleep(5);
  } finally {
    gate.resolve();
  }
  assert.ok((await passing).dropped > 4);
});

test("of all the logs that are cleaned one segment is compacted at a time", async (t) => {
  let [underWay, most, puts] = [0, 0, 0];
  const wrap = (inner: ObjectBackend): ObjectBackend =>
    new Proxy(inner, {
      get(backend, name: keyof ObjectBackend) {
        if (name !== "put") return backend[name].bind(backend);
        return async (object: string, parts: readonly Buffer[]) => {
          if (!object.includes("/s-")) return backend.put(object, parts);
          most = Math.max(most, ++underWay);
          puts++;
          await systemClock.sleep(5);
          await backend.put(object, parts);
          underWay--;
        };
      },
    });
  const rig = await openRig(t, { segmentBytes: 128 * KiB }, wrap);
  for (let i = 0; i < 3; i++) {
    const disk = await rig.createDisk(MiB);
    const session = await rig.open(disk);
    await writeHalfOver(session);
    await checkpoint(rig, disk, session);
  }
  await clean(rig);
  assert.ok(puts >= 6, `${puts} segments were compacted`);
  assert.equal(most, 1);
});

test("what is cleaned together shares transactions, and no pass asks for segments that it does not look at", async (t) => {
  const asked = new Map<string, number>();
  const wrapRegistry = (inner: Registry): Registry =>
    new Proxy(inner, {
      get(registry, name) {
        const value: unknown = Reflect.get(registry, name);
        if (typeof value !== "function") return value;
        return (...args: readonly unknown[]): unknown => {
          const verb = name === "get" && String(args[0]).startsWith("engine/relocation/") ? "look" : String(name);
          asked.set(verb, (asked.get(verb) ?? 0) + 1);
          return value.apply(registry, args) as unknown;
        };
      },
    });
  const rig = await openRig(t, { segmentBytes: 32 * KiB }, undefined, wrapRegistry);
  const disk = await rig.createDisk(4 * MiB);
  const session = await rig.open(disk);
  for (const byte of [1, 2]) await writeAll(session, range(512), byte);
  await checkpoint(rig, disk, session);
  asked.clear();
  const { dropped } = await clean(rig);
  assert.ok(dropped > 60, `${dropped} segments were dropped`);
  const transactions = asked.get("transact") ?? 0;
  assert.ok(transactions < dropped / 3, `${transactions} transactions for ${dropped} segments`);
  while ((await clean(rig)).examined > 0);
  await rig.snapshot(disk); // of which the cleaner asks what it reaches
  asked.clear();
  assert.equal((await clean(rig)).examined, 0);
  assert.equal(asked.get("look"), undefined);
});

test("a segment that was compacted before the start is looked at as it is now, not as its older object says", async (t) => {
  const rig = await openRig(t, { segmentBytes: 128 * KiB, retiredGraceMs: 1e9 });
  const disk = await rig.createDisk(MiB);
  let session = await rig.open(disk);
  await writeHalfOver(session);
  session = await checkpoint(rig, disk, session);
  assert.ok((await clean(rig)).compacted > 2);
  await session.close();
  await rig.detach(disk);
  await rig.crash();
  const before = await rig.backend.list("");
  assert.ok((await clean(rig)).examined > 2);
  assert.deepEqual(await rig.backend.list(""), before, "nothing is written that would not be used");
  session = await rig.open(disk);
  assert.deepEqual(
    [...(await readRange(session, 0, 2 * clusterBytes))].filter((_, i) => i % clusterBytes === 0),
    [2, 1],
  );
});

test("what was rewritten before a damaged segment is used, and the damaged one stays as it is", async (t) => {
  const damaged = "/s-00000001-00000003-";
  const wrap = (inner: ObjectBackend): ObjectBackend =>
    new Proxy(inner, {
      get(backend, name: keyof ObjectBackend) {
        if (name !== "read") return backend[name].bind(backend);
        return async (object: string, offset: number, target: Buffer, options?: ReadOptions) => {
          await backend.read(object, offset, target, options);
          if (object.includes(damaged) && options !== undefined) target[100]! ^= 1; // of what compaction reads
        };
      },
    });
  const rig = await openRig(t, { segmentBytes: 128 * KiB }, wrap);
  const disk = await rig.createDisk(MiB);
  const session = await rig.open(disk);
  await writeHalfOver(session);
  await checkpoint(rig, disk, session);
  await clean(rig);
  const { entries } = await rig.registry.range({ prefix: "engine/relocation/" });
  const generations = entries.map(({ key, value }) => [
    Number.parseInt(key.split("-").at(-1)!, 16),
    (JSON.parse(value) as { readonly generation: number }).generation,
  ]);
  const of = (number: number): number | undefined => generations.find(([at]) => at === number)?.[1];
  assert.deepEqual([of(1), of(2), of(3)], [1, 1, 0], JSON.stringify(entries));
});

test("what guests read and write is counted, for the cleaner to rest by", async (t) => {
  const rig = await openRig(t, {});
  const session = await rig.open(await rig.createDisk(MiB));
  const { guests } = rig.router.contextOf(rigPool);
  await writeAll(session, range(8), 1);
  assert.equal(guests.bytes, 8 * clusterBytes);
  await readRange(session, 0, 3 * clusterBytes);
  assert.equal(guests.bytes, 11 * clusterBytes);
});
