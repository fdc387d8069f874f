// The contract suite's part about watches and compaction. See contract.ts.

import assert from "node:assert/strict";
import { del, put, rejectsWith, write } from "./contract-context.ts";
import type { DefineTest } from "./contract-context.ts";
import { registryLimits } from "./registry.ts";
import type { Registry, Watch, WatchBatch } from "./registry.ts";

/** The next `count` batches, without ending the watch. */
export async function take(watch: Watch, count: number): Promise<WatchBatch[]> {
  const iterator = watch[Symbol.asyncIterator]();
  const batches: WatchBatch[] = [];
  while (batches.length < count) {
    const result = await iterator.next();
    if (result.done === true) break;
    batches.push(result.value);
  }
  return batches;
}

function revisionsOf(batches: readonly WatchBatch[]): number[] {
  return batches.map((batch) => batch.revision);
}

async function writeMany(registry: Registry, count: number, value = ""): Promise<void> {
  const width = 500;
  for (let i = 0; i < count; i += width) {
    const some = Array.from({ length: Math.min(width, count - i) }, (_, j) =>
      write(registry, put("many", `${value}${i + j + 1}`)),
    );
    await Promise.all(some);
  }
}

export function watchContract(define: DefineTest): void {
  deliveryContract(define);
  progressContract(define);
  compactionContract(define);
}

function deliveryContract(define: DefineTest): void {
  define("a watch delivers each transaction as one batch, with entries as they were", async ({ registry }) => {
    await write(registry, put("a", "1"), put("b", "1"));
    await write(registry, put("a", "2"), del("b"));
    const [first, second] = await take(registry.watch({ prefix: "", fromRevision: 1 }), 2);
    const a = { key: "a", value: "1", createRevision: 1, modRevision: 1 };
    assert.deepEqual(first, {
      revision: 1,
      events: [
        { kind: "put", key: "a", entry: a },
        { kind: "put", key: "b", entry: { ...a, key: "b" } },
      ],
    });
    assert.deepEqual(second, {
      revision: 2,
      events: [
        { kind: "put", key: "a", entry: { ...a, value: "2", modRevision: 2 } },
        { kind: "delete", key: "b" },
      ],
    });
  });

  define("a watch goes from history over to what comes, with no gap and none twice", async ({ registry, open }) => {
    const other = await open();
    await writeMany(registry, 50);
    const watch = registry.watch({ prefix: "", fromRevision: 11 });
    const writing = Promise.all([writeMany(registry, 50), writeMany(other, 50)]);
    assert.deepEqual(
      revisionsOf(await take(watch, 140)),
      Array.from({ length: 140 }, (_, i) => 11 + i),
    );
    await writing;
  });

  define("a watch sees what other handles write, and each watch sees everything", async ({ registry, open }) => {
    const other = await open();
    const watches = [registry, other, registry].map((handle) => handle.watch({ prefix: "", fromRevision: 1 }));
    await write(registry, put("a", "1"));
    await write(other, put("a", "2"));
    for (const watch of watches) assert.deepEqual(revisionsOf(await take(watch, 2)), [1, 2]);
  });

  define("a watch shows only its prefix, and only batches that touch it", async ({ registry }) => {
    const watch = registry.watch({ prefix: "a/", fromRevision: 1 });
    await write(registry, put("b/1", ""), put("a", ""));
    await write(registry, put("b/1", ""), put("a/1", ""), del("b/none"));
    await write(registry, del("b/1"), del("a"));
    await write(registry, del("a/1"));
    const batches = await take(watch, 2);
    assert.deepEqual(
      batches.map((batch) => [batch.revision, ...batch.events.map((event) => `${event.kind} ${event.key}`)]),
      [
        [2, "put a/1"],
        [4, "delete a/1"],
      ],
    );
  });

  define("a watch from a revision that is yet to come begins there", async ({ registry }) => {
    const watch = registry.watch({ prefix: "", fromRevision: 3 });
    await writeMany(registry, 4);
    assert.deepEqual(revisionsOf(await take(watch, 2)), [3, 4]);
  });

  define("a watch ends when it is closed, when its loop is left, and with its handle", async ({ registry }) => {
    await writeMany(registry, 3);
    const closed = registry.watch({ prefix: "", fromRevision: 4 });
    const waiting = take(closed, 1);
    closed.close();
    assert.deepEqual(await waiting, []);

    const left = registry.watch({ prefix: "", fromRevision: 1 });
    for await (const batch of left) {
      if (batch.revision === 2) break;
    }
    assert.deepEqual(await take(left, 1), []);

    const open = registry.watch({ prefix: "", fromRevision: 4 });
    const end = take(open, 1);
    await registry.close();
    assert.deepEqual(await end, []);
  });

  define("a slow reader is held up but loses nothing, however far it falls behind", async ({ registry }) => {
    const count = registryLimits.watchBacklogBatchesMax * 2 + 300;
    const watch = registry.watch({ prefix: "", fromRevision: 1 });
    await writeMany(registry, count);
    assert.deepEqual(
      revisionsOf(await take(watch, count)),
      Array.from({ length: count }, (_, i) => i + 1),
    );
  });

  define("a slow reader of big batches loses nothing either", async ({ registry }) => {
    const value = "x".repeat(registryLimits.valueBytesMax - 10);
    const count = (registryLimits.watchBacklogBytesMax / registryLimits.valueBytesMax) * 2;
    const watch = registry.watch({ prefix: "", fromRevision: 1 });
    await writeMany(registry, count, value);
    const batches = await take(watch, count);
    assert.equal(batches.at(-1)?.revision, count);
    assert.equal(batches.at(-1)?.events[0]?.entry?.value, `${value}${count}`);
  });

  define("a handle has a limit of watches, and closing one makes room", async ({ registry }) => {
    const watches = Array.from({ length: registryLimits.watchesMax }, () => registry.watch({ prefix: "", fromRevision: 1 }));
    assert.throws(() => registry.watch({ prefix: "", fromRevision: 1 }), { code: "limit_exceeded" });
    watches[0]?.close();
    const last = registry.watch({ prefix: "", fromRevision: 1 });
    await write(registry, put("a", "1"));
    assert.deepEqual(revisionsOf(await take(last, 1)), [1]);
  });
}

function progressContract(define: DefineTest): void {
  define("with progress, a watch of a quiet prefix tells how far it has come", async ({ registry, open }) => {
    const other = await open();
    const watch = registry.watch({ prefix: "quiet/", fromRevision: 1, progress: true });
    await writeMany(registry, 30);
    await write(registry, put("quiet/1", ""));
    await writeMany(other, 30);
    const target = await other.revision();
    const seen: WatchBatch[] = [];
    for await (const batch of watch) {
      assert.ok(batch.revision > (seen.at(-1)?.revision ?? 0), "revisions grow");
      seen.push(batch);
      if (batch.revision >= target) break;
    }
    assert.equal(seen.at(-1)?.revision, target);
    const withEvents = seen.filter((batch) => batch.events.length > 0);
    assert.deepEqual(revisionsOf(withEvents), [31]);
  });
}

function compactionContract(define: DefineTest): void {
  define("compact() forgets the history below a revision, not the data", async ({ registry, open }) => {
    const other = await open();
    await writeMany(registry, 10);
    await write(registry, put("old", "kept"));
    await writeMany(registry, 5);
    await registry.compact(8);
    for (const handle of [registry, other]) {
      await rejectsWith("watch_compacted", take(handle.watch({ prefix: "", fromRevision: 7 }), 1));
      assert.deepEqual(
        revisionsOf(await take(handle.watch({ prefix: "", fromRevision: 8 }), 9)),
        [8, 9, 10, 11, 12, 13, 14, 15, 16],
      );
      assert.equal((await handle.get("old"))?.createRevision, 11);
    }
  });

  define("compact() again, or lower, is no error; beyond the head it is; revisions go on", async ({ registry }) => {
    await writeMany(registry, 5);
    await registry.compact(5);
    await registry.compact(5);
    await registry.compact(2);
    await rejectsWith("watch_compacted", take(registry.watch({ prefix: "", fromRevision: 4 }), 1));
    await rejectsWith("invalid_request", registry.compact(6));
    await rejectsWith("invalid_request", registry.compact(0));
    assert.equal((await write(registry, put("a", "1"))).revision, 6);
    assert.deepEqual(revisionsOf(await take(registry.watch({ prefix: "", fromRevision: 5 }), 2)), [5, 6]);
  });
}
