// The contract suite: every sentence of registry.ts, tested over any implementation. Used by test files only.
// Parts: transactions and ranges here, watches in contract-watch.ts, leases in contract-lease.ts, several processes and
// kill -9 in contract-process.ts.
//
// An implementation calls registryContract(name, makeStore). Each test gets a store of its own.

import assert from "node:assert/strict";
import { describe } from "node:test";
import { defineWith, del, put, rejectsWith, write } from "./contract-context.ts";
import type { DefineTest, MakeStore } from "./contract-context.ts";
import { leaseContract } from "./contract-lease.ts";
import { processContract } from "./contract-process.ts";
import { watchContract } from "./contract-watch.ts";
import { registryLimits } from "./registry.ts";
import type { Registry } from "./registry.ts";

/** Defines the whole suite under `name`. */
export function registryContract(name: string, makeStore: MakeStore): void {
  describe(`registry contract: ${name}`, () => {
    const define = defineWith(makeStore);
    transactionContract(define);
    rangeContract(define);
    limitContract(define);
    watchContract(define);
    leaseContract(define);
    processContract(define);
  });
}

function transactionContract(define: DefineTest): void {
  define("an empty store is at revision 0 and holds nothing", async ({ registry }) => {
    assert.equal(await registry.revision(), 0);
    assert.equal(await registry.get("nothing"), undefined);
    assert.deepEqual(await registry.range({ prefix: "" }), { entries: [], more: false, revision: 0 });
  });

  define("all writes of a transaction bear its revision, and revisions grow by each", async ({ registry }) => {
    const first = await write(registry, put("a", "1"), put("b", "2"));
    assert.deepEqual(first, { succeeded: true, revision: 1 });
    const second = await write(registry, put("a", "3"), del("b"));
    assert.equal(second.revision, 2);
    assert.deepEqual(await registry.get("a"), { key: "a", value: "3", createRevision: 1, modRevision: 2 });
    assert.equal(await registry.get("b"), undefined);
    assert.equal(await registry.revision(), 2);
  });

  define("a key that is created anew has a new createRevision", async ({ registry }) => {
    await write(registry, put("a", "1"));
    await write(registry, del("a"));
    await write(registry, put("a", "2"));
    assert.equal((await registry.get("a"))?.createRevision, 3);
  });

  define("one compare that does not hold leaves everything undone and does `failure` instead", async ({ registry }) => {
    await write(registry, put("a", "1"));
    const compares = [
      { key: "a", modRevision: 1 },
      { key: "b", modRevision: 7 },
    ];
    const lost = await registry.transact({ compares, success: [put("a", "2")] });
    assert.deepEqual(lost, { succeeded: false, revision: 1 });
    const other = await registry.transact({ compares, success: [put("a", "2")], failure: [put("c", "failed")] });
    assert.deepEqual(other, { succeeded: false, revision: 2 });
    assert.equal((await registry.get("a"))?.value, "1");
    assert.equal((await registry.get("c"))?.modRevision, 2);
  });

  define("a compare with 0 holds only for a key that does not exist", async ({ registry }) => {
    const create = { compares: [{ key: "a", modRevision: 0 }], success: [put("a", "mine")] };
    assert.equal((await registry.transact(create)).succeeded, true);
    assert.equal((await registry.transact(create)).succeeded, false);
    await write(registry, del("a"));
    assert.equal((await registry.transact(create)).succeeded, true);
  });

  define("of many that race for one key exactly one wins, whether in one handle or in two", async ({ registry, open }) => {
    const other = await open();
    const attempts = Array.from({ length: 40 }, (_, i) =>
      (i % 2 === 0 ? registry : other).transact({ compares: [{ key: "a", modRevision: 0 }], success: [put("a", `${i}`)] }),
    );
    const won = (await Promise.all(attempts)).filter((result) => result.succeeded);
    assert.deepEqual(won, [{ succeeded: true, revision: 1 }]);
  });

  define("a transaction that writes nothing gets no revision", async ({ registry }) => {
    await write(registry, put("a", "1"));
    assert.deepEqual(await write(registry), { succeeded: true, revision: 1 });
    assert.deepEqual(await write(registry, del("missing")), { succeeded: true, revision: 1 });
    assert.equal(await registry.revision(), 1);
  });

  define("what one handle was told is done, another one reads", async ({ registry, open }) => {
    const other = await open();
    for (let i = 1; i <= 20; i++) {
      const [writer, reader] = i % 2 === 0 ? [registry, other] : [other, registry];
      await write(writer, put("a", `${i}`));
      assert.equal((await reader.get("a"))?.value, `${i}`);
      assert.equal((await reader.range({ prefix: "a" })).revision, i);
    }
  });

  define("what was acknowledged is there when the store is opened again", async ({ registry, open }) => {
    await write(registry, put("a", "1"));
    await registry.close();
    const again = await open();
    assert.equal((await again.get("a"))?.value, "1");
    assert.equal((await write(again, put("b", "2"))).revision, 2);
  });

  define("values come back as they were: empty, NUL, any plane of Unicode", async ({ registry }) => {
    for (const value of [
      "",
      "a\0b",
      "é€𝄞",
      "\u2028\ufeff\uffff",
      '{"v":1,"quote":"\\""}',
      "x".repeat(registryLimits.valueBytesMax),
    ]) {
      await write(registry, put("a", value));
      assert.equal((await registry.get("a"))?.value, value);
    }
  });

  define(
    "close() finishes what was asked; then every call is shutting_down, and closing again is harmless",
    async ({ registry, open }) => {
      const pending = write(registry, put("a", "1"));
      const closing = registry.close();
      assert.equal((await pending).succeeded, true);
      await closing;
      await registry.close();
      await rejectsWith("shutting_down", registry.get("a"));
      await rejectsWith("shutting_down", write(registry, put("a", "2")));
      assert.throws(() => registry.watch({ prefix: "", fromRevision: 1 }), { code: "shutting_down" });
      assert.equal((await (await open()).get("a"))?.value, "1");
    },
  );
}

function rangeContract(define: DefineTest): void {
  const keysOf = async (registry: Registry, prefix: string, after?: string): Promise<string[]> => {
    const result = await registry.range(after === undefined ? { prefix } : { prefix, after });
    return result.entries.map((entry) => entry.key);
  };

  define("a range is all keys with the prefix, in bytewise order", async ({ registry }) => {
    const keys = ["!", "A", "B/1", "a", "a/1", "a/10", "a/2", "a/~", "a0", "b", "~", "~~"];
    await write(registry, ...keys.toReversed().map((key) => put(key, "v")));
    assert.deepEqual(await keysOf(registry, ""), keys);
    assert.deepEqual(await keysOf(registry, "a/"), ["a/1", "a/10", "a/2", "a/~"]);
    assert.deepEqual(await keysOf(registry, "a/1"), ["a/1", "a/10"]);
    assert.deepEqual(await keysOf(registry, "~"), ["~", "~~"]);
    assert.deepEqual(await keysOf(registry, "%"), []);
  });

  define("`after` starts strictly behind a key, also one outside the prefix", async ({ registry }) => {
    await write(registry, put("a/1", ""), put("a/2", ""), put("a/3", ""));
    assert.deepEqual(await keysOf(registry, "a/", "a/1"), ["a/2", "a/3"]);
    assert.deepEqual(await keysOf(registry, "a/", "a/15"), ["a/2", "a/3"]);
    assert.deepEqual(await keysOf(registry, "a/", "A"), ["a/1", "a/2", "a/3"]);
    assert.deepEqual(await keysOf(registry, "a/", "b"), []);
  });

  define("pages with `limit` cover everything once, and `more` tells the end", async ({ registry }) => {
    const keys = Array.from({ length: 25 }, (_, i) => `k/${String(i).padStart(2, "0")}`);
    await write(registry, ...keys.map((key) => put(key, key)));
    const seen: string[] = [];
    let after = "";
    for (const more of [true, true, false]) {
      const page = await registry.range({ prefix: "k/", after, limit: 10 });
      assert.equal(page.more, more);
      seen.push(...page.entries.map((entry) => entry.key));
      after = seen.at(-1) ?? "";
    }
    assert.deepEqual(seen, keys);
    assert.equal((await registry.range({ prefix: "k/", limit: 25 })).more, false);
  });

  define("a range of big values ends early and says so", async ({ registry }) => {
    const value = "x".repeat(registryLimits.valueBytesMax);
    const count = registryLimits.rangeBytesMax / value.length + 3;
    for (let i = 0; i < count; i++) await write(registry, put(`big/${String(i).padStart(3, "0")}`, value));
    const first = await registry.range({ prefix: "big/" });
    assert.equal(first.more, true);
    assert.equal(first.entries.length, registryLimits.rangeBytesMax / value.length);
    const rest = await registry.range({ prefix: "big/", after: first.entries.at(-1)?.key ?? "" });
    assert.deepEqual([rest.entries.length, rest.more], [3, false]);
  });
}

function limitContract(define: DefineTest): void {
  const { operationsMax, keyBytesMax, valueBytesMax } = registryLimits;

  define("malformed requests are refused as such, and nothing is done", async ({ registry }) => {
    const badKeys = ["", " ", "a b", "ä", "a\n", "\x7f", "k".repeat(keyBytesMax + 1)];
    for (const key of badKeys) {
      await rejectsWith("invalid_request", registry.get(key));
      await rejectsWith("invalid_request", write(registry, put("good", "1"), put(key, "1")));
      await rejectsWith("invalid_request", write(registry, del(key)));
      await rejectsWith("invalid_request", registry.transact({ compares: [{ key, modRevision: 0 }], success: [] }));
    }
    await rejectsWith("invalid_request", write(registry, put("a", "\ud800")));
    await rejectsWith("invalid_request", write(registry, put("a", "1"), del("a")));
    await rejectsWith(
      "invalid_request",
      registry.transact({ compares: [], success: [], failure: [put("a", "1"), put("a", "2")] }),
    );
    for (const modRevision of [-1, 0.5, Number.NaN]) {
      await rejectsWith("invalid_request", registry.transact({ compares: [{ key: "a", modRevision }], success: [] }));
    }
    for (const limit of [0, -1, 1.5, registryLimits.rangeEntriesMax + 1]) {
      await rejectsWith("invalid_request", registry.range({ prefix: "", limit }));
    }
    await rejectsWith("invalid_request", registry.range({ prefix: "a b" }));
    assert.throws(() => registry.watch({ prefix: "", fromRevision: 0 }), { code: "invalid_request" });
    assert.equal(await registry.revision(), 0);
  });

  define("the largest transaction goes through, one more operation or byte does not", async ({ registry }) => {
    const longest = put("k".repeat(keyBytesMax), "x".repeat(valueBytesMax));
    assert.equal((await write(registry, longest)).revision, 1);
    await rejectsWith("record_too_large", write(registry, put("a", "x".repeat(valueBytesMax + 1))));
    await rejectsWith("record_too_large", write(registry, put("a", "€".repeat(valueBytesMax / 3 + 1))));

    const many = Array.from({ length: operationsMax }, (_, i) => put(`many/${i}`, "v"));
    const compares = many.map((_, i) => ({ key: `none/${i}`, modRevision: 0 }));
    assert.equal((await registry.transact({ compares, success: many, failure: many })).revision, 2);
    const oneMore = { key: "none", modRevision: 0 };
    await rejectsWith("transaction_too_large", registry.transact({ compares: [...compares, oneMore], success: [] }));
    await rejectsWith("transaction_too_large", write(registry, ...many, del("x")));
    await rejectsWith("transaction_too_large", registry.transact({ compares: [], success: [], failure: [...many, del("x")] }));

    const keyBytes = 1;
    const filled = ["a", "b", "c", "d"].map((key) => put(key, "x".repeat(valueBytesMax - keyBytes)));
    assert.equal((await write(registry, ...filled)).revision, 3);
    await rejectsWith("transaction_too_large", registry.transact({ compares: [{ key: "e", modRevision: 0 }], success: filled }));
    assert.equal(await registry.revision(), 3);
  });

  define("too many waiting requests are refused, and the others are done", async ({ registry }) => {
    const excess = 50;
    const asked = Array.from({ length: registryLimits.pendingTransactionsMax + excess }, () => registry.get("a"));
    const answers = await Promise.allSettled(asked);
    const refused = answers.filter((answer) => answer.status === "rejected");
    assert.equal(refused.length, excess);
    for (const { reason } of refused) assert.equal((reason as { code?: string }).code, "registry_unavailable");
    assert.equal(await registry.get("a"), undefined);
  });
}
