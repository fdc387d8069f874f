// The write queue over a disk in memory: pieces of clusters, order, what is acknowledged when.

import assert from "node:assert/strict";
import { test } from "node:test";
import { crc32 } from "../../common/crc32.ts";
import { AndironError } from "../../common/errors.ts";
import { seededRandom } from "../../common/random.ts";
import { recordKinds } from "../format/segment.ts";
import type { Append, JournalFile, Placed, StagedAppend } from "../journal/journal-file.ts";
import { clusterBytes, engineLimits } from "../limits.ts";
import type { WriteTarget } from "./write-queue.ts";
import { WriteQueue } from "./write-queue.ts";

/** Appends take a turn of the loop, as a real journal's do. */
class MemoryTarget implements WriteTarget {
  readonly bytes = Buffer.alloc(64 * clusterBytes);
  owned = true;
  appendError: AndironError | undefined;
  flushing: Promise<void> = Promise.resolve();
  batchSizes: number[] = [];
  readonly applied: Append[] = [];
  readonly soon = (run: () => void): void => void setImmediate(run);

  room: Promise<void> = Promise.resolve();

  async beforeBatch(): Promise<void> {
    await this.room;
  }

  /** Sizes of what was put together, and how many of them were dropped. */
  readonly staged: number[] = [];
  readonly used: number[] = [];
  dropped = 0;

  stage(appends: readonly Append[]): StagedAppend {
    const number = this.staged.push(appends.length);
    const drop = (): void => {
      this.dropped++;
    };
    return { number, drop } as unknown as StagedAppend;
  }

  async append(appends: readonly Append[], staged: StagedAppend | undefined): Promise<{ file: JournalFile; placed: Placed }> {
    if (staged !== undefined) this.used.push((staged as unknown as { number: number }).number);
    await new Promise((resolve) => setImmediate(resolve));
    if (this.appendError !== undefined) throw this.appendError;
    this.batchSizes.push(appends.length);
    return { file: {} as JournalFile, placed: { payloadOffsets: [], crcs: new Uint32Array(0) } };
  }

  apply(appends: readonly Append[]): void {
    this.applied.push(...appends);
    for (const append of appends) {
      const start = append.firstCluster * clusterBytes;
      if (append.kind === recordKinds.zero) this.bytes.fill(0, start, start + append.clusterCount * clusterBytes);
      else append.data!.copy(this.bytes, start);
    }
  }

  flush(): Promise<void> {
    return this.flushing;
  }

  async readClusters(first: number, target: Buffer): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve));
    this.bytes.copy(target, 0, first * clusterBytes, first * clusterBytes + target.length);
  }

  assertOwned(): void {
    if (!this.owned) throw new AndironError("lease_lost", "not owned");
  }
}

test("a large write has its checksums when it is appended, record by record, and a small one not", async () => {
  const target = new MemoryTarget();
  const queue = new WriteQueue(target);
  const data = Buffer.from(Array.from({ length: 40 * clusterBytes }, (_, i) => (i * i) >> 3));
  await Promise.all([queue.write(0, data, false), queue.write(50 * clusterBytes, data.subarray(0, clusterBytes), false)]);
  const [large, small] = target.applied;
  const expected = Array.from({ length: 40 }, (_, i) => crc32(data.subarray(i * clusterBytes, (i + 1) * clusterBytes)));
  assert.deepEqual([...large!.crcs!], expected);
  assert.equal(small!.crcs, undefined);
});

test("pieces of one cluster written at the same time are all there", async () => {
  for (const count of [2, 3, 8]) {
    const target = new MemoryTarget();
    const queue = new WriteQueue(target);
    await Promise.all(Array.from({ length: count }, (_, i) => queue.write(i * 512, Buffer.alloc(512, i + 1), false)));
    for (let i = 0; i < count; i++)
      assert.ok(
        target.bytes.subarray(i * 512, (i + 1) * 512).every((byte) => byte === i + 1),
        `piece ${i} of ${count}`,
      );
  }
});

test("pieces that span the same two clusters from both sides do not lock each other out", async () => {
  const target = new MemoryTarget();
  const queue = new WriteQueue(target);
  await Promise.all([
    queue.write(clusterBytes - 512, Buffer.alloc(512, 1), false),
    queue.write(clusterBytes, Buffer.alloc(512, 2), false),
    queue.write(512, Buffer.alloc(512, 3), false),
    queue.write(2 * clusterBytes - 512, Buffer.alloc(1024, 4), false),
  ]);
  assert.deepEqual(
    [target.bytes[clusterBytes - 1], target.bytes[clusterBytes], target.bytes[512], target.bytes[2 * clusterBytes]],
    [1, 2, 3, 4],
  );
});

test("disjoint requests under way together end as if done one after the other, whatever they are", async () => {
  for (let seed = 1; seed <= 300; seed++) {
    const random = seededRandom(seed);
    const target = new MemoryTarget();
    const queue = new WriteQueue(target);
    const expected = Buffer.alloc(target.bytes.length);
    for (let round = 0; round < 3; round++) {
      const requests: Promise<void>[] = [];
      for (let at = random.below(6) * 512; at < 12 * clusterBytes;) {
        const length = (1 + random.below(20)) * 512;
        if (random.below(4) === 0) {
          const first = Math.ceil(at / clusterBytes);
          expected.fill(0, first * clusterBytes, (first + 1) * clusterBytes);
          requests.push(queue.zero(first, 1, false));
          at = (first + 1) * clusterBytes;
        } else {
          const data = Buffer.alloc(length, 1 + random.below(255));
          data.copy(expected, at);
          requests.push(queue.write(at, data, random.below(5) === 0));
          at += length;
        }
        if (random.below(3) === 0) await Promise.resolve();
        if (random.below(6) === 0) await new Promise((resolve) => setImmediate(resolve));
      }
      await Promise.all(requests);
      assert.ok(expected.equals(target.bytes), `seed ${seed}, round ${round}`);
    }
  }
});

test("a batch that the journal refuses leaves nothing and rejects everybody in it", async () => {
  const target = new MemoryTarget();
  const queue = new WriteQueue(target);
  target.appendError = new AndironError("journal_full", "full");
  const results = await Promise.allSettled([
    queue.write(0, Buffer.alloc(4096, 1), false),
    queue.write(512, Buffer.alloc(512, 2), true),
  ]);
  assert.deepEqual(
    results.map((result) => result.status),
    ["rejected", "rejected"],
  );
  assert.ok(target.bytes.every((byte) => byte === 0));
  assert.equal(queue.queuedBytes, 0);
  target.appendError = undefined;
  await queue.write(512, Buffer.alloc(512, 3), false);
  assert.equal(target.bytes[512], 3);
});

test("a write with fua whose sync outlasts the ownership is not acknowledged", async () => {
  const target = new MemoryTarget();
  const queue = new WriteQueue(target);
  const sync = Promise.withResolvers<void>();
  target.flushing = sync.promise;
  const write = queue.write(0, Buffer.alloc(4096, 1), true);
  await queue.barrier();
  target.owned = false;
  sync.resolve();
  await assert.rejects(write, { code: "lease_lost" });
});

test("waiting bytes are bounded, and batches keep to their limits", async () => {
  const target = new MemoryTarget();
  const queue = new WriteQueue(target);
  const writes = Array.from({ length: engineLimits.batchRecordsMax * 2 + 1 }, () => queue.write(0, Buffer.alloc(4096, 1), false));
  await Promise.all(writes);
  assert.ok(
    target.batchSizes.every((size) => size <= engineLimits.batchRecordsMax),
    String(target.batchSizes),
  );
  const big = Buffer.alloc(engineLimits.batchBytesMax);
  const allowed = engineLimits.queuedBytesMax / big.length;
  target.appendError = new AndironError("journal_full", "full");
  const flood = Array.from({ length: allowed + 1 }, () => queue.write(0, big, false));
  const codes = (await Promise.allSettled(flood)).map((result) =>
    result.status === "rejected" ? (result.reason as AndironError).code : "done",
  );
  assert.equal(codes.filter((code) => code === "overloaded").length, 1);
  assert.equal(queue.queuedBytes, 0);
});

test("drained() waits for pieces that wait for each other", async () => {
  const target = new MemoryTarget();
  const queue = new WriteQueue(target);
  const writes = Promise.all([
    queue.write(0, Buffer.alloc(512, 1), false),
    queue.write(512, Buffer.alloc(512, 2), false),
    queue.zero(1, 1, false),
  ]);
  await queue.drained();
  assert.deepEqual([target.bytes[0], target.bytes[512]], [1, 2]);
  await writes;
});

test("a piece in the middle of a longer unaligned write does not undo what lies beside it", async () => {
  const target = new MemoryTarget();
  const queue = new WriteQueue(target);
  // The piece needs two clusters completed, the long write one: its merge is the older when it comes.
  const long = queue.write(512, Buffer.alloc(4 * clusterBytes - 512, 1), false);
  const piece = queue.write(clusterBytes + 512, Buffer.alloc(clusterBytes, 2), false);
  await Promise.all([long, piece]);
  assert.deepEqual(target.bytes.subarray(512, clusterBytes + 512), Buffer.alloc(clusterBytes, 1));
  assert.deepEqual(target.bytes.subarray(2 * clusterBytes + 512, 4 * clusterBytes), Buffer.alloc(2 * clusterBytes - 512, 1));
});

test("what one issuer asks for in a row shares a promise, up to a batch; others have their own, so has a FUA", async () => {
  const target = new MemoryTarget();
  const queue = new WriteQueue(target);
  const [one, two] = [{}, {}];
  const write = (cluster: number, by: object, fua = false): Promise<void> =>
    queue.write(cluster * clusterBytes, Buffer.alloc(clusterBytes, 1 + cluster), fua, by);
  const promises = [write(0, one), write(1, one), write(2, two), write(3, one), write(4, one, true), write(5, one, true)];
  assert.deepEqual(
    promises.map((promise) => promises.indexOf(promise)),
    [0, 0, 2, 3, 4, 4],
  );
  await Promise.all(promises);
  assert.deepEqual(
    target.applied.map((append) => append.firstCluster),
    [0, 1, 2, 3, 4, 5],
  );
  const many = Array.from({ length: 600 }, (_, i) => write(i % 64, one));
  assert.equal(new Set(many).size, 2);
  await Promise.all(many);
  assert.deepEqual(target.batchSizes, [6, 512, 88]);
  assert.equal(queue.queuedBytes, 0);
});

test("what a cancelled issuer has queued is refused at once, without room too, and never written; others go on", async () => {
  const target = new MemoryTarget();
  const queue = new WriteQueue(target);
  const { promise, resolve } = Promise.withResolvers<void>();
  target.room = promise;
  const [gone, stays] = [{}, {}];
  const doomed = [queue.write(0, Buffer.alloc(clusterBytes, 1), false, gone), queue.write(100, Buffer.alloc(50, 2), false, gone)];
  const kept = queue.write(2 * clusterBytes, Buffer.alloc(clusterBytes, 3), false, stays);
  await new Promise((wake) => setImmediate(wake));
  doomed.push(queue.zero(4, 2, false, gone));
  queue.cancel(gone);
  for (const request of doomed) await assert.rejects(request, { code: "export_revoked" });
  await assert.rejects(queue.write(0, Buffer.alloc(clusterBytes, 4), true, gone), { code: "export_revoked" });
  resolve();
  await kept;
  assert.equal(target.bytes[0], 0);
  assert.equal(target.bytes[2 * clusterBytes], 3);
  await queue.drained();
  assert.equal(queue.queuedBytes, 0);
});

test("a hold waits for all that came before it, zeroes behind a piece too; what comes later goes on elsewhere", async () => {
  const [target, other] = [new MemoryTarget(), new MemoryTarget()];
  const [queue, next] = [new WriteQueue(target), new WriteQueue(other)];
  target.bytes.fill(9);
  const before = [queue.write(100, Buffer.alloc(10, 1), false), queue.zero(0, 1, false)];
  let answered = 0;
  for (const request of before) void request.then(() => answered++);
  const held = queue.hold();
  const after = [queue.write(0, Buffer.alloc(clusterBytes, 2), false), queue.write(0, Buffer.alloc(clusterBytes, 3), false)];
  await held;
  assert.ok(target.bytes.subarray(0, clusterBytes).every((byte) => byte === 0));
  await Promise.all(before);
  assert.equal(answered, 2);
  other.bytes.set(target.bytes);
  queue.letGo(next);
  await Promise.all(after);
  assert.equal(other.bytes[0], 3);
  assert.equal(target.bytes[0], 0);
});

const halfBatch = Buffer.alloc(engineLimits.batchAheadBytesMin);

/** A target that remembers what is written where, and writes nothing. */
class CountingTarget extends MemoryTarget {
  override apply(appends: readonly Append[]): void {
    this.applied.push(...appends);
  }
}

test("what has gathered to a large batch is put together while another one is written, and then used, in order", async () => {
  const target = new CountingTarget();
  const queue = new WriteQueue(target);
  const first = queue.write(0, Buffer.alloc(clusterBytes), false);
  await new Promise((resolve) => setImmediate(resolve)); // it is being appended
  const others = [1, 2, 3].map((number) => queue.write(number * halfBatch.length, halfBatch, false));
  assert.deepEqual(target.staged, [2]);
  const small = queue.write(9 * halfBatch.length, Buffer.alloc(clusterBytes), false);
  await Promise.all([first, ...others, small]);
  await queue.drained();
  assert.deepEqual(target.used, [1, 2]);
  assert.equal(target.dropped, 2);
  assert.deepEqual(target.batchSizes, [1, 2, 4, 1]);
  const places = target.applied.map(({ firstCluster }) => firstCluster);
  assert.deepEqual(
    places,
    [...places].sort((a, b) => a - b),
  );
  assert.equal(queue.queuedBytes, 0);
});

test("what was put together is dropped when a request of it was cancelled, and the others are written without it", async () => {
  const target = new CountingTarget();
  const queue = new WriteQueue(target);
  const [leaving, staying] = [{}, {}];
  const first = queue.write(0, Buffer.alloc(clusterBytes), false, staying);
  await new Promise((resolve) => setImmediate(resolve));
  const refused = queue.write(clusterBytes, Buffer.alloc(clusterBytes), false, leaving);
  const written = queue.write(halfBatch.length, halfBatch, false, staying);
  assert.deepEqual(target.staged, [3]);
  queue.cancel(leaving);
  await assert.rejects(refused, { code: "export_revoked" });
  await Promise.all([first, written]);
  await queue.drained();
  assert.deepEqual(target.used, []);
  assert.equal(target.dropped, 1);
  assert.deepEqual(target.batchSizes, [1, 2]);
});

test("a batch that was put together is tried on its own when the one before it failed", async () => {
  const target = new CountingTarget();
  const queue = new WriteQueue(target);
  target.appendError = new AndironError("journal_full", "no space");
  const first = queue.write(0, Buffer.alloc(clusterBytes), false);
  await new Promise((resolve) => setImmediate(resolve));
  const second = queue.write(halfBatch.length, halfBatch, false);
  await assert.rejects(first, { code: "journal_full" });
  target.appendError = undefined;
  await second;
  await queue.drained();
  assert.deepEqual(target.batchSizes, [2]);
  assert.equal(target.dropped, 1);
});
