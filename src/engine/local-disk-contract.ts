// The contract suite of LocalDisk, as far as a living process can see it: run over the real disk (node-disk.test.ts) and over
// the simulated one (sim/sim-disk.test.ts, which also looks at what power loss leaves). Used by test files only.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { LocalDisk } from "./local-disk.ts";
import { readWhole, systemCodeOf } from "./local-disk.ts";

/** A disk and an empty directory on it; `settle` lets time pass for a promise where that is simulated. */
export interface ContractDisk {
  readonly disk: LocalDisk;
  readonly directory: string;
  settle<T>(promise: Promise<T>): Promise<T>;
  remove(): Promise<void>;
}

type Body = (made: ContractDisk) => Promise<void>;

const code =
  (expected: string) =>
  (error: unknown): boolean =>
    systemCodeOf(error) === expected;

/** Defines the suite under `name`; each test gets a disk of its own. */
export function localDiskContract(name: string, make: () => Promise<ContractDisk>): void {
  describe(`local disk contract: ${name}`, () => {
    const define = (title: string, body: Body): void => {
      test(title, async () => {
        const made = await make();
        try {
          await body(made);
        } finally {
          await made.remove();
        }
      });
    };
    fileContract(define);
    nameContract(define);
  });
}

function fileContract(define: (title: string, body: Body) => void): void {
  define("what was written in pieces is read back, by every handle", async ({ disk, directory, settle }) => {
    const file = disk.open(`${directory}/a`, "new");
    await settle(file.write([Buffer.from("hello "), Buffer.from("world")], 0));
    file.writeNow([Buffer.from("W"), Buffer.from("ORL")], 6);
    assert.equal(file.lengthBytes(), 11);
    assert.equal((await settle(readWhole(disk, `${directory}/a`))).toString(), "hello WORLd");
    await settle(file.close());
  });

  define("a read beyond the end is short, and a write beyond it leaves zeroes between", async ({ disk, directory, settle }) => {
    const file = disk.open(`${directory}/a`, "new");
    file.writeNow([Buffer.from("x")], 10);
    const target = Buffer.alloc(20, 1);
    assert.equal(await settle(file.read(0, target)), 11);
    assert.deepEqual(target.subarray(0, 11), Buffer.from("\0\0\0\0\0\0\0\0\0\0x"));
    assert.equal(await settle(file.read(50, target)), 0);
    await settle(file.close());
  });

  define("a prepared write is as one that was not, also behind another, and one that is dropped is none", async (made) => {
    const { disk, directory, settle } = made;
    const file = disk.open(`${directory}/a`, "new");
    const bytes = Buffer.from(Array.from({ length: 3 * 1024 * 1024 + 123 }, (_, i) => (i * i) >> 7));
    for (let round = 0; round < 3; round++) {
      for (let dropped = 0; dropped < 20; dropped++) file.prepare([bytes], 77)?.drop();
      const prepared = file.prepare([bytes.subarray(0, 1000), bytes.subarray(1000)], 77);
      await settle(file.write([Buffer.alloc(77, round)], 0));
      await settle(prepared?.write() ?? file.write([bytes], 77));
      prepared?.drop();
      const whole = await settle(readWhole(disk, `${directory}/a`));
      assert.ok(whole.equals(Buffer.concat([Buffer.alloc(77, round), bytes])));
    }
    await settle(file.close());
  });

  define("truncation cuts, and what is written again after it has no old bytes", async ({ disk, directory, settle }) => {
    const file = disk.open(`${directory}/a`, "new");
    file.writeNow([Buffer.from("abcdef")], 0);
    file.truncateNow(2);
    assert.equal(file.lengthBytes(), 2);
    file.writeNow([Buffer.from("z")], 4);
    await settle(file.sync());
    assert.equal((await settle(readWhole(disk, `${directory}/a`))).toString(), "ab\0\0z");
    await settle(file.close());
  });

  define("many writes at once all arrive", async ({ disk, directory, settle }) => {
    const file = disk.open(`${directory}/a`, "new");
    const writes = Array.from({ length: 20 }, (_, i) => file.write([Buffer.alloc(1000, i)], i * 1000));
    await settle(Promise.all([...writes, file.sync()]));
    const bytes = await settle(readWhole(disk, `${directory}/a`));
    for (let i = 0; i < 20; i++) assert.deepEqual(bytes.subarray(i * 1000, (i + 1) * 1000), Buffer.alloc(1000, i));
    await settle(file.close());
  });

  define("large writes side by side, of odd lengths at odd offsets, all arrive", async ({ disk, directory, settle }) => {
    const file = disk.open(`${directory}/a`, "new");
    const lengthBytes = 1_000_003;
    const datas = Array.from({ length: 24 }, (_, i) => [Buffer.alloc(5, 200 + i), Buffer.alloc(lengthBytes - 5, i + 1)]);
    await settle(Promise.all([...datas.map((data, i) => file.write(data, 7 + i * lengthBytes)), file.sync()]));
    const bytes = await settle(readWhole(disk, `${directory}/a`));
    assert.deepEqual(bytes.subarray(0, 7), Buffer.alloc(7));
    for (const [i, data] of datas.entries())
      assert.ok(bytes.subarray(7 + i * lengthBytes, 7 + (i + 1) * lengthBytes).equals(Buffer.concat(data)));
    await settle(file.close());
  });
}

function nameContract(define: (title: string, body: Body) => void): void {
  define("new refuses a file that exists, existing one that does not, replace empties", async ({ disk, directory, settle }) => {
    assert.throws(() => disk.open(`${directory}/a`, "existing"), code("ENOENT"));
    const file = disk.open(`${directory}/a`, "new");
    file.writeNow([Buffer.from("x")], 0);
    assert.throws(() => disk.open(`${directory}/a`, "new"), code("EEXIST"));
    const emptied = disk.open(`${directory}/a`, "replace");
    assert.equal(emptied.lengthBytes(), 0);
    await settle(Promise.all([file.close(), emptied.close()]));
  });

  define("rename replaces, unlink forgets, and both leave what is open readable", async ({ disk, directory, settle }) => {
    const old = disk.open(`${directory}/a`, "new");
    old.writeNow([Buffer.from("old")], 0);
    const fresh = disk.open(`${directory}/b`, "new");
    fresh.writeNow([Buffer.from("fresh")], 0);
    await settle(disk.rename(`${directory}/b`, `${directory}/a`));
    assert.deepEqual(await settle(disk.list(directory)), ["a"]);
    assert.equal((await settle(readWhole(disk, `${directory}/a`))).toString(), "fresh");
    await settle(disk.unlink(`${directory}/a`));
    await settle(disk.unlink(`${directory}/a`));
    assert.deepEqual(await settle(disk.list(directory)), []);
    const target = Buffer.alloc(3);
    await settle(old.read(0, target));
    assert.equal(target.toString(), "old");
    await settle(Promise.all([old.close(), fresh.close()]));
    await assert.rejects(settle(disk.rename(`${directory}/a`, `${directory}/b`)), code("ENOENT"));
  });

  define("directories are made with those above them, once or again", async ({ disk, directory, settle }) => {
    await settle(disk.makeDirectory(`${directory}/x/y`));
    await settle(disk.makeDirectory(`${directory}/x/y`));
    await settle(disk.syncDirectory(`${directory}/x`));
    assert.deepEqual(await settle(disk.list(`${directory}/x`)), ["y"]);
    await assert.rejects(settle(disk.removeDirectory(`${directory}/x`)), code("ENOTEMPTY"));
    await settle(disk.removeDirectory(`${directory}/x/y`));
    assert.deepEqual(await settle(disk.list(`${directory}/x`)), []);
    await assert.rejects(settle(disk.list(`${directory}/z`)), code("ENOENT"));
    await assert.rejects(settle(disk.syncDirectory(`${directory}/z`)), code("ENOENT"));
  });
}
