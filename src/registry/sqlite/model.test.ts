// Random programs over the embedded registry against a plain map: the same answers to every transaction and range, and
// a watch that, replayed, gives the same state.

import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import fc from "fast-check";
import { systemClock } from "../../common/clock.ts";
import { systemRandom } from "../../common/random.ts";
import { take } from "../contract-watch.ts";
import type { Entry, Operation, RangeRequest, RangeResult, Transaction, TransactionResult } from "../registry.ts";
import { openInlineRegistry } from "./open.ts";

/** The registry as a few lines: what the contract says, without disk, time or other processes. */
class Model {
  readonly entries = new Map<string, Entry>();
  revision = 0;

  transact({ compares, success, failure = [] }: Transaction): TransactionResult {
    const succeeded = compares.every((compare) => (this.entries.get(compare.key)?.modRevision ?? 0) === compare.modRevision);
    const next = this.revision + 1;
    for (const operation of succeeded ? success : failure) {
      const old = this.entries.get(operation.key);
      if (operation.kind === "put") {
        const { key, value } = operation;
        this.entries.set(key, { key, value, createRevision: old?.createRevision ?? next, modRevision: next });
      } else if (old === undefined) continue;
      else this.entries.delete(operation.key);
      this.revision = next;
    }
    return { succeeded, revision: this.revision };
  }

  range({ prefix, after = "", limit = 1000 }: RangeRequest): RangeResult {
    const matching = [...this.entries.values()].filter(({ key }) => key.startsWith(prefix) && key > after);
    const sorted = matching.sort((a, b) => (a.key < b.key ? -1 : 1));
    return { entries: sorted.slice(0, limit), more: sorted.length > limit, revision: this.revision };
  }
}

const key = fc.constantFrom("a", "a/1", "a/2", "a0", "b", "b/1");
const operation: fc.Arbitrary<Operation> = fc.oneof(
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant("put" as const), key, value: fc.string({ unit: "grapheme", maxLength: 5 }) }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("delete" as const), key }) },
);
const branch = fc.uniqueArray(operation, { selector: (one) => one.key, maxLength: 4 });
/** Compares name a key and whether to take its true revision or one that is off. */
const guess = fc.record({ key, offset: fc.constantFrom(0, 0, 0, 1) });
const step = fc.oneof(
  { weight: 3, arbitrary: fc.record({ compares: fc.array(guess, { maxLength: 3 }), success: branch, failure: branch }) },
  {
    weight: 1,
    arbitrary: fc.record({ prefix: fc.constantFrom("", "a", "a/", "b"), after: key, limit: fc.integer({ min: 1, max: 4 }) }),
  },
);

test("random programs give what the model gives, and the watch replays them", async () => {
  const directory = await mkdtemp(join(tmpdir(), "andiron-model-"));
  let runs = 0;
  const property = fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
    const path = join(directory, `${runs++}.db`);
    const registry = await openInlineRegistry({ path, random: systemRandom, clock: systemClock });
    try {
      const model = new Model();
      for (const one of steps) {
        if ("prefix" in one) {
          assert.deepEqual(await registry.range(one), model.range(one));
          continue;
        }
        const compares = one.compares.map((compare) => ({
          key: compare.key,
          modRevision: (model.entries.get(compare.key)?.modRevision ?? 0) + compare.offset,
        }));
        const transaction = { compares, success: one.success, failure: one.failure };
        assert.deepEqual(await registry.transact(transaction), model.transact(transaction));
      }
      assert.deepEqual(await registry.range({ prefix: "" }), model.range({ prefix: "" }));
      const replayed = new Map<string, Entry>();
      for (const batch of await take(registry.watch({ prefix: "", fromRevision: 1 }), model.revision)) {
        for (const event of batch.events) {
          if (event.entry === undefined) assert.ok(replayed.delete(event.key), "a delete of what was there");
          else replayed.set(event.key, event.entry);
        }
      }
      assert.deepEqual(replayed, new Map(model.entries));
    } finally {
      await registry.close();
    }
  });
  try {
    await fc.assert(property, { numRuns: 60 });
  } finally {
    await rm(directory, { recursive: true });
  }
});
