// What makes flushes cheap: files that are filled ahead, so that most syncs find nothing to allocate, and syncs that begin before
// they are asked for. Neither power loss nor a full disk nor damage makes anything of the zeroes but the end of the records.

import assert from "node:assert/strict";
import { readFileSync, statSync, writeFileSync } from "node:fs";
import { test } from "node:test";
import type { AndironError } from "../../common/errors.ts";
import { seededRandom } from "../../common/random.ts";
import { KiB, MiB } from "../limits.ts";
import type { Written } from "./journal-rig.fixture.ts";
import { assertRepeatable, before, begin, pathOf, recover, sequencesOf } from "./journal-rig.fixture.ts";
import { SyncPace } from "./sync-pace.ts";

/** One cluster at a time, each flushed, so often that the file is filled ahead by then. */
async function flushed(segmentBytes: number, writes = 40): Promise<Written> {
  const written = await begin(segmentBytes);
  for (let i = 0; i < writes; i++) {
    await written.write(1);
    await written.journal.flush();
  }
  return written;
}

const lengthOf = (written: Written, number: number): number => statSync(pathOf(written, number)).size;

test("small syncs make a journal one that is flushed often, large ones or silence not", () => {
  const pace = new SyncPace();
  assert.equal(pace.fillBytes(0), 0);
  for (let i = 0; i < 20; i++) pace.synced(4 * KiB);
  assert.equal(pace.fillBytes(8 * KiB), MiB);
  assert.equal(pace.fillBytes(MiB), 0);
  for (let i = 0; i < 20; i++) pace.synced(MiB);
  assert.equal(pace.fillBytes(0), 0);
});

test("small appends in turn make a journal one that is filled some way, unless its syncs cover little more", () => {
  const pace = new SyncPace();
  for (let i = 0; i < 8; i++) {
    assert.equal(pace.fillBytes(MiB), 0);
    pace.appended(4 * KiB);
  }
  assert.equal(pace.fillBytes(MiB), 256 * KiB);
  for (let i = 0; i < 40; i++) pace.synced(400 * KiB);
  assert.equal(pace.fillBytes(MiB), 0);
  for (let i = 0; i < 40; i++) pace.synced(MiB);
  assert.equal(pace.fillBytes(MiB), 256 * KiB);
  pace.appended(MiB);
  assert.equal(pace.fillBytes(MiB), 0);
});

test("a flush is expected after appends that each had one, until one has none", () => {
  const pace = new SyncPace();
  const append = (isFlushed: boolean): boolean => {
    pace.appended(4 * KiB);
    const isExpected = pace.isAfterEach;
    if (isFlushed) pace.flushAsked();
    return isExpected;
  };
  const inTurn = (count: number): boolean[] => Array.from({ length: count }, () => append(true));
  assert.deepEqual(inTurn(10).slice(7), [false, true, true]);
  assert.equal(append(false), true); // nobody can know
  assert.equal(append(true), false);
  assert.deepEqual(inTurn(9).slice(6), [false, true, true]);
});

test("all who wait for one sync share a promise; what is appended meanwhile waits for one more that covers it", async () => {
  const written = await begin();
  const { journal, disk } = written;
  assert.equal(journal.flush(), undefined);
  await written.write(1);
  const first = journal.flush();
  assert.equal(journal.flush(), first);
  await written.write(1);
  const second = journal.flush();
  assert.notEqual(second, first);
  await written.write(1);
  assert.equal(journal.flush(), second);
  const last = before + 3;
  assert.ok(journal.flushedSequence < last - 1);
  await second;
  assert.equal(journal.flushedSequence, last);
  assert.equal(disk.syncCount, 2);
  assert.equal(journal.flush(), undefined);
  await journal.abandon();
});

test("when each write is flushed its sync begins with the write, and none is made twice", async () => {
  const written = await flushed(4 * MiB, 20);
  const { disk } = written;
  const before20 = disk.syncCount;
  await written.write(1);
  assert.equal(disk.syncCount, before20 + 1);
  await written.journal.flush();
  assert.equal(disk.syncCount, before20 + 1);
  for (let i = 0; i < 5; i++) await written.write(1);
  assert.equal(disk.syncCount, before20 + 2);
  await written.journal.abandon();
});

test("when each write is flushed nearly all syncs write in place, also over several files", async () => {
  const written = await flushed(2 * MiB, 1500);
  await written.journal.sealed();
  const { number } = written.appends.at(-1)!;
  assert.equal(number, 3);
  // Until it is seen, then one for each piece that is filled, and of each file the one that seals it.
  assert.ok(written.disk.growingSyncs < 30, `${written.disk.growingSyncs} of ${written.disk.syncCount}`);
  assert.ok(written.disk.syncCount >= 1500);
  assert.equal(written.counts.flushes, 1500);
  assert.equal(written.counts.syncs, 1500);
  assert.ok(written.counts.filledBytes > 5 * MiB);
  await written.journal.abandon();
});

test("a file whose syncs cover much ends at its records", async () => {
  const written = await begin(64 * MiB);
  for (let i = 0; i < 30; i++) {
    await written.write(100);
    await written.journal.flush();
    assert.equal(lengthOf(written, 1), written.appends.at(-1)!.end);
  }
  await written.journal.abandon();
});

test("a file of small appends that nobody flushes is filled some way ahead, and one of large ones is not", async () => {
  const written = await begin(64 * MiB);
  for (let i = 0; i < 20; i++) await written.write(1);
  const { end } = written.appends.at(-1)!;
  assert.ok(
    lengthOf(written, 1) > end && lengthOf(written, 1) <= end + 260 * KiB,
    `${lengthOf(written, 1)}, records up to ${end}`,
  );
  for (let i = 0; i < 3; i++) await written.write(100);
  assert.equal(lengthOf(written, 1), written.appends.at(-1)!.end);
  await written.journal.abandon();
});

test("zeroes reach about to the size of a segment and no further", async () => {
  const written = await flushed(256 * KiB);
  assert.ok(lengthOf(written, 1) > written.appends.at(-1)!.end);
  assert.ok(lengthOf(written, 1) <= 260 * KiB);
  await written.journal.abandon();
});

test("a sealed file ends behind its footer and is kept by recovery as it is", async () => {
  const written = await flushed(4 * MiB);
  assert.ok(lengthOf(written, 1) > written.appends.at(-1)!.end + 500 * KiB);
  await written.journal.rotate();
  await written.journal.sealed();
  assert.ok(lengthOf(written, 1) < written.appends.at(-1)!.end + 4 * KiB);
  await written.journal.abandon();
  const recovered = await recover(written);
  assert.deepEqual(
    recovered.segments.map(({ generation }) => generation),
    [0],
  );
  assert.equal(sequencesOf(recovered).length, written.appends.length);
  await assertRepeatable(written, recovered);
});

test("when the process dies all records are found before the zeroes", async () => {
  const written = await flushed(4 * MiB);
  await written.write(2);
  await written.journal.abandon();
  const recovered = await recover(written);
  assert.equal(recovered.lastSequence, written.journal.sequence);
  assert.equal(sequencesOf(recovered).length, written.appends.length);
  await assertRepeatable(written, recovered);
});

test("a flipped or zeroed sector below the last flush that is known is damage, and not the end", async () => {
  const written = await flushed(4 * MiB);
  await written.write(1); // names the flush
  await written.journal.abandon();
  const whole = readFileSync(pathOf(written, 1));
  for (const { end } of written.appends.slice(0, -2)) {
    for (const spoil of [
      (bytes: Buffer) => bytes.fill(0, end - 600, end - 88),
      (bytes: Buffer) => bytes.writeUInt8(0xff, end - 7),
    ]) {
      const bytes = Buffer.from(whole);
      spoil(bytes);
      writeFileSync(pathOf(written, 1), bytes);
      await assert.rejects(recover(written), (error: AndironError) => error.code === "journal_damaged");
      assert.deepEqual(readFileSync(pathOf(written, 1)), bytes);
    }
  }
});

test("with no room to fill, records are written as long as there is room for them", async () => {
  const written = await flushed(4 * MiB, 5);
  written.disk.freeBytes = 300 * KiB;
  let done = 0;
  const failure = await (async () => {
    for (; done < 1000; done++) {
      await written.write(1);
      await written.journal.flush();
    }
    return undefined;
  })().catch((error: AndironError) => error);
  assert.equal(failure?.code, "journal_full");
  assert.ok(done >= 72, `${done} records of 4 KiB in 300 KiB`);
  assert.equal(lengthOf(written, 1), written.appends.at(-1)!.end);
  written.disk.freeBytes = Number.POSITIVE_INFINITY;
  await written.write(3);
  await written.journal.abandon();
  const recovered = await recover(written);
  assert.equal(sequencesOf(recovered).length, written.appends.length);
});

test(
  "power loss under overwritten zeroes keeps every flushed record, in order and without a gap",
  { timeout: 120_000 },
  async () => {
    let inPlace = 0;
    for (let seed = 1; seed <= 60; seed++) {
      const random = seededRandom(seed);
      const written = await flushed((128 + random.below(1200)) * KiB, 13 + random.below(10));
      const growing0 = written.disk.growingSyncs;
      const syncs0 = written.disk.syncCount;
      for (let i = random.below(40); i > 0; i--) {
        if (random.below(12) === 0) written.disk.freeBytes = random.below(20 * KiB);
        await written.write(1 + random.below(3)).catch((error: AndironError) => assert.equal(error.code, "journal_full"));
        written.disk.freeBytes = Number.POSITIVE_INFINITY;
        if (random.below(3) === 0) await written.journal.flush();
        if (random.below(15) === 0) await written.journal.rotate();
      }
      inPlace += written.disk.syncCount - syncs0 - (written.disk.growingSyncs - growing0);
      if (random.below(3) === 0) written.disk.failSyncs = true; // what is being sealed stays as it is
      const known = written.journal.flushedSequence;
      await written.journal.rotate();
      await written.journal.abandon();
      written.disk.failSyncs = false;
      written.disk.losePower(random);
      const recovered = await recover(written);
      assert.ok(recovered.lastSequence >= known && known > before, `seed ${seed}: ${recovered.lastSequence} >= ${known}`);
      const sequences = sequencesOf(recovered);
      assert.deepEqual(sequences, written.appends.map((append) => append.sequence).slice(0, sequences.length), `seed ${seed}`);
      await assertRepeatable(written, recovered);
    }
    assert.ok(inPlace > 120, `only ${inPlace} syncs were of overwritten bytes`);
  },
);
