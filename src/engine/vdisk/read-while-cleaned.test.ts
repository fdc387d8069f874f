// A read that has begun when its segment is rewritten: it was to cross heads of records, which the next generation does not have.

import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { systemClock } from "../../common/clock.ts";
import type { ObjectBackend } from "../backend/backend.ts";
import type { ExportSession } from "../device.ts";
import { EngineRig, readRange, rigPool } from "../engine-rig.fixture.ts";
import { clusterBytes, KiB, MiB } from "../limits.ts";

interface Held {
  readonly object: string;
  readonly bytes: number;
}

/** The next read of a segment waits until it is let go. */
class Gate {
  held: Held | undefined;
  #isArmed = false;
  readonly #open = Promise.withResolvers<void>();

  arm(): void {
    this.#isArmed = true;
  }

  letGo(): void {
    this.#open.resolve();
  }

  readonly wrap = (backend: ObjectBackend): ObjectBackend =>
    new Proxy(backend, {
      get: (target, name: keyof ObjectBackend) => {
        if (name !== "read") return target[name].bind(target);
        return async (object: string, offset: number, into: Buffer): Promise<void> => {
          if (this.#isArmed && object.includes("/s-")) {
            this.#isArmed = false;
            this.held = { object, bytes: into.length };
            await this.#open.promise;
          }
          return target.read(object, offset, into);
        };
      },
    });
}

const contentOf = (cluster: number, version: number): Buffer => Buffer.alloc(clusterBytes, `cluster ${cluster}.${version} `);
const diskClusters = MiB / clusterBytes;
/** These live on, one record each, and lie one behind the other. */
const liveClusters = 8;
const deadFrom = 16;

interface Scene {
  readonly rig: EngineRig;
  readonly gate: Gate;
  readonly session: ExportSession;
}

async function write(session: ExportSession, cluster: number, version: number): Promise<void> {
  await session.device.write(cluster * clusterBytes, contentOf(cluster, version), { fua: false });
}

/** A disk of which no data is in memory, and whose first segment has live clusters between many dead ones. */
async function openScene(t: TestContext): Promise<Scene> {
  const gate = new Gate();
  const rig = await EngineRig.open({ wrap: gate.wrap, settings: { segmentBytes: 128 * KiB, checkpointEntries: 64 } });
  t.after(() => rig.close());
  const disk = await rig.createDisk(MiB);
  const session = await rig.open(disk);
  for (let cluster = deadFrom; cluster < deadFrom + 8; cluster++) await write(session, cluster, 1);
  for (let cluster = 0; cluster < liveClusters; cluster++) await write(session, cluster, 1);
  for (let version = 2; version < 7; version++)
    for (let cluster = deadFrom; cluster < deadFrom + 16; cluster++) await write(session, cluster, version);
  await rig.detach(disk);
  await rig.crash();
  return { rig, gate, session: await rig.open(disk) };
}

/** Passes of the cleaner until the object is deleted. */
async function cleanAway(rig: EngineRig, object: string): Promise<void> {
  for (let pass = 0; (await rig.backend.size(object)) !== undefined; pass++) {
    assert.ok(pass < 200, `${object} is still there`);
    await rig.router.cleaners.get(rigPool)!.pass();
    await systemClock.sleep(5);
  }
}

/** Writes elsewhere until a checkpoint of all before is committed: the objects of the one after it are there. */
async function checkpoint({ rig, session }: Scene): Promise<void> {
  const lastMapObject = async (): Promise<string> =>
    (await rig.backend.list("")).filter((name) => name.includes("/m-")).at(-1) ?? "";
  for (let made = 0; made < 2; made++) {
    for (const before = await lastMapObject(); (await lastMapObject()) === before; await systemClock.sleep(2))
      for (let cluster = 64; cluster < diskClusters; cluster += 2) await write(session, cluster, 1);
  }
}

async function beginRead({ gate, session }: Scene): Promise<{ readonly held: Held; readonly reading: Promise<Buffer> }> {
  gate.arm();
  const reading = readRange(session, 0, liveClusters * clusterBytes);
  while (gate.held === undefined) await systemClock.sleep(1);
  assert.ok(gate.held.bytes > liveClusters * clusterBytes, "the heads between are read, too");
  return { held: gate.held, reading };
}

test("a read over heads of records finds its clusters in the next generation", async (t) => {
  const scene = await openScene(t);
  const { held, reading } = await beginRead(scene);
  await cleanAway(scene.rig, held.object);
  scene.gate.letGo();
  const expected = Array.from({ length: liveClusters }, (_, cluster) => contentOf(cluster, 1));
  assert.ok((await reading).equals(Buffer.concat(expected)));
});

test("of a cluster that was written over meanwhile, and is in no generation any more, the new bytes are read", async (t) => {
  const scene = await openScene(t);
  const { held, reading } = await beginRead(scene);
  await write(scene.session, 3, 2);
  await checkpoint(scene);
  await cleanAway(scene.rig, held.object);
  scene.gate.letGo();
  const expected = Array.from({ length: liveClusters }, (_, cluster) => contentOf(cluster, cluster === 3 ? 2 : 1));
  assert.ok((await reading).equals(Buffer.concat(expected)));
});
