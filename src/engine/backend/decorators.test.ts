// What each decorator adds to a backend, over real files (the contract under them is in file.test.ts).

import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, test } from "node:test";
import { systemClock, type Clock } from "../../common/clock.ts";
import { seededRandom } from "../../common/random.ts";
import { intoOwnTarget, type ObjectBackend } from "./backend.ts";
import { readWhole, withCode } from "./contract.ts";
import { withDeadline } from "./deadline.ts";
import { FaultyBackend, type Faults } from "./faulty.ts";
import { openFileBackend } from "./file.ts";
import { withMeter, type BackendOperation } from "./metered.ts";
import { withRetries } from "./retrying.ts";

const bytes = Buffer.from("some bytes");

describe("backend decorators", () => {
  let folder: string;
  let file: ObjectBackend;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "andiron-decorators-"));
    await mkdir(join(folder, "objects"));
    file = await openFileBackend({ root: join(folder, "objects") });
  });
  afterEach(async () => {
    await file.close();
    await rm(folder, { recursive: true, force: true });
  });

  function faultyOver(faults: Faults, seed = 1): FaultyBackend {
    return new FaultyBackend(file, { clock: systemClock, random: seededRandom(seed), faults });
  }

  /** A clock whose sleeps end at once and are written down. */
  function sleepless(sleepsMs: number[]): Clock {
    return { ...systemClock, sleep: (delayMs) => Promise.resolve(void sleepsMs.push(delayMs)) };
  }

  test("retries are bounded, wait longer and longer with jitter, and pass the last error on", async () => {
    const sleepsMs: number[] = [];
    const options = { clock: sleepless(sleepsMs), random: seededRandom(2), attemptsMax: 8, firstWaitMs: 10, waitMsMax: 100 };
    const backend = withRetries(faultyOver({ failBeforeShare: 1 }), options);
    await assert.rejects(backend.size("a"), withCode("backend_unavailable"));
    assert.equal(sleepsMs.length, 7);
    sleepsMs.forEach((sleepMs, index) => assert.ok(sleepMs <= Math.min(10 * 2 ** index, 100)));
    assert.ok(new Set(sleepsMs).size > 3, `no jitter in ${sleepsMs.join()}`);
  });

  test("what repeating does not help is not retried", async () => {
    const sleepsMs: number[] = [];
    const faulty = faultyOver({ full: true });
    const backend = withRetries(faulty, { clock: sleepless(sleepsMs), random: seededRandom(2) });
    await assert.rejects(backend.put("a", [bytes]), withCode("backend_full"));
    await assert.rejects(backend.read("a", 0, Buffer.alloc(1)), withCode("object_not_found"));
    await assert.rejects(backend.size(".."), withCode("invalid_request"));
    assert.deepEqual(sleepsMs, []);
  });

  test("a lost answer is made good by a retry", async () => {
    const faulty = faultyOver({ failAfterShare: 1 });
    await assert.rejects(faulty.put("a", [bytes]), withCode("backend_unavailable"));
    faulty.faults.failAfterShare = 0;
    await faulty.put("a", [bytes]);
    assert.deepEqual(await readWhole(faulty, "a"), bytes);
  });

  test("no retry follows a close", async () => {
    const faulty = faultyOver({ failBeforeShare: 1 });
    const clock: Clock = { ...systemClock, sleep: () => backend.close() };
    const backend: ObjectBackend = withRetries(faulty, { clock, random: seededRandom(1), attemptsMax: 1_000_000 });
    await assert.rejects(backend.size("a"), withCode("backend_unavailable"));
  });

  test("a hung backend times out, and its late answer leaves the reader's memory alone", async () => {
    await file.put("a", [bytes]);
    const faulty = faultyOver({});
    const backend = withDeadline(faulty, { clock: systemClock, timeoutMs: 20, perMebibyteMs: 0 });
    faulty.hold();
    const [target, own] = [Buffer.alloc(bytes.length), Buffer.alloc(bytes.length)];
    await assert.rejects(backend.read("a", 0, target), withCode("backend_timeout"));
    await assert.rejects(backend.read("a", 0, own, intoOwnTarget), withCode("backend_timeout"));
    await assert.rejects(backend.put("b", [bytes]), withCode("backend_timeout"));
    assert.equal(faulty.heldCount, 3);
    faulty.release();
    while (faulty.heldCount > 0) await systemClock.sleep(1);
    assert.deepEqual(await readWhole(faulty, "a"), bytes);
    assert.deepEqual(target, Buffer.alloc(bytes.length));
    assert.deepEqual(own, bytes); // who says that it is his own alone has it without a copy
  });

  test("a read into memory that is its own alone is not tried again after a timeout, any other is", async () => {
    await file.put("a", [bytes]);
    const tools = { clock: systemClock, random: seededRandom(1), attemptsMax: 2, firstWaitMs: 1 };
    for (const [options, tries] of [
      [intoOwnTarget, 1],
      [undefined, 2],
    ] as const) {
      const faulty = faultyOver({});
      const backend = withRetries(withDeadline(faulty, { clock: systemClock, timeoutMs: 20, perMebibyteMs: 0 }), tools);
      faulty.hold();
      await assert.rejects(backend.read("a", 0, Buffer.alloc(bytes.length), options), withCode("backend_timeout"));
      assert.equal(faulty.heldCount, tries);
      faulty.release();
    }
    // Away is not late: nothing can come any more.
    const faulty = faultyOver({ failBeforeShare: 1 });
    const clock = { ...systemClock, sleep: async () => void (faulty.faults.failBeforeShare = 0) };
    const target = Buffer.alloc(bytes.length);
    await withRetries(faulty, { ...tools, clock }).read("a", 0, target, intoOwnTarget);
    assert.deepEqual(target, bytes);
  });

  test("the meter is told of bytes, errors and beginnings", async () => {
    const ended: BackendOperation[] = [];
    let started = 0;
    const meter = {
      operationStarted: () => void started++,
      operationEnded: (operation: BackendOperation) => void ended.push(operation),
    };
    const backend = withMeter(file, { clock: systemClock, meter });
    await backend.put("a", [bytes, bytes]);
    await backend.read("a", 0, Buffer.alloc(7));
    await assert.rejects(backend.read("b", 0, Buffer.alloc(7)));
    assert.equal(started, 3);
    assert.deepEqual(
      ended.map(({ verb, bytes: moved, errorCode }) => [verb, moved, errorCode]),
      [
        ["put", 20, undefined],
        ["read", 7, undefined],
        ["read", 0, "object_not_found"],
      ],
    );
    assert.ok(ended.every(({ durationMs }) => durationMs >= 0));
  });

  test("a lagging list hides late puts and shows late deletes, page by page", async () => {
    const faulty = faultyOver({ listLagCount: 3 });
    for (const name of ["a", "b", "c", "d", "e"]) await faulty.put(name, [bytes]);
    assert.deepEqual(await faulty.list(""), ["a", "b"]);
    await faulty.delete("a");
    assert.deepEqual(await faulty.list(""), ["a", "b", "c"]);
    assert.deepEqual(await faulty.list("", { limit: 1 }), ["a"]);
    assert.deepEqual(await faulty.list("", { limit: 1, after: "a" }), ["b"]);
    assert.equal(await faulty.size("a"), undefined);
  });

  test("a torn put leaves a shorter object, which reads and later puts notice", async () => {
    const faulty = faultyOver({ tornPutShare: 1 });
    await assert.rejects(faulty.put("a", [bytes]), withCode("backend_unavailable"));
    faulty.faults.tornPutShare = 0;
    assert.ok(((await faulty.size("a")) ?? 0) < bytes.length);
    await assert.rejects(faulty.read("a", 0, Buffer.alloc(bytes.length)), withCode("segment_damaged"));
    await assert.rejects(faulty.put("a", [bytes]), withCode("object_exists"));
  });

  test("the same seed brings the same faults", async () => {
    const outcomes = async (seed: number): Promise<string> => {
      const faulty = faultyOver({ failBeforeShare: 0.5 }, seed);
      const results = await Promise.allSettled(Array.from({ length: 40 }, () => faulty.size("a")));
      return results.map(({ status }) => status[0]).join("");
    };
    assert.equal(await outcomes(5), await outcomes(5));
    assert.notEqual(await outcomes(5), await outcomes(6));
  });
});
