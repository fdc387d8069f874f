// Recovery of one epoch from its files, damaged in every way: what was flushed is there or it is refused, never cut; what was
// not may be cut behind any whole record. Refusing changes nothing on disk.

import assert from "node:assert/strict";
import { readdirSync, readFileSync, renameSync, rmSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { test } from "node:test";
import type { AndironError } from "../../common/errors.ts";
import { seededRandom } from "../../common/random.ts";
import type { FaultDisk } from "../fault-disk.fixture.ts";
import { entriesOf, headerBytes, recordPrefixBytes } from "../format/segment.ts";
import { KiB } from "../limits.ts";
import type { DiskFile, LocalDisk, OpenMode } from "../local-disk.ts";
import type { Written } from "./journal-rig.fixture.ts";
import { assertRepeatable, before, begin, epoch, log, pathOf, recover, sequencesOf } from "./journal-rig.fixture.ts";
import { markPoisoned, recoverEpoch } from "./recovery.ts";

/** Names, lengths and bytes of everything in the log's folder. */
function contentOf(written: Written): Map<string, string> {
  const folder = `${written.directory}/${log}`;
  return new Map(readdirSync(folder).map((name) => [name, readFileSync(`${folder}/${name}`, "latin1")]));
}

async function assertRefused(written: Written): Promise<void> {
  const content = contentOf(written);
  await assert.rejects(recover(written), (error: AndironError) => error.code === "journal_damaged");
  assert.deepEqual(
    [...contentOf(written)].filter(([name, bytes]) => content.get(name) !== bytes),
    [],
    "nothing is changed",
  );
  assert.equal(contentOf(written).size, content.size);
}

function flipByte(path: string, offset: number): void {
  const bytes = readFileSync(path);
  bytes[offset] = bytes[offset]! ^ 0x40;
  writeFileSync(path, bytes);
}

test("an untouched journal comes back whole, over several files and however often", async () => {
  const written = await begin();
  for (let i = 0; i < 20; i++) await written.write(1 + (i % 5));
  await written.journal.abandon();
  const recovered = await recover(written);
  assert.deepEqual(
    sequencesOf(recovered),
    written.appends.map((append) => append.sequence),
  );
  assert.equal(recovered.lastSequence, written.journal.sequence);
  await assertRepeatable(written, recovered);
});

test("the last file cut at every byte of its last record loses that record and no other", async () => {
  const template = await begin();
  for (let i = 0; i < 3; i++) await template.write(1);
  await template.journal.abandon();
  const [, previous, last] = template.appends as [unknown, { end: number }, { end: number }];
  const path = pathOf(template, 1);
  const whole = readFileSync(path);
  for (let length = previous.end; length <= last.end; length += length < previous.end + 80 || length > last.end - 20 ? 1 : 509) {
    for (const name of readdirSync(`${template.directory}/${log}`)) rmSync(`${template.directory}/${log}/${name}`);
    writeFileSync(path, whole.subarray(0, length));
    const recovered = await recover(template);
    const expected = length === last.end ? 3 : 2;
    assert.equal(recovered.lastSequence, before + expected, `cut at ${length}`);
    assert.equal(sequencesOf(recovered).length, expected);
  }
});

test("a flipped byte above the last flush cuts there, below it is refused and nothing is changed", async () => {
  const template = await begin(1024 * KiB);
  await template.write(1);
  await template.write(2);
  await template.journal.flush();
  await template.write(1); // names the flush
  await template.write(1);
  await template.journal.abandon();
  const path = pathOf(template, 1);
  const whole = readFileSync(path);
  const ends = template.appends.map((append) => append.end);
  for (let offset = 0; offset < whole.length; offset += offset < headerBytes + 200 ? 7 : 331) {
    for (const name of readdirSync(`${template.directory}/${log}`)) rmSync(`${template.directory}/${log}/${name}`);
    writeFileSync(path, whole);
    flipByte(path, offset);
    if (offset < ends[1]!) {
      await assertRefused(template);
      continue;
    }
    const recovered = await recover(template);
    const whole3 = offset >= ends[2]!;
    assert.equal(recovered.lastSequence, before + (whole3 ? 3 : 2), `flipped at ${offset}`);
    await assertRepeatable(template, recovered);
  }
});

test("a file in the middle that is missing, cut or damaged is refused once the next one shows that it was flushed", async () => {
  const damages: ((path: string) => void)[] = [
    (path) => rmSync(path),
    (path) => truncateSync(path, statSync(path).size >> 1),
    (path) => truncateSync(path, 10),
    (path) => writeFileSync(path, ""),
    (path) => renameSync(path, `${path}.gone`),
  ];
  for (const damage of damages) {
    const written = await begin();
    for (let i = 0; i < 8; i++) await written.write(6);
    await written.journal.flush();
    for (let i = 0; i < 8; i++) await written.write(6);
    await written.journal.abandon();
    damage(pathOf(written, 2));
    await assertRefused(written);
  }
});

test("a last file that is missing is refused, for its name was on disk before the one before it got its footer", async () => {
  const written = await begin();
  for (let i = 0; i < 8; i++) await written.write(6);
  await written.journal.sealed();
  await written.journal.abandon();
  const last = written.appends.at(-1)!.number;
  for (const name of readdirSync(`${written.directory}/${log}`)) {
    if (Number.parseInt(name.slice(-8), 16) >= last) rmSync(`${written.directory}/${log}/${name}`);
  }
  await assertRefused(written);
});

test("a torn header of a file that nothing was flushed in ends the epoch before it", async () => {
  for (const length of [0, 1, headerBytes - 1]) {
    const written = await begin();
    for (let i = 0; i < 5; i++) await written.write(6);
    await written.journal.flush();
    await written.journal.rotate();
    await written.journal.sealed();
    const end = written.journal.sequence;
    await written.write(1);
    await written.journal.abandon();
    truncateSync(pathOf(written, written.appends.at(-1)!.number), length);
    const recovered = await recover(written);
    assert.equal(recovered.lastSequence, end);
    await assertRepeatable(written, recovered);
  }
});

test("a poisoned journal is copied wholly, under the next generation, and the mark is gone", async () => {
  const written = await begin();
  for (let i = 0; i < 10; i++) await written.write(5);
  await written.journal.sealed();
  await written.journal.abandon();
  await markPoisoned(written.disk, written.directory, log);
  const recovered = await recover(written);
  assert.ok(recovered.segments.length > 2);
  assert.ok(recovered.segments.every((segment) => segment.generation === 1));
  assert.deepEqual(
    sequencesOf(recovered),
    written.appends.map((append) => append.sequence),
  );
  assert.ok(!contentOf(written).has("poisoned"));
  await assertRepeatable(written, recovered);
});

test("recovery that stops at any call to the disk is finished by the next one", async () => {
  for (let calls = 0; calls < 40; calls++) {
    const written = await begin();
    for (let i = 0; i < 8; i++) await written.write(6);
    await written.journal.abandon();
    truncateSync(pathOf(written, written.appends.at(-1)!.number), written.appends.at(-1)!.end - 1);
    if (calls % 2 === 0) await markPoisoned(written.disk, written.directory, log);
    let left = calls >> 1;
    const dying = new Proxy(written.disk, {
      get(disk, name: keyof FaultDisk) {
        const value = disk[name];
        if (typeof value !== "function") return value;
        return (...values: unknown[]): unknown => {
          if (left-- <= 0) throw new Error("the process died");
          return (value as (...values: unknown[]) => unknown).apply(disk, values);
        };
      },
    });
    await recoverEpoch({ disk: dying, directory: written.directory, log, epoch, first: 1, sequence: before }).catch(
      () => undefined,
    );
    const recovered = await recover(written);
    assert.deepEqual(
      sequencesOf(recovered),
      written.appends.slice(0, -1).map((append) => append.sequence),
      `died at call ${calls >> 1}`,
    );
  }
});

test("power loss at a random moment keeps every flushed record, in order and without a gap", async () => {
  for (let seed = 1; seed <= 40; seed++) {
    const random = seededRandom(seed);
    const written = await begin((16 + random.below(100)) * KiB);
    let flushed = before;
    for (let i = 0; i < 25; i++) {
      await written.write(1 + random.below(6));
      if (random.below(5) === 0) {
        await written.journal.flush();
        flushed = written.journal.sequence;
      }
      if (random.below(9) === 0) await written.journal.rotate();
    }
    await written.journal.abandon();
    written.disk.losePower(random);
    const recovered = await recover(written);
    assert.ok(recovered.lastSequence >= Math.max(flushed, written.journal.flushedSequence), `seed ${seed}`);
    const sequences = sequencesOf(recovered);
    const expected = written.appends.map((append) => append.sequence).slice(0, sequences.length);
    assert.deepEqual(sequences, expected, `seed ${seed}`);
    await assertRepeatable(written, recovered);
  }
});

test("a record's place is found by its file alone: prefix and payload lie behind each other", async () => {
  const written = await begin();
  await written.write(3);
  await written.journal.abandon();
  const [segment] = (await recover(written)).segments;
  assert.equal(entriesOf(segment!.index)[0]!.originalOffset, headerBytes + recordPrefixBytes(3));
});

test("of files that were flushed long ago only the ends are read, and what the last ones hold is checked", async () => {
  const written = await begin();
  for (let i = 0; i < 60; i++) {
    await written.write(6);
    if (i % 4 === 0) await written.journal.flush();
  }
  await written.journal.sealed();
  await written.journal.abandon();
  const files = readdirSync(`${written.directory}/${log}`).map((name) => statSync(`${written.directory}/${log}/${name}`).size);
  const { disk, bytesRead } = countingReads(written.disk);
  const recovered = await recoverEpoch({ disk, directory: written.directory, log, epoch, first: 1, sequence: before });
  assert.deepEqual(
    sequencesOf(recovered),
    written.appends.map((append) => append.sequence),
  );
  const bytes = files.reduce((sum, size) => sum + size, 0);
  assert.ok(files.length > 20 && bytesRead() < bytes / 4, `${bytesRead()} of ${bytes} bytes were read`);
});

/** The same disk, and how many bytes were read from it. */
function countingReads(inner: LocalDisk): { readonly disk: LocalDisk; readonly bytesRead: () => number } {
  let bytes = 0;
  const disk = new Proxy(inner, {
    get(target, name: keyof LocalDisk) {
      if (name !== "open") return target[name].bind(target);
      return (path: string, mode: OpenMode): DiskFile => {
        const file = target.open(path, mode);
        const read = async (offset: number, buffer: Buffer): Promise<number> => {
          const count = await file.read(offset, buffer);
          bytes += count;
          return count;
        };
        return new Proxy(file, {
          get: (of, verb: keyof DiskFile) => (verb === "read" ? read : of[verb].bind(of)),
        });
      };
    },
  });
  return { disk, bytesRead: () => bytes };
}
