// Reads of what no cache has, by counts of the backend's reads: streams are read ahead, random reads are not, and neither a scan
// nor a clone's reads cost what others have in the cache.

import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { systemClock } from "../common/clock.ts";
import { seededRandom } from "../common/random.ts";
import type { ObjectBackend } from "./backend/backend.ts";
import type { ExportSession } from "./device.ts";
import { EngineRig, readRange } from "./engine-rig.fixture.ts";
import { clusterBytes, engineLimits, MiB } from "./limits.ts";

const diskClusters = (4 * MiB) / clusterBytes;

interface Reads {
  count: number;
  bytes: number;
  /** Reads of segments wait for it. */
  gate: Promise<void> | undefined;
}

/** A rig whose backend counts the reads of segments. */
async function openRig(t: TestContext, cacheBytes: number): Promise<{ rig: EngineRig; reads: Reads }> {
  const reads: Reads = { count: 0, bytes: 0, gate: undefined };
  const wrap = (backend: ObjectBackend): ObjectBackend =>
    new Proxy(backend, {
      get(target, name: keyof ObjectBackend) {
        const method = (...args: unknown[]): unknown => {
          if (name === "read" && /\/s-/.test(String(args[0]))) {
            reads.count++;
            reads.bytes += (args[2] as Buffer).length;
            const { gate } = reads;
            if (gate !== undefined)
              return gate.then(() => (target[name] as (...given: unknown[]) => unknown).apply(target, args));
          }
          return (target[name] as (...given: unknown[]) => unknown).apply(target, args);
        };
        return method;
      },
    });
  const rig = await EngineRig.open({ wrap, settings: { cacheBytes, readAheadBytes: 128 * 1024 } });
  t.after(() => rig.close());
  return { rig, reads };
}

const contentOf = (cluster: number): Buffer => Buffer.alloc(clusterBytes, `cluster ${cluster} `);

/** A disk of 4 MiB whose clusters are all on the backend, and none in memory. */
async function coldDisk(rig: EngineRig): Promise<string> {
  const id = await rig.createDisk(4 * MiB);
  const session = await rig.open(id);
  for (let cluster = 0; cluster < diskClusters; cluster++) {
    await session.device.write(cluster * clusterBytes, contentOf(cluster), { fua: false });
  }
  await rig.detach(id);
  await rig.crash();
  return id;
}

async function readCluster(session: ExportSession, cluster: number): Promise<void> {
  assert.ok((await readRange(session, cluster * clusterBytes, clusterBytes)).equals(contentOf(cluster)), `cluster ${cluster}`);
}

test("a disk that is read in order is read from the backend in large pieces, each once", async (t) => {
  const { rig, reads } = await openRig(t, 8 * MiB);
  const session = await rig.open(await coldDisk(rig));
  Object.assign(reads, { count: 0, bytes: 0 });
  for (let cluster = 0; cluster < diskClusters; cluster++) await readCluster(session, cluster);
  assert.ok(reads.count < diskClusters / 8, `${reads.count} reads of the backend for ${diskClusters} clusters`);
  assert.ok(reads.bytes <= 4.2 * MiB, `${reads.bytes} bytes`);
});

test("a disk that is read at random costs a read for each cluster and nothing besides", async (t) => {
  const { rig, reads } = await openRig(t, 8 * MiB);
  const session = await rig.open(await coldDisk(rig));
  Object.assign(reads, { count: 0, bytes: 0 });
  const random = seededRandom(3);
  // Never near the one before.
  const order = Array.from({ length: 8 }, (_, i) => ((i * 5) % 8) * (diskClusters / 8) + random.below(16) * 8);
  for (const cluster of order) await readCluster(session, cluster);
  assert.deepEqual([reads.count, reads.bytes], [order.length, order.length * clusterBytes]);
});

test("a scan of more than the cache leaves what is used again", async (t) => {
  const { rig, reads } = await openRig(t, 2 * MiB);
  const session = await rig.open(await coldDisk(rig));
  const hot = Array.from({ length: 64 }, (_, i) => (i * 37) % diskClusters);
  for (let round = 0; round < 2; round++) for (const cluster of hot) await readCluster(session, cluster);
  const scanned = new Set<number>();
  let hotReads = 0;
  for (let cluster = 0; cluster < diskClusters; cluster++) {
    await readCluster(session, cluster);
    scanned.add(cluster);
    const before = reads.count;
    // In memory it is answered at once; a promise means that the backend was asked.
    const again = hot[cluster % hot.length]!;
    if (session.device.read(again * clusterBytes, Buffer.alloc(clusterBytes)) !== undefined) hotReads++;
    assert.equal(reads.count >= before, true);
  }
  assert.equal(scanned.size, diskClusters);
  assert.equal(hotReads, 0, `${hotReads} clusters that are used all the time were driven out`);
});

test("what a clone shares with another disk is in the cache once: the second to read it asks nobody", async (t) => {
  const { rig, reads } = await openRig(t, 8 * MiB);
  const id = await coldDisk(rig);
  const snapshotId = await rig.snapshot(id);
  const source = { kind: "snapshot", snapshotId } as const;
  const clones = [await rig.createDisk(4 * MiB, source), await rig.createDisk(4 * MiB, source)];
  const [first, second] = [await rig.open(clones[0]!), await rig.open(clones[1]!)];
  for (let cluster = 0; cluster < diskClusters; cluster += 3) await readCluster(first, cluster);
  const before = reads.count;
  for (let cluster = 0; cluster < diskClusters; cluster += 3) await readCluster(second, cluster);
  assert.equal(reads.count, before);
});

/** Waits until it is so, and a while longer for what should not come. */
async function settles(condition: () => boolean): Promise<void> {
  while (!condition()) await systemClock.sleep(1);
  await systemClock.sleep(20);
}

test("a disk with many reads under way leaves room for the one of another", async (t) => {
  const { rig, reads } = await openRig(t, 8 * MiB);
  const ids = [await coldDisk(rig), await coldDisk(rig)];
  const [noisy, quiet] = [await rig.open(ids[0]!), await rig.open(ids[1]!)];
  // The maps are in memory now: what is counted are reads of data.
  for (const session of [noisy, quiet]) await readCluster(session, 0);
  const { promise, resolve } = Promise.withResolvers<void>();
  reads.gate = promise;
  reads.count = 0;
  const loads = Array.from({ length: 128 }, (_, i) => readCluster(noisy, ((i * 37) % 128) * 8 + 5));
  await settles(() => reads.count >= engineLimits.diskReadsInFlightMax);
  assert.equal(reads.count, engineLimits.diskReadsInFlightMax);
  const single = readCluster(quiet, 400);
  await settles(() => reads.count > engineLimits.diskReadsInFlightMax);
  assert.equal(reads.count, engineLimits.diskReadsInFlightMax + 1);
  reads.gate = undefined;
  resolve();
  await Promise.all([...loads, single]);
});
