// Writes past the page cache leave what writes through it would: anywhere, in any pieces, beside others.

import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import fc from "fast-check";
import type { Filled } from "./direct-write.ts";
import { directWriteBytesMin, DirectWrites, giveBack } from "./direct-write.ts";
import { nodeDisk } from "./node-disk.ts";

const kibibyte = 1024;

/** Bytes that are nowhere alike in one MiB. */
function pattern(lengthBytes: number, seed: number): Buffer {
  const bytes = Buffer.allocUnsafe(Math.ceil(lengthBytes / 4) * 4);
  for (let i = 0; i < bytes.length; i += 4) bytes.writeUInt32LE((Math.imul(i + 1, 2654435761) ^ seed) >>> 0, i);
  return bytes.subarray(0, lengthBytes);
}

async function inFolder(run: (folder: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "andiron-direct-"));
  try {
    await run(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function cut(bytes: Buffer, cuts: readonly number[]): Buffer[] {
  const places = [0, ...cuts.map((share) => Math.floor((share * bytes.length) / 1000)), bytes.length].sort((a, b) => a - b);
  return places.slice(1).map((end, i) => bytes.subarray(places[i], end));
}

void test("a write of any pieces at any offset is what was there with it laid over", async () => {
  await inFolder(async (folder) => {
    const extra = fc.oneof(fc.nat(9000), fc.nat(4 * 1024 * kibibyte));
    const cuts = fc.array(fc.nat(1000), { maxLength: 20 });
    await fc.assert(
      fc.asyncProperty(fc.nat(20_000), extra, cuts, fc.nat(40_000), async (offset, more, places, before) => {
        const path = join(folder, "file");
        writeFileSync(path, pattern(before, 1));
        const data = pattern(directWriteBytesMin + more, 2);
        const expected = Buffer.alloc(Math.max(before, offset + data.length));
        pattern(before, 1).copy(expected);
        data.copy(expected, offset);
        const file = nodeDisk.open(path, "existing");
        const direct = new DirectWrites(path);
        assert.equal(await direct.write(file, cut(data, places), offset, data.length), true);
        direct.close();
        await file.close();
        assert.ok(readFileSync(path).equals(expected));
      }),
      { numRuns: 40 },
    );
  });
});

void test("of many large writes at once those for which there is no memory are left to the caller, and say so", async () => {
  await inFolder(async (folder) => {
    const path = join(folder, "file");
    const file = nodeDisk.open(path, "new");
    const direct = new DirectWrites(path);
    const datas = Array.from({ length: 20 }, (_, i) => pattern(2 * 1024 * kibibyte + 77, i));
    const write = (data: Buffer, i: number): Promise<boolean> => direct.write(file, [data], i * data.length, data.length);
    const done = await Promise.all(datas.map(write));
    assert.ok(done.includes(true));
    assert.ok(done.includes(false));
    const bytes = readFileSync(path);
    for (const [i, data] of datas.entries())
      if (done[i]!) assert.ok(bytes.subarray(i * data.length, (i + 1) * data.length).equals(data));
    // What the others took is free again.
    assert.equal(await write(datas[0]!, 0), true);
    direct.close();
    await file.close();
  });
});

void test("what is copied for a large write is copied in several turns of the event loop", async () => {
  await inFolder(async (folder) => {
    const path = join(folder, "file");
    const file = nodeDisk.open(path, "new");
    const direct = new DirectWrites(path);
    const data = pattern(4 * 1024 * kibibyte, 1);
    const writing = direct.write(file, [data], 0, data.length);
    // Still ours in this turn, but for the first piece.
    data.fill(7, 1024 * kibibyte);
    assert.equal(await writing, true);
    assert.ok(readFileSync(path).equals(data));
    direct.close();
    await file.close();
  });
});

void test("what was copied ahead and is not wanted, or cannot be written, leaves its memory to others", async () => {
  await inFolder(async (folder) => {
    const path = join(folder, "file");
    const file = nodeDisk.open(path, "new");
    const direct = new DirectWrites(path);
    const data = pattern(3 * 1024 * kibibyte, 1);
    const fill = async (): Promise<Filled[]> => (await direct.fill([data], 100, data.length)) ?? assert.fail();
    const impossible = new DirectWrites(join(folder, "none"));
    for (let i = 0; i < 20; i++) {
      giveBack(await fill());
      assert.equal(await impossible.write(file, [data], 100, data.length, await fill()), false);
      assert.equal(await direct.write(file, [data], 100, data.length, await fill()), true);
    }
    assert.ok(readFileSync(path).subarray(100).equals(data));
    assert.equal(impossible.fill([data], 100, data.length), undefined);
    const filled = await Promise.all(Array.from({ length: 8 }, fill));
    assert.equal(filled.flat().length, 16);
    filled.forEach(giveBack);
    direct.close();
    await file.close();
  });
});

void test("a file that cannot be opened so is left to the caller", async () => {
  await inFolder(async (folder) => {
    const file = nodeDisk.open(join(folder, "file"), "new");
    const direct = new DirectWrites(join(folder, "none"));
    assert.equal(await direct.write(file, [pattern(directWriteBytesMin, 1)], 0, directWriteBytesMin), false);
    assert.equal(file.lengthBytes(), 0);
    direct.close();
    await file.close();
  });
});
