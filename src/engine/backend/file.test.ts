// The file backend: the contract, alone and under each decorator, and what is particular to files.

import assert from "node:assert/strict";
import { fork, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, readdir, rename, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, test } from "node:test";
import { systemClock } from "../../common/clock.ts";
import { seededRandom } from "../../common/random.ts";
import { describeBackend, readWhole, withCode } from "./contract.ts";
import { withDeadline } from "./deadline.ts";
import { FaultyBackend } from "./faulty.ts";
import { openFileBackend } from "./file.ts";
import { withMeter } from "./metered.ts";
import { withRetries } from "./retrying.ts";

const clock = systemClock;

async function openIn(folder: string): ReturnType<typeof openFileBackend> {
  const root = join(folder, "objects");
  await mkdir(root);
  return openFileBackend({ root, openFilesMax: 4 });
}

describeBackend("file", openIn);
describeBackend("file, one operation at a time", async (folder) => {
  await mkdir(join(folder, "objects"));
  return openFileBackend({ root: join(folder, "objects"), concurrentOperationsMax: 1, openFilesMax: 1 });
});
describeBackend("deadline over file", async (folder) =>
  withDeadline(await openIn(folder), { clock, timeoutMs: 60_000, perMebibyteMs: 1000 }),
);
describeBackend("meter over file", async (folder) =>
  withMeter(await openIn(folder), { clock, meter: { operationStarted: () => undefined, operationEnded: () => undefined } }),
);
describeBackend("retries over faults over file", async (folder) => {
  const random = seededRandom(11);
  const faults = { failBeforeShare: 0.2, failAfterShare: 0.2, delayMsMax: 2 };
  const faulty = new FaultyBackend(await openIn(folder), { clock, random, faults });
  return withRetries(faulty, { clock, random, attemptsMax: 30, firstWaitMs: 1, waitMsMax: 4 });
});

describe("file backend", () => {
  let folder: string;
  let root: string;
  const children: ChildProcess[] = [];

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "andiron-file-"));
    root = join(folder, "objects");
    await mkdir(root);
  });
  afterEach(async () => {
    for (const child of children.splice(0)) child.kill("SIGKILL");
    await rm(folder, { recursive: true, force: true });
  });

  function startPutter(prefix: string): ChildProcess {
    const child = fork(join(import.meta.dirname, "put-loop.fixture.ts"), [root, prefix], { stdio: "ignore" });
    children.push(child);
    return child;
  }

  test("kill -9 while putting never shows a half object, and the leavings are swept at the next open", async () => {
    const random = seededRandom(3);
    let seen = 0;
    for (let round = 0; round < 6; round++) {
      const child = startPutter(`round${round}`);
      await once(child, "message");
      await clock.sleep(random.below(60));
      child.kill("SIGKILL");
      await once(child, "exit");
      const backend = await openFileBackend({ root });
      assert.deepEqual(await readdir(join(root, ".incoming")), []);
      for (const name of await backend.list(`round${round}/`)) {
        const size = Number(name.split("-").at(-1));
        const bytes = await readWhole(backend, name);
        assert.equal(bytes.length, size, name);
        assert.ok(bytes.equals(seededRandom(size).bytes(size)), `${name} has other bytes`);
        seen++;
      }
      await backend.close();
    }
    assert.ok(seen > 6, `${seen} objects were put`);
  });

  test("two processes that put the same names both succeed", async () => {
    const first = startPutter("same");
    const second = startPutter("same");
    const reports = await Promise.all([once(first, "message"), once(second, "message")]);
    // Each has put ten objects without an error.
    assert.deepEqual(
      reports.map(([message]) => message),
      ["ten", "ten"],
    );
  });

  test("the temporary files of a living process are left alone", async () => {
    const child = startPutter("alive");
    await once(child, "message");
    for (let round = 0; round < 10; round++) await (await openFileBackend({ root })).close();
    assert.equal(child.exitCode, null);
  });

  test("a root that is missing, at open or later, is unavailable and not an empty store", async () => {
    await assert.rejects(openFileBackend({ root: join(folder, "elsewhere") }), withCode("backend_unavailable"));
    const backend = await openFileBackend({ root });
    await backend.put("a/one", [Buffer.from("x")]);
    await rename(root, join(folder, "away"));
    await mkdir(root); // as a mount point without its mount looks
    await assert.rejects(backend.read("a/two", 0, Buffer.alloc(1)), withCode("backend_unavailable"));
    await assert.rejects(backend.size("a/one"), withCode("backend_unavailable"));
    await assert.rejects(backend.list(""), withCode("backend_unavailable"));
    await assert.rejects(backend.delete("a/one"), withCode("backend_unavailable"));
    await assert.rejects(backend.put("a/two", [Buffer.from("y")]), withCode("backend_unavailable"));
    assert.deepEqual(await readdir(root), []);
    await backend.close();
  });

  test("a file from another file system is copied", async (context) => {
    const [here, shm] = await Promise.all([stat(folder), stat("/dev/shm").catch(() => undefined)]);
    if (shm === undefined || shm.dev === here.dev) return context.skip("/dev/shm is no other file system here");
    const other = await mkdtemp("/dev/shm/andiron-file-");
    try {
      const bytes = seededRandom(5).bytes(10_000);
      await writeFile(join(other, "source"), bytes);
      const backend = await openFileBackend({ root });
      await backend.putFile("copied", join(other, "source"));
      assert.deepEqual(await readWhole(backend, "copied"), bytes);
      assert.deepEqual(await readdir(join(root, ".incoming")), []);
      await backend.close();
    } finally {
      await rm(other, { recursive: true });
    }
  });

  test("a file of the same file system is linked, not copied", async () => {
    const source = join(folder, "source");
    await writeFile(source, "abc");
    const backend = await openFileBackend({ root });
    await backend.putFile("linked", source);
    assert.equal((await stat(join(root, "linked"))).ino, (await stat(source)).ino);
    await backend.close();
  });

  test("a name below an object, or of a folder, is refused", async () => {
    const backend = await openFileBackend({ root });
    await backend.put("a/b", [Buffer.from("x")]);
    await assert.rejects(backend.put("a/b/c", [Buffer.from("y")]), withCode("invalid_request"));
    await assert.rejects(backend.put("a", [Buffer.from("y")]), withCode("invalid_request"));
    await assert.rejects(backend.read("a", 0, Buffer.alloc(1)), withCode("invalid_request"));
    await backend.close();
  });

  test("a full queue refuses, and close refuses what waits but finishes what runs", async () => {
    const backend = await openFileBackend({ root, concurrentOperationsMax: 1, queuedOperationsMax: 1 });
    const running = backend.put("running", [Buffer.from("x")]);
    const queued = backend.put("queued", [Buffer.from("y")]);
    await assert.rejects(backend.put("refused", [Buffer.from("z")]), withCode("backend_unavailable"));
    const closing = backend.close();
    await assert.rejects(queued, withCode("shutting_down"));
    await Promise.all([running, closing]);
    await assert.rejects(backend.size("running"), withCode("shutting_down"));
    assert.deepEqual((await readdir(root)).sort(), [".incoming", "running"]);
  });
});
