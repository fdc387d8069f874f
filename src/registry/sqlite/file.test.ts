// The file under the embedded registry: what is refused, what is repaired, what is bounded, and who else may look.

import assert from "node:assert/strict";
import { mkdtemp, open as openFile, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { test } from "node:test";
import { systemRandom } from "../../common/random.ts";
import { put, rejectsWith, write } from "../contract-context.ts";
import { take } from "../contract-watch.ts";
import { registryLimits } from "../registry.ts";
import type { Registry } from "../registry.ts";
import { revisionsMin } from "./history.ts";
import { openSqliteReader, openSqliteRegistry } from "./open.ts";
import type { SqliteRegistryOptions } from "./open.ts";

interface Bench {
  readonly path: string;
  open(options?: Partial<SqliteRegistryOptions>): Promise<Registry>;
}

function fileTest(title: string, body: (bench: Bench) => Promise<void>): void {
  test(title, async () => {
    const directory = await mkdtemp(join(tmpdir(), "andiron-file-"));
    const path = join(directory, "registry.db");
    const handles: Registry[] = [];
    const open = async (options: Partial<SqliteRegistryOptions> = {}): Promise<Registry> => {
      const handle = await openSqliteRegistry({ path, random: systemRandom, ...options });
      handles.push(handle);
      return handle;
    };
    try {
      await body({ path, open });
    } finally {
      for (const handle of handles) await handle.close();
      await rm(directory, { recursive: true });
    }
  });
}

async function execute(path: string, sql: string): Promise<void> {
  const database = new DatabaseSync(path);
  database.exec(sql);
  database.close();
  await Promise.resolve();
}

fileTest("a new file is for its owner only, in WAL mode, and says its version", async ({ path, open }) => {
  await write(await open(), put("a", "secret"));
  for (const name of [path, `${path}-wal`, `${path}-shm`]) assert.equal((await stat(name)).mode & 0o777, 0o600, name);
  const database = new DatabaseSync(path, { readOnly: true });
  assert.deepEqual({ ...database.prepare("PRAGMA journal_mode").get() }, { journal_mode: "wal" });
  assert.deepEqual({ ...database.prepare("SELECT max(version) AS version FROM ledger").get() }, { version: 1 });
  database.close();
});

fileTest("a file of a newer version is refused, untouched, by services and by tools", async ({ path, open }) => {
  await (await open()).close();
  await execute(path, "PRAGMA user_version = 99");
  const before = await readFile(path);
  await rejectsWith("registry_too_new", open());
  assert.throws(() => openSqliteReader(path), { code: "registry_too_new" });
  assert.deepEqual(await readFile(path), before);
});

fileTest("an upgrade by a newer program stops a running older one from writing", async ({ path, open }) => {
  const registry = await open();
  await write(registry, put("a", "1"));
  await execute(path, "PRAGMA user_version = 99");
  await rejectsWith("registry_too_new", write(registry, put("a", "2")));
  await execute(path, "PRAGMA user_version = 1");
  assert.equal((await registry.get("a"))?.value, "1");
});

fileTest("a database of another program is refused, untouched", async ({ path, open }) => {
  await execute(path, "CREATE TABLE theirs (x)");
  const before = await readFile(path);
  await rejectsWith("registry_damaged", open());
  assert.throws(() => openSqliteReader(path), { code: "registry_damaged" });
  assert.deepEqual(await readFile(path), before);
});

fileTest("a damaged head is refused; an empty file, left by a kill, becomes a registry", async ({ path, open }) => {
  await writeFile(path, "this is not a database, it is a letter to one".repeat(100));
  await rejectsWith("registry_damaged", open());
  await writeFile(path, "");
  assert.equal((await write(await open(), put("a", "1"))).revision, 1);
});

fileTest("damaged pages give an error, never wrong records", async ({ path, open }) => {
  const registry = await open();
  for (let i = 0; i < 40; i++) await write(registry, put(`k/${i}`, "x".repeat(3000)));
  await registry.close();
  const file = await openFile(path, "r+");
  const { size } = await file.stat();
  await file.write(Buffer.alloc(size - 8192, 0xa5), 0, size - 8192, 8192);
  await file.close();
  await rejectsWith(
    "registry_damaged",
    open().then((again) => again.range({ prefix: "" })),
  );
});

fileTest("a path that cannot be is registry_unavailable", async ({ path, open }) => {
  await writeFile(path, "");
  await rejectsWith("registry_unavailable", open({ path: join(path, "below-a-file.db") }));
  await rejectsWith("registry_unavailable", open({ path: join(path, "..") }));
});

fileTest(
  "a writer that holds the lock holds up writes, not reads; too long gives registry_unavailable",
  async ({ path, open }) => {
    const registry = await open({ lockTimeoutMs: 300 });
    await write(registry, put("a", "1"));
    const locker = new DatabaseSync(path);
    locker.exec("BEGIN IMMEDIATE");
    const waiting = write(registry, put("a", "2"));
    assert.equal((await registry.get("a"))?.value, "1");
    await rejectsWith("registry_unavailable", waiting);
    locker.exec("ROLLBACK");
    locker.close();
    assert.equal((await write(registry, put("a", "3"))).revision, 2);
  },
);

fileTest(
  "when SQLite fails amid a group the whole group is undone, and it goes on once the cause is gone",
  async ({ path, open }) => {
    const registry = await open();
    await write(registry, put("a", "1"));
    const value = "x".repeat(registryLimits.valueBytesMax);
    const locker = new DatabaseSync(path);
    locker.exec(
      "CREATE TRIGGER full BEFORE INSERT ON changes WHEN length(NEW.events) > 200000 BEGIN SELECT RAISE(ABORT, 'full'); END",
    );
    const both = [write(registry, put("b", "small")), write(registry, put("c", "2"), put("d", value))];
    for (const one of both) await rejectsWith("registry_unavailable", one);
    assert.equal((await registry.range({ prefix: "" })).entries.length, 1);
    locker.exec("DROP TRIGGER full");
    locker.close();
    assert.equal((await write(registry, put("c", "2"), put("d", value))).revision, 2);
    assert.equal((await take(registry.watch({ prefix: "", fromRevision: 1 }), 2)).length, 2);
  },
);

fileTest("history is bounded by number, and keeps the last revisions", async ({ open }) => {
  const max = 300;
  const registry = await open({ historyRevisionsMax: max });
  for (let i = 0; i < 1000; i += 50) await Promise.all(Array.from({ length: 50 }, () => write(registry, put("a", "1"))));
  await rejectsWith("watch_compacted", take(registry.watch({ prefix: "", fromRevision: 1000 - max }), 1));
  assert.equal((await take(registry.watch({ prefix: "", fromRevision: 1000 - max + 1 }), max)).at(-1)?.revision, 1000);
});

fileTest("history is bounded by bytes, but the last thousand revisions stay", async ({ open }) => {
  const registry = await open({ historyBytesMax: 100_000 });
  const total = revisionsMin + 500;
  for (let i = 0; i < total; i += 10)
    await Promise.all(Array.from({ length: 10 }, () => write(registry, put("a", "x".repeat(200)))));
  const first = total - revisionsMin + 1;
  await rejectsWith("watch_compacted", take(registry.watch({ prefix: "", fromRevision: first - 100 }), 1));
  assert.equal((await take(registry.watch({ prefix: "", fromRevision: first }), revisionsMin)).length, revisionsMin);
});

fileTest("a tool reads while a service writes, and cannot write", async ({ path, open }) => {
  const registry = await open();
  await write(registry, put("a", "1"));
  const reader = openSqliteReader(path);
  assert.equal((await reader.get("a"))?.value, "1");
  await write(registry, put("a", "2"));
  assert.deepEqual(await reader.range({ prefix: "" }), await registry.range({ prefix: "" }));
  assert.equal(await reader.revision(), 2);
  await rejectsWith("invalid_request", reader.get(""));
  await reader.close();
  assert.throws(() => openSqliteReader(`${path}.missing`), { code: "registry_unavailable" });
});
