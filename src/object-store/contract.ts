// The promises of ObjectStore (object-store.ts) as tests, the same for every implementation: testContract(open) inside a test
// file. It is part of no running service. Names are under a prefix of their own, so that a store may be used again.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { AndironError, type ErrorCode } from "../common/errors.ts";
import { seededRandom, systemRandom } from "../common/random.ts";
import { type ListedObject, type ObjectStore, objectLimits } from "./object-store.ts";

/** Matcher for assert.rejects: an AndironError of this code. */
export function withCode(code: ErrorCode): (error: unknown) => true {
  return (error) => {
    assert.ok(error instanceof AndironError, `an AndironError, not ${String(error)}`);
    assert.equal(error.code, code, error.message);
    return true;
  };
}

const random = seededRandom(7);
const some = (count: number): Buffer => random.bytes(count);
const sha256 = (bytes: Buffer): string => createHash("sha256").update(bytes).digest("hex");
const listedWithinMs = 60_000;

interface Subject {
  readonly store: () => ObjectStore;
  /** `name` under the prefix of this run. */
  readonly own: (name: string) => string;
}

/** `open` gives a store; skipped with a reason, when there is one. */
export function testContract(label: string, open: () => Promise<ObjectStore>, skip: string | false = false): void {
  describe(`contract of object stores: ${label}`, { skip }, () => {
    let store: ObjectStore;
    const run = `run-${systemRandom.uuid().slice(0, 8)}`;
    const subject: Subject = { store: () => store, own: (name) => `${run}/${name}` };
    before(async () => void (store = await open()));
    after(() => store?.close());
    testObjects(subject);
    testCreation(subject);
    testRanges(subject);
    testLists(subject);
    testMisuse(subject);
  });
}

function testObjects({ store, own }: Subject): void {
  for (const sizeBytes of [0, 1, 4096, 1_000_003, 8 * 1024 * 1024]) {
    test(`an object of ${sizeBytes} bytes comes back as it was, with its facts`, async () => {
      const [name, bytes] = [own(`sizes/${sizeBytes}`), some(sizeBytes)];
      assert.equal(await store().put(name, bytes), sha256(bytes));
      assert.ok((await store().get(name)).equals(bytes));
      assert.deepEqual(await store().head(name), { sizeBytes, sha256: sha256(bytes) });
    });
  }

  test("the largest object is stored, a larger one refused", { timeout: 600_000 }, async () => {
    const bytes = Buffer.alloc(objectLimits.objectBytesMax, some(1_000_003));
    await store().put(own("largest"), bytes);
    assert.ok((await store().get(own("largest"))).equals(bytes));
    await store().delete(own("largest"));
    const larger = Buffer.alloc(objectLimits.objectBytesMax + 1);
    await assert.rejects(store().put(own("larger"), larger), withCode("limit_exceeded"));
  });

  test("the longest name is a name", async () => {
    const part = `${"n".repeat(150)}/`;
    const name = own(`${part}${part}${part}`).slice(0, -1);
    const longest = name + "x".repeat(objectLimits.nameBytesMax - name.length);
    await store().put(longest, some(10));
    assert.equal((await store().head(longest))?.sizeBytes, 10);
    assert.deepEqual(await namesUnder(store(), own("nnn"), 1), [longest]);
    await store().delete(longest);
  });

  test("a put replaces what was there", async () => {
    for (const sizeBytes of [1000, 10, 5000]) {
      const bytes = some(sizeBytes);
      await store().put(own("replaced"), bytes);
      assert.ok((await store().get(own("replaced"))).equals(bytes));
    }
  });

  test("of many puts of one name at once one is left whole", async () => {
    const versions = Array.from({ length: 12 }, (_, index) => some(20_000 + index));
    await Promise.all(versions.map((bytes) => store().put(own("contended"), bytes)));
    const left = await store().get(own("contended"));
    assert.ok(versions.some((bytes) => bytes.equals(left)));
  });

  test("what is missing has no facts, is not found, and is deleted without error", async () => {
    for (const name of [own("missing"), own("no/such/folder")]) {
      assert.equal(await store().head(name), undefined);
      await assert.rejects(store().get(name), withCode("object_not_found"));
      await assert.rejects(store().get(name, { offset: 0, length: 1 }), withCode("object_not_found"));
      await store().delete(name);
    }
  });

  test("a deleted object is gone, and its name is free", async () => {
    const name = own("deleted/soon");
    await store().put(name, some(100));
    await store().delete(name);
    await store().delete(name);
    assert.equal(await store().head(name), undefined);
    await assert.rejects(store().get(name), withCode("object_not_found"));
    const bytes = some(50);
    await store().put(name, bytes, { ifAbsent: true });
    assert.ok((await store().get(name)).equals(bytes));
  });

  test("a prefix of a name is no object", async () => {
    await store().put(own("folder/inside"), some(3));
    assert.equal(await store().head(own("folder")), undefined);
    await assert.rejects(store().get(own("folder")), withCode("object_not_found"));
    await store().delete(own("folder"));
    assert.equal((await store().head(own("folder/inside")))?.sizeBytes, 3);
  });
}

function testCreation({ store, own }: Subject): void {
  test("ifAbsent creates, and then refuses without a change", async () => {
    const bytes = some(1000);
    await store().put(own("created"), bytes, { ifAbsent: true });
    for (const other of [some(1000), bytes])
      await assert.rejects(store().put(own("created"), other, { ifAbsent: true }), withCode("object_exists"));
    assert.ok((await store().get(own("created"))).equals(bytes));
  });

  test("of many creations at once one wins; where that is not promised, some do, and one of them is left", async () => {
    for (let round = 0; round < 5; round++) {
      const name = own(`won-${round}`);
      const versions = Array.from({ length: 8 }, () => some(30_000));
      const results = await Promise.allSettled(versions.map((bytes) => store().put(name, bytes, { ifAbsent: true })));
      const winners = versions.filter((_, index) => results[index]!.status === "fulfilled");
      for (const result of results) if (result.status === "rejected") withCode("object_exists")(result.reason);
      assert.ok(store().atomicCreate ? winners.length === 1 : winners.length >= 1, `${winners.length} win`);
      const left = await store().get(name);
      assert.ok(winners.some((bytes) => bytes.equals(left)));
    }
  });
}

function testRanges({ store, own }: Subject): void {
  test("a range is the bytes asked for, and one beyond the end is refused", async () => {
    const bytes = some(100_000);
    await store().put(own("ranged"), bytes);
    for (const [offset, length] of [
      [0, 1],
      [0, 100_000],
      [99_999, 1],
      [12_345, 54_321],
    ] as const) {
      const part = await store().get(own("ranged"), { offset, length });
      assert.ok(part.equals(bytes.subarray(offset, offset + length)), `${length} from ${offset}`);
    }
    for (const [offset, length] of [
      [99_999, 2],
      [100_000, 1],
      [500_000, 10],
      [0, 100_001],
    ] as const)
      await assert.rejects(store().get(own("ranged"), { offset, length }), withCode("out_of_range"));
    await store().put(own("empty"), some(0));
    await assert.rejects(store().get(own("empty"), { offset: 0, length: 1 }), withCode("out_of_range"));
  });
}

function testLists({ store, own }: Subject): void {
  test("names are listed with their sizes in byte order, by prefix and page by page", async () => {
    const names = ["a", "a-b", "a.b", "b/c", "b-c", "b0", "B", "b/d/e", "_", "b/Z"].map((name) => own(`list/${name}`));
    await Promise.all(names.map((name, index) => store().put(name, some(index))));
    await store().put(own("lisu"), some(1));
    const sorted = names.toSorted();
    assert.deepEqual(await namesUnder(store(), own("list/"), sorted.length), sorted);
    assert.deepEqual(await namesUnder(store(), own("lis"), sorted.length + 1), [...sorted, own("lisu")]);
    assert.deepEqual(
      await namesUnder(store(), own("list/b/"), 3),
      ["b/Z", "b/c", "b/d/e"].map((name) => own(`list/${name}`)),
    );
    assert.deepEqual(await namesUnder(store(), own("list/nothing"), 0), []);
    for (const limit of [1, 2, 3, 7]) {
      const paged = await readPages(store(), own("list/"), limit);
      assert.deepEqual(
        paged.map(({ name }) => name),
        sorted,
        `pages of ${limit}`,
      );
    }
    const sizes = new Map((await readPages(store(), own("list/"), 1000)).map(({ name, sizeBytes }) => [name, sizeBytes]));
    assert.deepEqual(
      names.map((name) => sizes.get(name)),
      names.map((_, index) => index),
    );
    const { objects } = await store().list(own("list/"), { after: own("list/b-c~") });
    assert.deepEqual(
      objects.map(({ name }) => name),
      sorted.filter((name) => name > own("list/b-c~")),
    );
  });

  test("a deleted object leaves the list", async () => {
    await store().put(own("leaving/one"), some(1));
    await store().put(own("leaving/two"), some(1));
    assert.equal((await namesUnder(store(), own("leaving/"), 2)).length, 2);
    await store().delete(own("leaving/one"));
    assert.deepEqual(await namesUnder(store(), own("leaving/"), 1), [own("leaving/two")]);
  });
}

/** All names under `prefix`, once there are `count`: a listing may lag. */
async function namesUnder(store: ObjectStore, prefix: string, count: number): Promise<string[]> {
  const deadlineMs = performance.now() + listedWithinMs;
  for (;;) {
    const names = (await readPages(store, prefix, 1000)).map(({ name }) => name);
    if (names.length === count || performance.now() > deadlineMs) return names;
    await sleep(100);
  }
}

async function readPages(store: ObjectStore, prefix: string, limit: number): Promise<ListedObject[]> {
  const all: ListedObject[] = [];
  for (let after = ""; ;) {
    const { objects, next } = await store.list(prefix, { after, limit });
    assert.ok(objects.length <= limit);
    all.push(...objects);
    if (next === undefined) return all;
    assert.ok(next > after);
    after = next;
  }
}

function testMisuse({ store, own }: Subject): void {
  const long = "x".repeat(objectLimits.nameBytesMax + 1);
  const badNames = ["", "/a", "a/", "a//b", "..", "a/../b", "./a", ".hidden", "a/.b", "a b", "ä", "a\0b", "a%2fb", "a?b", "a\nb"];
  test("what is no name is refused by every verb", async () => {
    for (const name of [...badNames, long, "x".repeat(objectLimits.namePartBytesMax + 1)]) {
      await assert.rejects(store().put(name, some(1)), withCode("invalid_request"));
      await assert.rejects(store().get(name), withCode("invalid_request"));
      await assert.rejects(store().head(name), withCode("invalid_request"));
      await assert.rejects(store().delete(name), withCode("invalid_request"));
    }
  });

  test("bad prefixes, pages and ranges are refused", async () => {
    for (const prefix of ["a b", "ä", "a&b", long]) await assert.rejects(store().list(prefix), withCode("invalid_request"));
    for (const limit of [0, -1, 1.5, objectLimits.listNamesMax + 1])
      await assert.rejects(store().list("", { limit }), withCode("invalid_request"));
    await assert.rejects(store().list("", { after: "\ud800" }), withCode("invalid_request"));
    for (const range of [
      { offset: -1, length: 1 },
      { offset: 0, length: 0 },
      { offset: 0.5, length: 1 },
      { offset: 0, length: Number.NaN },
    ])
      await assert.rejects(store().get(own("any"), range), withCode("invalid_request"));
  });
}
