// atomically(): its guards, its retries, and when it gives up.

import assert from "node:assert/strict";
import { test } from "node:test";
import { systemClock } from "../common/clock.ts";
import { systemRandom } from "../common/random.ts";
import { atomically } from "./atomic.ts";
import { put, rejectsWith, write } from "./contract-context.ts";
import type { Registry } from "./registry.ts";
import { makeSqliteStore } from "./sqlite/contract-open.ts";

const options = { clock: systemClock, random: systemRandom };

function atomicTest(title: string, body: (registry: Registry) => Promise<void>): void {
  test(title, async () => {
    const store = await makeSqliteStore();
    const registry = await store.open();
    try {
      await body(registry);
    } finally {
      await registry.close();
      await store.remove();
    }
  });
}

atomicTest("all writes are one revision, and the body's value comes back with it", async (registry) => {
  const result = await atomically(registry, options, async (tx) => {
    assert.equal(await tx.get("a"), undefined);
    tx.put("a", "1");
    tx.put("b", "1");
    tx.delete("b");
    assert.deepEqual([await tx.get("a"), await tx.get("b")], ["1", undefined], "a transaction sees its own writes");
    return "value";
  });
  assert.deepEqual(result, { value: "value", revision: 1 });
  assert.deepEqual(
    (await registry.range({ prefix: "" })).entries.map((entry) => entry.key),
    ["a"],
  );
});

for (const [what, before] of [
  ["changes", true],
  ["appears", false],
] as const) {
  atomicTest(`when a key that was read ${what} meanwhile, the body runs again on the new state`, async (registry) => {
    if (before) await write(registry, put("a", "old"));
    const seen: (string | undefined)[] = [];
    await atomically(registry, options, async (tx) => {
      seen.push(await tx.get("a"));
      if (seen.length === 1) await write(registry, put("a", "new"));
      tx.put("b", "done");
    });
    assert.deepEqual(seen, [before ? "old" : undefined, "new"]);
    assert.equal((await registry.get("b"))?.modRevision, before ? 3 : 2);
  });
}

atomicTest("a body that throws writes nothing", async (registry) => {
  const failing = atomically(registry, options, async (tx) => {
    tx.put("a", "1");
    await Promise.reject(new RangeError("no"));
  });
  await assert.rejects(failing, RangeError);
  assert.equal(await registry.revision(), 0);
});

atomicTest("a race that is always lost ends in transaction_conflict", async (registry) => {
  let runs = 0;
  const losing = atomically(registry, { ...options, attemptsMax: 5 }, async (tx) => {
    await tx.get("a");
    await write(registry, put("a", `${++runs}`));
    tx.put("b", "never");
  });
  await rejectsWith("transaction_conflict", losing);
  assert.equal(runs, 5);
  assert.equal(await registry.get("b"), undefined);
});

atomicTest("many that add to one counter at a time all count", async (registry) => {
  const adders = Array.from({ length: 20 }, () =>
    atomically(registry, options, async (tx) => tx.put("n", String(Number((await tx.get("n")) ?? "0") + 1))),
  );
  await Promise.all(adders);
  assert.equal((await registry.get("n"))?.value, "20");
});
