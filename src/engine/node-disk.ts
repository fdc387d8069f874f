// The LocalDisk that runs: a directory of the machine, through Node.
//
// - Descriptors are plain numbers, not FileHandles: the write path must not pay for an object per call.
// - Large writes go past the page cache (direct-write.ts).
// - A short write is continued at once, so that the system says why (ENOSPC, EFBIG, ...).

import { close, fdatasync, fstatSync, ftruncateSync, openSync, write, writev, writeSync } from "node:fs";
import { mkdir, open, readdir, rename, rm, rmdir } from "node:fs/promises";
import { promisify } from "node:util";
import { assert } from "../common/assert.ts";
import type { Filled } from "./direct-write.ts";
import { directWriteBytesMin, DirectWrites, giveBack } from "./direct-write.ts";
import { KiB } from "./limits.ts";
import type { DiskFile, LocalDisk, PreparedWrite } from "./local-disk.ts";
import { readDescriptor } from "./read-descriptor.ts";

const writevAsync = promisify(writev);
const writeAsync = promisify(write);
const fdatasyncAsync = promisify(fdatasync);
const closeAsync = promisify(close);

const flags = { existing: "r+", new: "wx+", replace: "w+" } as const;
const fileMode = 0o600;
const directoryMode = 0o700;
const joint = Buffer.allocUnsafeSlow(320 * KiB);

class NodeFile implements DiskFile {
  readonly #fd: number;
  readonly #direct: DirectWrites | undefined;

  constructor(fd: number, direct: DirectWrites | undefined) {
    this.#fd = fd;
    this.#direct = direct;
  }

  lengthBytes(): number {
    return fstatSync(this.#fd).size;
  }

  read(offset: number, target: Buffer): Promise<number> {
    return readDescriptor(this.#fd, offset, target);
  }

  prepare(buffers: readonly Buffer[], offset: number): PreparedWrite | undefined {
    const total = totalBytes(buffers);
    const filling = total < directWriteBytesMin ? undefined : this.#direct?.fill(buffers, offset, total);
    if (filling === undefined) return undefined;
    let isEnded = false;
    return {
      write: async () => {
        isEnded = true;
        return this.write(buffers, offset, await filling);
      },
      drop: () => {
        if (!isEnded) void filling.then(giveBack);
        isEnded = true;
      },
    };
  }

  async write(buffers: readonly Buffer[], offset: number, filled?: Filled[]): Promise<void> {
    const total = totalBytes(buffers);
    if (total >= directWriteBytesMin && (await this.#direct?.write(this, buffers, offset, total, filled)) === true) return;
    const { bytesWritten } = await writevAsync(this.#fd, buffers, offset);
    if (bytesWritten === total) return;
    let rest: Buffer<ArrayBufferLike> = Buffer.concat(buffers, total).subarray(bytesWritten);
    let at = offset + bytesWritten;
    while (rest.length > 0) {
      const more = await writeAsync(this.#fd, rest, 0, rest.length, at);
      assert(more.bytesWritten > 0, "a write of some bytes writes some or fails");
      rest = rest.subarray(more.bytesWritten);
      at += more.bytesWritten;
    }
  }

  writeNow(buffers: readonly Buffer[], offset: number): void {
    const whole = buffers.length === 1 ? buffers[0]! : joined(buffers);
    for (let done = 0; done < whole.length;) {
      const more = writeSync(this.#fd, whole, done, whole.length - done, offset + done);
      assert(more > 0, "a write of some bytes writes some or fails");
      done += more;
    }
  }

  truncateNow(lengthBytes: number): void {
    ftruncateSync(this.#fd, lengthBytes);
  }

  sync(): Promise<void> {
    return fdatasyncAsync(this.#fd);
  }

  endWrites(): void {
    this.#direct?.close();
  }

  close(): Promise<void> {
    this.endWrites();
    return closeAsync(this.#fd);
  }
}

export const nodeDisk: LocalDisk = {
  open: (path, mode) => new NodeFile(openSync(path, flags[mode], fileMode), new DirectWrites(path)),
  rename,
  unlink: (path) => rm(path, { force: true }),
  list: (directory) => readdir(directory),
  async makeDirectory(directory) {
    await mkdir(directory, { recursive: true, mode: directoryMode });
  },
  removeDirectory: (directory) => rmdir(directory),
  async syncDirectory(path) {
    const directory = await open(path, "r");
    try {
      await directory.sync();
    } finally {
      await directory.close();
    }
  },
};

/** The same, with every write in the page cache. */
export const cachedNodeDisk: LocalDisk = {
  ...nodeDisk,
  open: (path, mode) => new NodeFile(openSync(path, flags[mode], fileMode), undefined),
};

/** One behind the other, until the next call. A copy of what is small costs less than to hand the system many pieces. */
function joined(buffers: readonly Buffer[]): Buffer {
  const total = totalBytes(buffers);
  if (total > joint.length) return Buffer.concat(buffers, total);
  let at = 0;
  for (const buffer of buffers) at += buffer.copy(joint, at);
  return joint.subarray(0, total);
}

function totalBytes(buffers: readonly Buffer[]): number {
  let total = 0;
  for (const buffer of buffers) total += buffer.length;
  return total;
}
