// A disk of a real engine, its backups in a directory, and what each must restore to. Claims die before they have said what
// they did, steps yield at any point.

import assert from "node:assert/strict";
import { mkdtemp } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { systemClock } from "../common/clock.ts";
import { systemRandom } from "../common/random.ts";
import type { ExportSession } from "../engine/device.ts";
import { EngineRig } from "../engine/engine-rig.fixture.ts";
import { RamDevice } from "../nbd/ram-device.test.ts";
import { openDirectoryStore } from "../object-store/directory-store.ts";
import type { ObjectStore } from "../object-store/object-store.ts";
import { BackupEraser } from "./backup-eraser.ts";
import { BackupRestorer, type BackupRestorerOptions, type Restored } from "./backup-restorer.ts";
import { type BackupRun, BackupWriter, type BackupWriterOptions, type WriteTask, type Written } from "./backup-writer.ts";
import type { BackupPlace } from "./place.ts";

export const KiB = 1024;
export const MiB = 1024 * KiB;

export interface MadeBackup {
  readonly id: string;
  readonly parentId: string | null;
  /** Its cut in the engine, kept. */
  readonly cutId: string;
  readonly location: BackupPlace;
  readonly bytes: Buffer;
  readonly isWhole: boolean;
}

export interface BackupWish {
  readonly parent?: MadeBackup;
  /** The parent's cut is gone. */
  readonly withoutBase?: boolean;
  /** Of each step: the claim dies before it says what it did. */
  readonly deaths?: readonly boolean[];
  readonly yields?: boolean;
}

export interface RigOptions extends Partial<Pick<BackupWriterOptions, "keys" | "compression" | "chunkBytes">> {
  /** Absent: a directory. */
  readonly openStore?: () => Promise<ObjectStore>;
  readonly wrap?: (store: ObjectStore) => ObjectStore;
}

const timing = { clock: systemClock, random: systemRandom };

export const patient: BackupRun = { signal: new AbortController().signal, mayAct: () => true, shouldYield: () => false };
export const hasty: BackupRun = { ...patient, shouldYield: () => true };

export class BackupRig {
  readonly engine: EngineRig;
  readonly store: ObjectStore;
  readonly disk: string;
  readonly volumeId = systemRandom.uuid();
  /** What the disk has. */
  bytes: Buffer;
  #session: ExportSession | undefined;
  readonly #options: Pick<BackupWriterOptions, "keys" | "compression" | "chunkBytes">;

  private constructor(engine: EngineRig, store: ObjectStore, disk: string, sizeBytes: number, options: RigOptions) {
    this.engine = engine;
    this.store = store;
    this.disk = disk;
    this.bytes = Buffer.alloc(sizeBytes);
    this.#options = { keys: undefined, compression: "zstd", chunkBytes: 64 * KiB, ...options };
  }

  static async open(sizeBytes: number, options: RigOptions = {}): Promise<BackupRig> {
    const engine = await EngineRig.open();
    const root = await mkdtemp(join(engine.directory, "store-"));
    const store = await (options.openStore?.() ?? openDirectoryStore({ root, create: true }, timing));
    const disk = await engine.createDisk(sizeBytes);
    return new BackupRig(engine, options.wrap?.(store) ?? store, disk, sizeBytes, options);
  }

  async close(): Promise<void> {
    await this.store.close();
    await this.engine.close();
  }

  async write(offset: number, data: Buffer): Promise<void> {
    await (await this.#attached()).device.write(offset, data, { fua: false });
    data.copy(this.bytes, offset);
  }

  async zero(offset: number, lengthBytes: number): Promise<void> {
    await (await this.#attached()).device.writeZeroes(offset, lengthBytes, { fua: false, noHole: false });
    this.bytes.fill(0, offset, offset + lengthBytes);
  }

  async grow(lengthBytes: number): Promise<void> {
    await this.engine.atomically((tx) => this.engine.control.growVdisk(tx, this.disk, this.bytes.length + lengthBytes));
    this.bytes = Buffer.concat([this.bytes, Buffer.alloc(lengthBytes)]);
    await this.#detached();
  }

  /** Makes the disk what it was at the backup's cut, of the same size. */
  async revert({ cutId, bytes }: MadeBackup): Promise<void> {
    assert.equal(bytes.length, this.bytes.length);
    await this.#detached();
    await this.engine.atomically((tx) => this.engine.control.revertVdisk(tx, this.disk, cutId));
    this.bytes = Buffer.from(bytes);
  }

  async #detached(): Promise<void> {
    if (this.#session !== undefined) await this.engine.detach(this.disk);
    this.#session = undefined;
  }

  /** A session keeps the size that it began with. */
  async #attached(): Promise<ExportSession> {
    this.#session ??= await this.engine.open(this.disk);
    return this.#session;
  }

  async backup({ parent, withoutBase = false, deaths = [], yields = false }: BackupWish = {}): Promise<MadeBackup> {
    const cutId = await this.engine.snapshot(this.disk);
    const bytes = Buffer.from(this.bytes);
    const isWhole = parent === undefined || withoutBase;
    const task = this.task(cutId, parent?.id ?? null, isWhole ? null : parent.cutId);
    const written = await this.writeAll(task, deaths, yields);
    const { location, objectCount } = written.result!;
    const own = (await this.names()).filter((name) => name.startsWith(`${location.prefix}/`));
    assert.deepEqual([own.length, objectCount], [location.chunkCount + 1, location.chunkCount + 1]);
    return { id: task.backupId, parentId: task.parentId, cutId, location, bytes, isWhole };
  }

  task(cutId: string, parentId: string | null, baseId: string | null): WriteTask {
    const place = { backupId: systemRandom.uuid(), volumeId: this.volumeId, container: "box" };
    return { ...place, parentId, generation: 1, cutId, baseId, facts: { name: "n" }, cursor: {} };
  }

  async writeAll(task: WriteTask, deaths: readonly boolean[] = [], yields = false): Promise<Written> {
    let { generation, cursor } = task;
    for (let step = 0; ; step++) {
      const written = await this.writer().step({ ...task, generation, cursor }, yields ? hasty : patient);
      if (deaths[step] === true) {
        generation++;
        continue;
      }
      assert.ok(written.done > Number(cursor["from"] ?? 0) || written.result !== undefined, "a step moves on");
      if (written.result !== undefined) return written;
      cursor = JSON.parse(JSON.stringify(written.cursor)) as WriteTask["cursor"];
    }
  }

  writer(): BackupWriter {
    const snapshots = this.engine.router;
    return new BackupWriter({ ...this.#options, store: () => Promise.resolve(this.store), snapshots, random: systemRandom });
  }

  restorer(device: RamDevice, keys: BackupRestorerOptions["keys"] = this.#options.keys): BackupRestorer {
    const nothing = (): undefined => undefined;
    const session = { device, description: "", onRevoked: nothing, clientGone: nothing, close: () => Promise.resolve() };
    return new BackupRestorer({ store: () => Promise.resolve(this.store), exports: { open: async () => session }, keys });
  }

  /** All of a chain into a device that is full of other bytes, and larger; checks every byte. */
  async checkRestore(chain: readonly MadeBackup[], yields = false): Promise<Restored> {
    const wanted = chain.at(-1)!.bytes;
    const device = new RamDevice(wanted.length + MiB);
    device.bytes.fill(0xa5);
    let restored: Restored;
    for (let cursor: Readonly<Record<string, unknown>> = {}; ; cursor = { ...restored.cursor }) {
      restored = await this.restorer(device).step({ chain, exportName: "e", cursor }, yields ? hasty : patient);
      assert.equal(device.calls.at(-1), "flush");
      if (restored.isDone) break;
      assert.ok(restored.done > Number(cursor["done"] ?? 0), "a step moves on");
    }
    assert.ok(device.bytes.subarray(0, wanted.length).equals(wanted), "the restored bytes");
    assert.ok(
      device.bytes.subarray(wanted.length).every((byte) => byte === 0xa5),
      "what is beyond the backup",
    );
    assert.equal(device.active, 0);
    return restored;
  }

  async erase(location: BackupPlace, yields = false): Promise<void> {
    const eraser = new BackupEraser(() => Promise.resolve(this.store));
    for (let cursor = {}; ;) {
      const erased = await eraser.step({ location, cursor }, yields ? hasty : patient);
      if (erased.isDone) return;
      ({ cursor } = erased);
    }
  }

  async names(): Promise<string[]> {
    return (await this.store.list("")).objects.map(({ name }) => name);
  }
}

test("the rig sees a restore of other bytes", async (t) => {
  const rig = await BackupRig.open(MiB);
  t.after(() => rig.close());
  const backup = await rig.backup();
  await rig.checkRestore([backup]);
  await assert.rejects(rig.checkRestore([{ ...backup, bytes: Buffer.alloc(MiB, 1) }]), /the restored bytes/);
});
