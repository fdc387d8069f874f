// Appends that are put together while another one is written: they end up where they would without, or are put together anew
// when the one before them did not come to be where they expected it. Nothing of that is seen in what recovery finds.

import assert from "node:assert/strict";
import { test } from "node:test";
import type { AndironError } from "../../common/errors.ts";
import { seededRandom } from "../../common/random.ts";
import { entriesOf, recordKinds } from "../format/segment.ts";
import { clusterBytes, KiB, MiB } from "../limits.ts";
import type { Append, StagedAppend } from "./journal-file.ts";
import type { BatchPlaced } from "./journal.ts";
import type { Written } from "./journal-rig.fixture.ts";
import { assertRepeatable, begin, before, recover, sequencesOf } from "./journal-rig.fixture.ts";

const large = 100; // clusters: written beside the event loop

const appendsOf = (firstCluster: number, clusterCount: number): Append[] => [
  {
    kind: recordKinds.data,
    firstCluster,
    clusterCount,
    data: Buffer.alloc(clusterCount * clusterBytes, (firstCluster % 255) + 1),
  },
];

/** First clusters of what recovery finds, in order. */
async function foundBy(written: Written): Promise<number[]> {
  await written.journal.abandon();
  const recovered = await recover(written);
  await assertRepeatable(written, recovered);
  return recovered.segments.flatMap(({ index }) => entriesOf(index).map((entry) => entry.firstCluster));
}

/** What of it was used: its buffers are the ones that were written. */
const isUsed = (staged: StagedAppend | undefined, { file, placed }: BatchPlaced): boolean =>
  staged?.file === file && staged.encoded.placed === placed;

test("an append that was put together behind the one under way is written as it is", async () => {
  const written = await begin(4 * MiB);
  const { journal } = written;
  const first = journal.append(appendsOf(1, large));
  const next = appendsOf(2, large);
  const staged = journal.stage(next);
  const after = journal.append(next, staged);
  await first;
  assert.ok(isUsed(staged, await after));
  assert.deepEqual(await foundBy(written), [1, 2]);
});

test("one whose place was taken, or whose file is full by then, is put together anew", async () => {
  const written = await begin(4 * MiB);
  const { journal } = written;
  const first = journal.append(appendsOf(1, large));
  const next = appendsOf(3, large);
  const staged = journal.stage(next);
  await first;
  await journal.append(appendsOf(2, 1));
  assert.ok(!isUsed(staged, await journal.append(next, staged)));
  const last = appendsOf(4, large);
  const stagedLast = journal.stage(last);
  await journal.rotate();
  assert.ok(!isUsed(stagedLast, await journal.append(last, stagedLast)));
  assert.equal(journal.stage(appendsOf(5, 2000)), undefined); // it goes into the next file
  assert.deepEqual(await foundBy(written), [1, 2, 3, 4]);
});

test("when the append before it fails, it takes that one's place", async () => {
  const written = await begin(4 * MiB);
  const { journal, disk } = written;
  await journal.append(appendsOf(1, 1));
  disk.freeBytes = 200 * KiB;
  const failing = Promise.resolve(journal.append(appendsOf(2, large)));
  const next = appendsOf(3, large);
  const staged = journal.stage(next);
  const after = Promise.resolve(journal.append(next, staged));
  await assert.rejects(failing, { code: "journal_full" });
  disk.freeBytes = Number.POSITIVE_INFINITY;
  assert.ok(!isUsed(staged, await after));
  assert.equal(journal.sequence, before + 2);
  assert.deepEqual(await foundBy(written), [1, 3]);
});

test(
  "with appends of all sizes, a disk that runs full and power loss, what was flushed is found, and a prefix of the rest",
  { timeout: 120_000 },
  async () => {
    let used = 0;
    for (let seed = 1; seed <= 40; seed++) {
      const random = seededRandom(seed);
      const written = await begin((512 + random.below(4096)) * KiB);
      const { journal, disk } = written;
      const appended: number[] = [];
      const underWay: Promise<void>[] = [];
      for (let i = 1; i <= 30; i++) {
        const appends = appendsOf(i, random.below(2) === 0 ? large : 1 + random.below(70));
        const staged = random.below(4) > 0 ? journal.stage(appends) : undefined;
        if (random.below(10) === 0) disk.freeBytes = random.below(MiB);
        const appending = (async () => {
          const placed = await journal.append(appends, staged);
          appended.push(i);
          if (isUsed(staged, placed)) used++;
        })();
        underWay.push(appending.catch((error: AndironError) => assert.equal(error.code, "journal_full", `seed ${seed}`)));
        if (random.below(3) === 0) await underWay.at(-1);
        if (random.below(4) === 0) disk.freeBytes = Number.POSITIVE_INFINITY;
        if (random.below(5) === 0) await journal.flush();
        if (random.below(15) === 0) await journal.rotate().catch(() => undefined);
      }
      await Promise.all(underWay);
      disk.freeBytes = Number.POSITIVE_INFINITY;
      const known = journal.flushedSequence;
      await journal.abandon();
      disk.losePower(random);
      const recovered = await recover(written);
      assert.ok(recovered.lastSequence >= known, `seed ${seed}: ${recovered.lastSequence} >= ${known}`);
      const found = recovered.segments.flatMap(({ index }) => entriesOf(index).map((entry) => entry.firstCluster));
      assert.deepEqual(found, appended.slice(0, found.length), `seed ${seed}`);
      const sequences = sequencesOf(recovered);
      assert.deepEqual(
        sequences,
        sequences.map((_, i) => before + 1 + i),
        `seed ${seed}`,
      );
      await assertRepeatable(written, recovered);
    }
    assert.ok(used > 100, `only ${used} appends were written as they were put together`);
  },
);
