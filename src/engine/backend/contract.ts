// The contract of ObjectBackend (backend.ts) as tests. Every implementation, and every decorator over one, runs it:
// describeBackend("file", open) inside a test file. It is part of no running service.

import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { AndironError, type ErrorCode } from "../../common/errors.ts";
import { seededRandom } from "../../common/random.ts";
import { backendLimits, type ObjectBackend } from "./backend.ts";

/** Opens an empty backend; `folder` is a private directory that the suite removes in the end. */
export type OpenBackend = (folder: string) => Promise<ObjectBackend>;

/** Matcher for assert.rejects: an AndironError of this code. */
export function withCode(code: ErrorCode): (error: unknown) => true {
  return (error) => {
    assert.ok(error instanceof AndironError, `an AndironError, not ${String(error)}`);
    assert.equal(error.code, code, error.message);
    return true;
  };
}

/** The whole object, read in one go. */
export async function readWhole(backend: ObjectBackend, name: string): Promise<Buffer> {
  const whole = Buffer.alloc((await backend.size(name)) ?? 0);
  await backend.read(name, 0, whole);
  return whole;
}

const random = seededRandom(7);
const some = (bytes: number): Buffer => random.bytes(bytes);

export function describeBackend(label: string, openBackend: OpenBackend): void {
  describe(`backend contract: ${label}`, () => {
    let folder: string;
    let backend: ObjectBackend;
    before(async () => {
      folder = await mkdtemp(join(tmpdir(), "andiron-backend-"));
      backend = await openBackend(folder);
    });
    after(async () => {
      await backend.close();
      await rm(folder, { recursive: true, force: true });
    });
    testObjects(() => backend);
    testFiles(
      () => backend,
      () => folder,
    );
    testLists(() => backend);
    testMisuse(() => backend);
  });
}

function testObjects(get: () => ObjectBackend): void {
  test("an object reads back, wholly and in parts", async () => {
    const parts = [some(1), Buffer.alloc(0), some(4096), some(70_001)];
    await get().put("objects/one", parts);
    const whole = Buffer.concat(parts);
    assert.deepEqual(await readWhole(get(), "objects/one"), whole);
    const middle = Buffer.alloc(5000);
    await get().read("objects/one", 4000, middle);
    assert.deepEqual(middle, whole.subarray(4000, 9000));
  });

  test("thousands of parts and no parts at all are objects too", async () => {
    const parts = Array.from({ length: 2500 }, () => some(3));
    await get().put("objects/many", parts);
    assert.deepEqual(await readWhole(get(), "objects/many"), Buffer.concat(parts));
    await get().put("objects/empty", []);
    assert.equal(await get().size("objects/empty"), 0);
  });

  test("putting the same object again resolves, another length is refused and changes nothing", async () => {
    const bytes = some(1000);
    await get().put("objects/twice", [bytes]);
    await get().put("objects/twice", [bytes]);
    await assert.rejects(get().put("objects/twice", [some(999)]), withCode("object_exists"));
    assert.deepEqual(await readWhole(get(), "objects/twice"), bytes);
  });

  test("many puts of one name at once leave one object", async () => {
    const bytes = some(20_000);
    await Promise.all(Array.from({ length: 16 }, () => get().put("objects/race", [bytes])));
    assert.deepEqual(await readWhole(get(), "objects/race"), bytes);
  });

  test("a missing object has no size, is not found, and is deleted without error", async () => {
    assert.equal(await get().size("objects/missing"), undefined);
    await assert.rejects(get().read("objects/missing", 0, Buffer.alloc(1)), withCode("object_not_found"));
    await get().delete("objects/missing");
    await get().delete("no/such/folder");
  });

  test("reading beyond the end is damage, not zeroes", async () => {
    await get().put("objects/short", [some(100)]);
    await assert.rejects(get().read("objects/short", 50, Buffer.alloc(51)), withCode("segment_damaged"));
    await assert.rejects(get().read("objects/short", 1000, Buffer.alloc(1)), withCode("segment_damaged"));
  });

  test("a deleted object is gone, and its name is free", async () => {
    await get().put("objects/gone", [some(10)]);
    await readWhole(get(), "objects/gone");
    await get().delete("objects/gone");
    assert.equal(await get().size("objects/gone"), undefined);
    await assert.rejects(get().read("objects/gone", 0, Buffer.alloc(1)), withCode("object_not_found"));
    const next = some(11);
    await get().put("objects/gone", [next]);
    assert.deepEqual(await readWhole(get(), "objects/gone"), next);
  });

  test("a read during the delete gives the bytes or not found", async () => {
    for (let round = 0; round < 20; round++) {
      const bytes = some(50_000);
      await get().put("objects/contended", [bytes]);
      const reads = Array.from({ length: 8 }, async () => {
        const target = Buffer.alloc(bytes.length);
        await get().read("objects/contended", 0, target);
        return target;
      });
      const [results] = await Promise.all([Promise.allSettled(reads), get().delete("objects/contended")]);
      for (const result of results) {
        if (result.status === "fulfilled") assert.deepEqual(result.value, bytes);
        else withCode("object_not_found")(result.reason);
      }
    }
  });

  test("capacity is told", async () => {
    const { totalBytes, freeBytes } = await get().capacity();
    assert.ok(totalBytes > 0 && freeBytes > 0 && freeBytes <= totalBytes);
  });
}

function testFiles(get: () => ObjectBackend, folder: () => string): void {
  test("a local file becomes an object, and may then be unlinked", async () => {
    const source = join(folder(), "source");
    const bytes = some(123_456);
    await writeFile(source, bytes, { flush: true });
    await get().putFile("files/one", source);
    await get().putFile("files/one", source);
    await get().put("files/one", [bytes]);
    await rm(source);
    assert.deepEqual(await readWhole(get(), "files/one"), bytes);
  });

  test("a file that is missing or of another length than the object is refused", async () => {
    await assert.rejects(get().putFile("files/none", join(folder(), "none")), withCode("invalid_request"));
    assert.equal(await get().size("files/none"), undefined);
    const source = join(folder(), "other");
    await writeFile(source, some(10), { flush: true });
    await get().put("files/other", [some(11)]);
    await assert.rejects(get().putFile("files/other", source), withCode("object_exists"));
  });
}

function testLists(get: () => ObjectBackend): void {
  // No lag in these implementations: what a lagging list may do is stated where it is injected.
  test("names are listed in byte order, by prefix and page by page", async () => {
    const names = ["list/a", "list/a-b", "list/a.b", "list/b/c", "list/b-c", "list/b0", "list/B", "list/b/d/e", "list/_", "lisu"];
    await Promise.all(names.map((name) => get().put(name, [some(1)])));
    const sorted = names.filter((name) => name !== "lisu").sort();
    assert.deepEqual(await get().list("list/"), sorted);
    assert.deepEqual(await get().list("lis"), [...sorted, "lisu"]);
    assert.deepEqual(await get().list("list/b/"), ["list/b/c", "list/b/d/e"]);
    assert.deepEqual(await get().list("nothing"), []);
    for (const limit of [1, 2, 3, 100]) {
      const paged: string[] = [];
      for (;;) {
        const last = paged.at(-1);
        const page = await get().list("list/", last === undefined ? { limit } : { limit, after: last });
        paged.push(...page);
        if (page.length < limit) break;
      }
      assert.deepEqual(paged, sorted, `pages of ${limit}`);
    }
  });
}

function testMisuse(get: () => ObjectBackend): void {
  const badNames = ["", "/a", "a/", "a//b", "..", "a/../b", ".hidden", "a/.b", "a b", "ä", "a\0b", "x".repeat(201)];
  for (const name of badNames) {
    test(`the name ${JSON.stringify(name.slice(0, 10))} is refused by every verb`, async () => {
      await assert.rejects(get().put(name, [some(1)]), withCode("invalid_request"));
      await assert.rejects(get().putFile(name, "/dev/null"), withCode("invalid_request"));
      await assert.rejects(get().read(name, 0, Buffer.alloc(1)), withCode("invalid_request"));
      await assert.rejects(get().size(name), withCode("invalid_request"));
      await assert.rejects(get().delete(name), withCode("invalid_request"));
    });
  }

  test("a bad prefix or limit is refused, the longest name is not", async () => {
    await assert.rejects(get().list("a b"), withCode("invalid_request"));
    await assert.rejects(get().list("", { limit: 0 }), withCode("invalid_request"));
    await assert.rejects(get().list("", { limit: backendLimits.listNamesMax + 1 }), withCode("invalid_request"));
    const longest = `${"y".repeat(100)}/${"z".repeat(99)}`;
    await get().put(longest, [some(2)]);
    assert.equal(await get().size(longest), 2);
  });
}
