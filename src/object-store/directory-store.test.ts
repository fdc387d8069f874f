// The directory store: the contract, and what is particular to files: death while putting, damage, mounts, empty directories.

import assert from "node:assert/strict";
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, readFile, readdir, rename, rm, truncate, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, beforeEach, describe, test } from "node:test";
import { systemClock } from "../common/clock.ts";
import { seededRandom, systemRandom } from "../common/random.ts";
import { testContract, withCode } from "./contract.ts";
import { openDirectoryStore } from "./directory-store.ts";
import type { ObjectStore } from "./object-store.ts";
import { checkModel } from "./store-model.ts";

const context = { clock: systemClock, random: systemRandom };
const openIn = (root: string, create = true): Promise<ObjectStore> => openDirectoryStore({ root, create }, context);

const contractFolders: string[] = [];
after(() => Promise.all(contractFolders.map((folder) => rm(folder, { recursive: true, force: true }))));
testContract("directory", async () => {
  contractFolders.push(await mkdtemp(join(tmpdir(), "andiron-objects-")));
  return openIn(contractFolders.at(-1)!);
});

describe("directory store", () => {
  let root: string;
  const children: ChildProcess[] = [];

  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), "andiron-objects-"));
  });
  afterEach(async () => {
    for (const child of children.splice(0)) child.kill("SIGKILL");
    await rm(root, { recursive: true, force: true });
  });

  async function startPutter(prefix: string): Promise<ChildProcess> {
    const child = fork(join(import.meta.dirname, "put-loop.fixture.ts"), [root, prefix], { stdio: "ignore" });
    children.push(child);
    const [message] = await once(child, "message");
    assert.equal(message, "ten");
    return child;
  }

  test("kill -9 while putting shows no half object, and what it leaves is swept at the next open", async () => {
    const random = seededRandom(3);
    let left = 0;
    for (let round = 0; round < 8; round++) {
      const child = await startPutter(`round-${round}`);
      await systemClock.sleep(random.below(40));
      child.kill("SIGKILL");
      await once(child, "exit");
      left += (await readdir(join(root, ".incoming"))).length;
      const store = await openIn(root);
      assert.deepEqual(await readdir(join(root, ".incoming")), []);
      const { objects } = await store.list(`round-${round}/object-`);
      assert.ok(objects.length >= 10);
      for (const { name } of objects) {
        const expected = seededRandom(Number(name.split("-").at(-1))).bytes(300_000);
        assert.ok((await store.get(name)).equals(expected), name);
      }
      assert.equal((await store.get(`round-${round}/again`)).length, 300_000);
      await store.close();
    }
    assert.ok(left > 0, "no kill left anything: the test has shown nothing");
  });

  test("random programs do what they do to a Map", async () => {
    let count = 0;
    await checkModel(150, async () => {
      const own = join(root, `program-${count++}`);
      await mkdir(own);
      return openIn(own);
    });
  });

  test("files of the living and new ones of other hosts are left alone, old ones of other hosts are swept", async () => {
    const child = await startPutter("alive");
    const foreign = ["0123456789abcdef.boot.1.1.new", "0123456789abcdef.boot.1.1.old"];
    for (const file of foreign) await writeFile(join(root, ".incoming", file), "");
    const longAgo = new Date(Date.now() - 25 * 60 * 60 * 1000);
    await utimes(join(root, ".incoming", foreign[1]!), longAgo, longAgo);
    for (let round = 0; round < 10; round++) await (await openIn(root)).close();
    assert.equal(child.exitCode, null);
    const names = await readdir(join(root, ".incoming"));
    assert.deepEqual(
      names.filter((name) => foreign.includes(name)),
      [foreign[0]],
    );
  });

  test("a file that is cut off, changed, or of something else is damaged, and never its bytes", async () => {
    const store = await openIn(root);
    const bytes = seededRandom(1).bytes(10_000);
    const file = join(root, "a/b");
    const damages: readonly (() => Promise<void>)[] = [
      () => truncate(file, 10_063),
      () => truncate(file, 5000),
      () => truncate(file, 10),
      () => truncate(file, 0),
      () => writeFile(file, bytes),
      () => changeByte(file, -30),
    ];
    for (const damage of damages) {
      await store.put("a/b", bytes);
      await damage();
      await assert.rejects(store.get("a/b"), withCode("object_damaged"));
      await assert.rejects(store.get("a/b", { offset: 0, length: 1 }), withCode("object_damaged"));
      await assert.rejects(store.head("a/b"), withCode("object_damaged"));
    }
    await store.put("a/b", bytes);
    await changeByte(file, 5000);
    await assert.rejects(store.get("a/b"), withCode("object_damaged"));
    assert.equal((await store.head("a/b"))?.sizeBytes, 10_000);
    await store.put("a/b", bytes);
    assert.ok((await store.get("a/b")).equals(bytes));
    await store.close();
  });

  test("a root that is missing, at open or later, is unavailable and not an empty store", async () => {
    const away = join(root, "away");
    await assert.rejects(openIn(away), withCode("backend_unavailable"));
    await mkdir(away);
    await assert.rejects(openIn(away, false), withCode("backend_unavailable"));
    const store = await openIn(away);
    await store.put("a/one", Buffer.from("x"));
    await rename(away, join(root, "elsewhere"));
    await mkdir(away); // as a mount point without its mount looks
    await assert.rejects(store.get("a/one"), withCode("backend_unavailable"));
    await assert.rejects(store.head("a/one"), withCode("backend_unavailable"));
    await assert.rejects(store.list(""), withCode("backend_unavailable"));
    await assert.rejects(store.delete("a/one"), withCode("backend_unavailable"));
    await assert.rejects(store.put("a/two", Buffer.from("y")), withCode("backend_unavailable"));
    assert.deepEqual(await readdir(away), []);
    await store.close();
  });

  test("a name below an object, or of a directory, is refused", async () => {
    const store = await openIn(root);
    await store.put("a/b", Buffer.from("x"));
    for (const ifAbsent of [false, true]) {
      await assert.rejects(store.put("a/b/c", Buffer.from("y"), { ifAbsent }), withCode("invalid_request"));
      await assert.rejects(store.put("a", Buffer.from("y"), { ifAbsent }), withCode("invalid_request"));
    }
    assert.equal(await store.head("a/b/c"), undefined);
    await store.close();
  });

  test("directories go with their last object, while others put into them", async () => {
    const store = await openDirectoryStore({ root, create: true, requestsMax: 8 }, context);
    const bytes = Buffer.from("abc");
    const churn = Array.from({ length: 8 }, async (_, lane) => {
      for (let round = 0; round < 25; round++) {
        await store.put(`deep/er/lane-${lane}`, bytes);
        assert.ok((await store.get(`deep/er/lane-${lane}`)).equals(bytes));
        await store.delete(`deep/er/lane-${lane}`);
      }
    });
    await Promise.all(churn);
    assert.deepEqual(await readdir(root), [".incoming"]);
    await store.close();
  });

  test("a full queue refuses, and close refuses what waits but finishes what runs", async () => {
    const store = await openDirectoryStore({ root, create: true, requestsMax: 1, queuedMax: 1 }, context);
    const running = store.put("running", Buffer.from("x"));
    const queued = store.put("queued", Buffer.from("y"));
    await assert.rejects(store.put("refused", Buffer.from("z")), withCode("overloaded"));
    const closing = store.close();
    await assert.rejects(queued, withCode("shutting_down"));
    await Promise.all([running, closing]);
    await assert.rejects(store.head("running"), withCode("shutting_down"));
    assert.deepEqual((await readdir(root)).sort(), [".incoming", "running"]);
  });
});

async function changeByte(file: string, at: number): Promise<void> {
  const bytes = await readFile(file);
  const index = at < 0 ? bytes.length + at : at;
  bytes[index] = bytes[index]! ^ 1;
  await writeFile(file, bytes);
}
