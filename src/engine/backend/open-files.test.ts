// Descriptors by count: which are kept, which go, and that none goes under somebody who reads.

import assert from "node:assert/strict";
import { fstatSync } from "node:fs";
import { mkdtemp, rm, unlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { systemCodeOf } from "../../common/system-errors.ts";
import { OpenFiles } from "./open-files.ts";

/** A table of three descriptors, and a way to use files that are made on the first use. */
async function openTable(t: TestContext): Promise<{ files: OpenFiles; use: (name: string) => Promise<number>; folder: string }> {
  const folder = await mkdtemp(join(tmpdir(), "andiron-open-files-"));
  const files = new OpenFiles(3);
  t.after(async () => {
    await files.closeAll();
    await rm(folder, { recursive: true });
  });
  const use = async (name: string): Promise<number> => {
    await writeFile(join(folder, name), name);
    return files.use(name, join(folder, name), async (descriptor) => descriptor);
  };
  return { files, use, folder };
}

const isOpen = (files: OpenFiles, name: string): boolean => {
  const file = files.take(name);
  if (file !== undefined) files.give(file);
  return file !== undefined;
};

const isClosed = (descriptor: number): boolean => {
  try {
    fstatSync(descriptor);
    return false;
  } catch (error) {
    return systemCodeOf(error) === "EBADF";
  }
};

test("no more than allowed stay open, and who was used least recently goes", async (t) => {
  const { files, use } = await openTable(t);
  for (const name of ["a", "b", "c"]) await use(name);
  assert.ok(isOpen(files, "a"));
  await use("d");
  assert.equal(files.count, 3);
  assert.deepEqual(
    ["c", "a", "d", "b"].map((name) => files.take(name) !== undefined),
    [true, true, true, false],
  );
});

test("what is forgotten or driven out is closed by the last who reads it, not before", async (t) => {
  const { files, use } = await openTable(t);
  for (const name of ["a", "b"]) await use(name);
  const [a, b, again] = [files.take("a")!, files.take("b")!, files.take("b")!];
  files.forget("a");
  for (const name of ["c", "d", "e"]) await use(name);
  assert.deepEqual([isOpen(files, "a"), isOpen(files, "b")], [false, false]);
  files.give(b);
  assert.deepEqual(
    [a, b].map(({ descriptor }) => isClosed(descriptor)),
    [false, false],
  );
  files.give(a);
  files.give(again);
  await files.closeAll();
  assert.deepEqual(
    [a, b].map(({ descriptor }) => isClosed(descriptor)),
    [true, true],
  );
});

test("a file is not there to take while it is opened, nor after that failed", async (t) => {
  const { files, use, folder } = await openTable(t);
  const using = use("a");
  assert.equal(files.take("a"), undefined);
  await using;
  files.forget("a");
  await unlink(join(folder, "a"));
  await assert.rejects(
    files.use("a", join(folder, "a"), async () => undefined),
    { code: "ENOENT" },
  );
  assert.equal(files.take("a"), undefined);
  await use("a");
  assert.ok(isOpen(files, "a"));
});
