// The read cache over a backend of files: the contract of backends, what the backend is asked for, and a failing SSD.

import assert from "node:assert/strict";
import { mkdir, mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, test } from "node:test";
import { systemClock } from "../../common/clock.ts";
import { seededRandom } from "../../common/random.ts";
import { BlockStore, storeBlockBytes } from "../cache/block-store.ts";
import type { DiskFile, LocalDisk } from "../local-disk.ts";
import { nodeDisk } from "../node-disk.ts";
import type { ObjectBackend } from "./backend.ts";
import { describeBackend, readWhole, withCode } from "./contract.ts";
import { openFileBackend } from "./file.ts";
import type { BackendOperation } from "./metered.ts";
import { withMeter } from "./metered.ts";
import { withReadCache } from "./read-cache.ts";

const openStore = (folder: string, blocks: number, disk: LocalDisk = nodeDisk, failed = (): void => undefined) =>
  BlockStore.open({ disk, path: join(folder, "cache"), bytesMax: blocks * storeBlockBytes, failed });

async function openFiles(folder: string): Promise<ObjectBackend> {
  await mkdir(join(folder, "objects"));
  return openFileBackend({ root: join(folder, "objects") });
}

describeBackend("read cache over files", async (folder) => {
  const store = await openStore(folder, 4);
  const cached = withReadCache(await openFiles(folder), { store, pool: "pool1" });
  const close = cached.close.bind(cached);
  cached.close = () => store.close().then(close);
  return cached;
});

describe("read cache", () => {
  let folder: string;
  let files: ObjectBackend;
  let store: BlockStore;
  let operations: BackendOperation[];
  let backend: ObjectBackend;
  const object = seededRandom(3).bytes(5 * storeBlockBytes + 1000);

  async function open(blocks: number, disk?: LocalDisk, failed?: () => void): Promise<void> {
    store = await openStore(folder, blocks, disk, failed);
    const meter = { operationStarted: () => undefined, operationEnded: (ended: BackendOperation) => operations.push(ended) };
    const metered = withMeter(files, {
      clock: systemClock,
      meter: { ...meter, operationEnded: (ended) => void meter.operationEnded(ended) },
    });
    backend = withReadCache(metered, { store, pool: "pool1" });
  }

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "andiron-read-cache-"));
    files = await openFiles(folder);
    operations = [];
    await files.put("log/one", [object]);
  });
  afterEach(async () => {
    await store.close();
    await files.close();
    await rm(folder, { recursive: true, force: true });
  });

  const reads = (): number => operations.filter(({ verb }) => verb === "read").length;
  const bytesRead = (): number => operations.reduce((sum, { verb, bytes }) => sum + (verb === "read" ? bytes : 0), 0);
  async function read(offset: number, length: number, fresh = false): Promise<void> {
    const target = Buffer.alloc(length);
    await backend.read("log/one", offset, target, { fresh });
    assert.ok(target.equals(object.subarray(offset, offset + length)), `wrong bytes at ${offset}`);
  }
  async function settled(blocks: number): Promise<void> {
    while (store.blockCount < blocks) await systemClock.sleep(1);
  }

  test("a block is asked for once, however many want it at a time and later", async () => {
    await open(8);
    await Promise.all([read(0, 4096), read(8192, 4096), read(storeBlockBytes - 4096, 4096)]);
    await settled(1);
    await read(100, 1000);
    await read(0, storeBlockBytes);
    assert.deepEqual([reads(), bytesRead(), store.hits], [1, storeBlockBytes, 2]);
  });

  test("blocks that follow on one another are one request, without those that are there", async () => {
    await open(8);
    await read(2 * storeBlockBytes, 10);
    await settled(1);
    operations.length = 0;
    await read(10, 5 * storeBlockBytes - 20);
    assert.deepEqual(
      operations.map(({ bytes }) => bytes),
      [2 * storeBlockBytes, 2 * storeBlockBytes],
    );
  });

  test("the end of an object, which fills no block, is read as it is asked for", async () => {
    await open(8);
    await read(5 * storeBlockBytes + 10, 900);
    await read(5 * storeBlockBytes - 10, 500);
    await assert.rejects(read(5 * storeBlockBytes, 2000), withCode("segment_damaged"));
    await assert.rejects(backend.read("log/none", 0, Buffer.alloc(10)), withCode("object_not_found"));
  });

  test("a fresh read goes past the cache and makes it forget what it had", async () => {
    await open(8);
    await read(0, 10);
    await settled(1);
    await read(0, 10, true);
    assert.deepEqual([reads(), store.blockCount], [2, 0]);
    await read(0, 10);
    assert.equal(reads(), 3);
  });

  test("what is deleted is forgotten, and pools do not see one another's objects", async () => {
    await open(8);
    await read(0, 10);
    await settled(1);
    const other = withReadCache(files, { store, pool: "pool2" });
    await other.delete("log/one");
    assert.equal(store.blockCount, 1);
    await backend.delete("log/one");
    assert.equal(store.blockCount, 0);
    await assert.rejects(read(0, 10), withCode("object_not_found"));
  });

  test("more than fits is read right all the same, and the file keeps to its size", async () => {
    await open(6);
    const random = seededRandom(5);
    const names = Array.from({ length: 8 }, (_, i) => `log/many-${i}`);
    for (const name of names) await files.put(name, [object]);
    const readSome = async (): Promise<void> => {
      for (let i = 0; i < 100; i++) {
        const name = names[random.below(3) === 0 ? random.below(8) : 0]!;
        const offset = random.below(object.length - 9000);
        const target = Buffer.alloc(1 + random.below(9000));
        await backend.read(name, offset, target);
        assert.ok(target.equals(object.subarray(offset, offset + target.length)));
      }
    };
    await Promise.all(Array.from({ length: 8 }, readSome));
    assert.ok(store.blockCount <= 6 && store.hits > 0, `${store.blockCount} blocks, ${store.hits} hits`);
    assert.deepEqual((await readdir(folder)).sort(), ["objects"], "the cache's file has no name");
  });

  test("a disk that fails is told of once, and everything is read from the backend", async () => {
    let failures = 0;
    let isBroken = false;
    const eio = Object.assign(new Error("EIO"), { code: "EIO" });
    const disk: LocalDisk = {
      ...nodeDisk,
      open(path, mode): DiskFile {
        const file = nodeDisk.open(path, mode);
        return {
          lengthBytes: () => file.lengthBytes(),
          prepare: (buffers, offset) => file.prepare(buffers, offset),
          writeNow: (buffers, offset) => file.writeNow(buffers, offset),
          truncateNow: (length) => file.truncateNow(length),
          endWrites: () => undefined,
          sync: () => file.sync(),
          close: () => file.close(),
          read: (offset, target) => (isBroken ? Promise.reject(eio) : file.read(offset, target)),
          write: (buffers, offset) => (isBroken ? Promise.reject(eio) : file.write(buffers, offset)),
        };
      },
    };
    await open(8, disk, () => failures++);
    await read(0, 10);
    await settled(1);
    isBroken = true;
    for (let i = 0; i < 4; i++) await read(i * storeBlockBytes, 10);
    isBroken = false;
    await read(3 * storeBlockBytes, 10);
    assert.deepEqual([failures, store.blockCount], [1, 1]);
  });

  test("after close the backend is read", async () => {
    await open(8);
    await read(0, 10);
    await settled(1);
    await store.close();
    await read(0, 10);
    assert.equal(await readWhole(backend, "log/one").then((bytes) => bytes.equals(object)), true);
  });
});
