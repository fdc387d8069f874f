// A local file that several readers use while its owner may let go of it: the descriptor is closed when the last is done.

import { close, fdatasync, fstatSync, read, write, writev } from "node:fs";
import { rm } from "node:fs/promises";
import { promisify } from "node:util";
import { assert } from "../common/assert.ts";
import { AndironError } from "../common/errors.ts";

const readAsync = promisify(read);
const writevAsync = promisify(writev);
const writeAsync = promisify(write);
const fdatasyncAsync = promisify(fdatasync);
const closeAsync = promisify(close);

export class LocalFile {
  readonly path: string;
  readonly fd: number;
  #users = 1;

  constructor(path: string, fd: number) {
    this.path = path;
    this.fd = fd;
  }

  /** Bytes it has now. */
  length(): number {
    return fstatSync(this.fd).size;
  }

  /** Fills target wholly from `offset`; rejects with segment_damaged when the file is shorter. */
  async read(offset: number, target: Buffer): Promise<void> {
    this.#users++;
    try {
      let done = 0;
      while (done < target.length) {
        const { bytesRead } = await readAsync(this.fd, target, done, target.length - done, offset + done);
        if (bytesRead === 0) throw new AndironError("segment_damaged", `${this.path} ends before byte ${offset + target.length}`);
        done += bytesRead;
      }
    } finally {
      this.#release();
    }
  }

  /** Writes all buffers from `offset`; rejects with the system's error after a short or failed write. */
  async write(buffers: readonly Buffer[], offset: number): Promise<void> {
    this.#users++;
    try {
      const total = buffers.reduce((sum, buffer) => sum + buffer.length, 0);
      const { bytesWritten } = await writevAsync(this.fd, buffers, offset);
      if (bytesWritten === total) return;
      // A short write: the rest at once, so that the system says why (ENOSPC, EFBIG, ...).
      let rest: Buffer<ArrayBufferLike> = Buffer.concat(buffers, total).subarray(bytesWritten);
      let at = offset + bytesWritten;
      while (rest.length > 0) {
        const more = await writeAsync(this.fd, rest, 0, rest.length, at);
        assert(more.bytesWritten > 0, "a write of some bytes writes some or fails");
        rest = rest.subarray(more.bytesWritten);
        at += more.bytesWritten;
      }
    } finally {
      this.#release();
    }
  }

  async sync(): Promise<void> {
    this.#users++;
    try {
      await fdatasyncAsync(this.fd);
    } finally {
      this.#release();
    }
  }

  /** The owner lets go. Reads under way finish. */
  close(): void {
    this.#release();
  }

  #release(): void {
    assert(this.#users > 0, "a local file is released as often as it was taken");
    this.#users--;
    if (this.#users === 0) void closeAsync(this.fd).catch(() => undefined);
  }

  /** Removes its name; those who read it go on. No error when it is gone. */
  async unlink(): Promise<void> {
    await rm(this.path, { force: true });
  }
}
