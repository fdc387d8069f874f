// The lock with real processes: a second holder is refused and told who has it, a dead one never blocks, and two never
// hold it at once.

import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { AndironError } from "./errors.ts";
import { identifyProcess } from "./process-identity.ts";
import { lockState, readLockHolder } from "./state-lock.ts";

const folder = mkdtempSync(join(tmpdir(), "lock-"));
after(() => rmSync(folder, { recursive: true }));
let count = 0;
const newDirectory = (): string => join(folder, String(++count));

const start = (...argv: string[]): ChildProcess => {
  const program = join(import.meta.dirname, "lock-loop.fixture.ts");
  return spawn(process.execPath, [program, ...argv], { stdio: ["ignore", "pipe", "inherit"] });
};
const startHolder = async (directory: string): Promise<ChildProcess> => {
  const holder = start(directory);
  await once(holder.stdout!, "data");
  return holder;
};
const kill = async (child: ChildProcess): Promise<void> => {
  child.kill("SIGKILL");
  await once(child, "exit");
};
const refusal = (directory: string): AndironError => {
  try {
    lockState(directory);
  } catch (error) {
    assert.ok(error instanceof AndironError && error.code === "state_locked", String(error));
    return error;
  }
  return assert.fail("the lock was given twice");
};

test("a live holder is respected and named; killed with -9, it no longer blocks", async () => {
  const directory = newDirectory();
  for (let round = 0; round < 5; round++) {
    const holder = await startHolder(directory);
    try {
      assert.match(refusal(directory).message, new RegExp(`in use by pid ${holder.pid} \\(.*lock-loop\\.fixture\\.ts`));
      assert.deepEqual(readLockHolder(directory), identifyProcess(holder.pid!));
    } finally {
      await kill(holder);
    }
    assert.equal(readLockHolder(directory), undefined);
    lockState(directory).release();
  }
});

test("the lock excludes the own process too, until it is released", () => {
  const directory = newDirectory();
  const lock = lockState(directory);
  assert.match(refusal(directory).message, new RegExp(`pid ${process.pid} `));
  refusal(directory); // being refused twice must not cost the holder its lock
  lock.release();
  lock.release();
  lockState(directory).release();
});

test("a lock whose handle was thrown away is still held after garbage collection", async () => {
  const directory = newDirectory();
  const program = join(import.meta.dirname, "lock-loop.fixture.ts");
  const holder = spawn(process.execPath, ["--expose-gc", program, directory], { stdio: ["ignore", "pipe", "inherit"] });
  try {
    await once(holder.stdout, "data");
    refusal(directory);
  } finally {
    await kill(holder);
  }
});

test("a holder survives that others are refused", async () => {
  const directory = newDirectory();
  const lock = lockState(directory);
  const rival = start(directory, "contend", "1");
  await new Promise((resolve) => setTimeout(resolve, 300));
  assert.equal(rival.exitCode, null);
  lock.release();
  assert.deepEqual(await once(rival, "exit"), [0, null]);
});

test("three processes that take and release it never hold it at once", async () => {
  const directory = newDirectory();
  const rivals = [1, 2, 3].map(() => start(directory, "contend", "60"));
  const said: string[] = [];
  for (const rival of rivals) rival.stdout!.on("data", (data: Buffer) => said.push(data.toString()));
  const codes = await Promise.all(rivals.map((rival) => once(rival, "exit")));
  assert.deepEqual(
    codes,
    [
      [0, null],
      [0, null],
      [0, null],
    ],
    said.join(""),
  );
});

test("what a dead process left in lock.json is not believed, nor is rubbish", () => {
  const directory = newDirectory();
  lockState(directory).release();
  const self = identifyProcess(process.pid)!;
  writeFileSync(join(directory, "lock.json"), JSON.stringify({ ...self, startTicks: self.startTicks - 1 }));
  assert.equal(readLockHolder(directory), undefined);
  writeFileSync(join(directory, "lock.json"), "{");
  assert.equal(readLockHolder(directory), undefined);
  lockState(directory).release();
});

test("a released lock leaves one empty file", () => {
  const directory = newDirectory();
  lockState(directory).release();
  assert.deepEqual(readdirSync(directory), ["lock"]);
  assert.ok(existsSync(join(directory, "lock")));
});
