// Random programs of puts, gets, deletes and lists against a Map that says what must come out. For stores whose lists do not lag.
// It is part of no running service.

import assert from "node:assert/strict";
import fc from "fast-check";
import { AndironError } from "../common/errors.ts";
import type { ObjectStore } from "./object-store.ts";

const names = ["a", "b", "c/a", "c/b", "c/d/e", "c-d", "c.d", "c0", "Z"] as const;

const name = fc.constantFrom(...names);
const bytes = fc.uint8Array({ maxLength: 300 }).map((array) => Buffer.from(array));
const step = fc.oneof(
  fc.record({ verb: fc.constant("put" as const), name, bytes, ifAbsent: fc.boolean() }),
  fc.record({ verb: fc.constant("get" as const), name }),
  fc.record({ verb: fc.constant("part" as const), name, offset: fc.nat(320), length: fc.integer({ min: 1, max: 320 }) }),
  fc.record({ verb: fc.constant("delete" as const), name }),
  fc.record({
    verb: fc.constant("list" as const),
    prefix: fc.constantFrom("", "c", "c/", "c/d", "c/d/", "x", "Z"),
    after: fc.constantFrom("", ...names, "c/", "c/c", "~"),
    limit: fc.integer({ min: 1, max: 12 }),
  }),
);

type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

/** Runs `programs` random programs, each on a store of its own that `open` gives and `close` ends. */
export async function checkModel(programs: number, open: () => Promise<ObjectStore>): Promise<void> {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
      const store = await open();
      const model = new Map<string, Buffer>();
      try {
        for (const each of steps)
          assert.deepEqual(await outcomeOf(() => run(store, each)), await outcomeOf(() => predict(model, each)));
      } finally {
        await store.close();
      }
    }),
    { numRuns: programs },
  );
}

async function outcomeOf(body: () => unknown): Promise<unknown> {
  try {
    return await body();
  } catch (error) {
    if (error instanceof AndironError) return error.code;
    throw error;
  }
}

async function run(store: ObjectStore, asked: Step): Promise<unknown> {
  switch (asked.verb) {
    case "put":
      await store.put(asked.name, asked.bytes, { ifAbsent: asked.ifAbsent });
      return "put";
    case "get":
      return store.get(asked.name);
    case "part":
      return store.get(asked.name, { offset: asked.offset, length: asked.length });
    case "delete":
      await store.delete(asked.name);
      return (await store.head(asked.name)) ?? "gone";
    case "list": {
      const { prefix, after, limit } = asked;
      const { objects } = await store.list(prefix, { after, limit });
      return objects.map((object) => `${object.name} ${object.sizeBytes}`);
    }
  }
}

function predict(model: Map<string, Buffer>, asked: Step): unknown {
  switch (asked.verb) {
    case "put":
      if (asked.ifAbsent && model.has(asked.name)) throw new AndironError("object_exists", "");
      model.set(asked.name, asked.bytes);
      return "put";
    case "get":
    case "part": {
      const present = model.get(asked.name);
      if (present === undefined) throw new AndironError("object_not_found", "");
      if (asked.verb === "get") return present;
      if (asked.offset + asked.length > present.length) throw new AndironError("out_of_range", "");
      return present.subarray(asked.offset, asked.offset + asked.length);
    }
    case "delete":
      model.delete(asked.name);
      return "gone";
    case "list": {
      const found = [...model.keys()].filter((key) => key.startsWith(asked.prefix) && key > asked.after).sort();
      return found.slice(0, asked.limit).map((key) => `${key} ${model.get(key)!.length}`);
    }
  }
}
