// What syncs of one file are to each other, on a disk that fails as Linux does: the error is told to one of those who wait.

import assert from "node:assert/strict";
import { test } from "node:test";
import type { DiskFile, LocalDisk } from "./local-disk.ts";
import { LocalFile } from "./local-file.ts";

/** A file whose syncs end when the test says so. */
class SyncedByHand {
  readonly underWay: PromiseWithResolvers<void>[] = [];
  closed = 0;

  open(): LocalFile {
    const file = {
      sync: () => {
        const sync = Promise.withResolvers<void>();
        this.underWay.push(sync);
        return sync.promise;
      },
      close: async () => void this.closed++,
    } as unknown as DiskFile;
    return new LocalFile({ open: () => file } as unknown as LocalDisk, "/file", "new");
  }
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test("a sync that is asked for while another is under way begins when that has ended", async () => {
  const disk = new SyncedByHand();
  const file = disk.open();
  const ended: string[] = [];
  const first = file.sync().then(() => ended.push("first"));
  const second = file.sync().then(() => ended.push("second"));
  assert.equal(disk.underWay.length, 1);
  disk.underWay[0]!.resolve();
  await first;
  await turn();
  assert.deepEqual([disk.underWay.length, ended], [2, ["first"]]);
  file.close();
  assert.equal(disk.closed, 0);
  disk.underWay[1]!.resolve();
  await second;
  assert.equal(disk.closed, 1);
});

test("a sync fails when the one before it has failed, and so does each after that", async () => {
  const disk = new SyncedByHand();
  const file = disk.open();
  const [first, second] = [file.sync(), file.sync()];
  disk.underWay[0]!.reject(new Error("EIO"));
  await assert.rejects(first, /EIO/);
  await assert.rejects(second, /EIO/);
  await assert.rejects(file.sync(), /EIO/);
  assert.equal(disk.underWay.length, 1, "none of them asked the disk");
});

test("after a sync has ended the next begins at once", async () => {
  const disk = new SyncedByHand();
  const file = disk.open();
  const first = file.sync();
  disk.underWay[0]!.resolve();
  await first;
  await turn();
  void file.sync();
  assert.equal(disk.underWay.length, 2);
});
