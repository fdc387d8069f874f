// A local file that several readers use while its owner may let go of it: it is closed when the last is done.
//
// - One sync at a time. The system tells one of those who sync a descriptor that bytes could not be written, once: of two at the
//   same time one fails, and the other, which covers the same bytes, succeeds. So, too, none succeeds after one that failed.

import { assert } from "../common/assert.ts";
import { AndironError } from "../common/errors.ts";
import type { DiskFile, LocalDisk, OpenMode, PreparedWrite } from "./local-disk.ts";

export class LocalFile {
  readonly path: string;
  readonly #disk: LocalDisk;
  readonly #file: DiskFile;
  #users = 1;
  /** The last sync that was asked for, while it is under way or when it has failed. */
  #lastSync: Promise<void> | undefined;

  /** Opens it; throws the system's error. */
  constructor(disk: LocalDisk, path: string, mode: OpenMode) {
    this.#disk = disk;
    this.path = path;
    this.#file = disk.open(path, mode);
  }

  /** Bytes it has now. */
  length(): number {
    return this.#file.lengthBytes();
  }

  /** Fills target wholly from `offset`; rejects with segment_damaged when the file is shorter. */
  read(offset: number, target: Buffer): Promise<void> {
    return this.#use(this.#file.read(offset, target)).then((bytes) => {
      if (bytes < target.length)
        throw new AndironError("segment_damaged", `${this.path} ends before byte ${offset + target.length}`);
    });
  }

  /** Writes all buffers from `offset`; rejects with the system's error after a short or failed write. */
  write(buffers: readonly Buffer[], offset: number): Promise<void> {
    return this.#use(this.#file.write(buffers, offset));
  }

  /** Begins what of such a write can be done before its turn; undefined when that is nothing. Dropped or written in the end. */
  prepare(buffers: readonly Buffer[], offset: number): PreparedWrite | undefined {
    const prepared = this.#file.prepare(buffers, offset);
    return prepared && { write: () => this.#use(prepared.write()), drop: () => prepared.drop() };
  }

  /** The same within the call. */
  writeNow(buffers: readonly Buffer[], offset: number): void {
    this.#file.writeNow(buffers, offset);
  }

  truncateNow(lengthBytes: number): void {
    this.#file.truncateNow(lengthBytes);
  }

  /** What was written before the call is on the disk; rejects with the system's error, now and ever after. */
  sync(): Promise<void> {
    const begin = (): Promise<void> => this.#file.sync();
    const sync = this.#use(this.#lastSync === undefined ? begin() : this.#lastSync.then(begin));
    this.#lastSync = sync;
    const succeeded = (): void => {
      if (this.#lastSync === sync) this.#lastSync = undefined;
    };
    sync.then(succeeded, () => undefined);
    return sync;
  }

  /** Nothing is written from now on. */
  endWrites(): void {
    this.#file.endWrites();
  }

  /** One more who is to close it. */
  hold(): void {
    assert(this.#users > 0, "a file that was let go of is not taken again");
    this.#users++;
  }

  /** The owner lets go. Reads under way finish. */
  close(): void {
    this.#release();
  }

  /** Removes its name; those who read it go on. No error when it is gone. */
  unlink(): Promise<void> {
    return this.#disk.unlink(this.path);
  }

  #use<T>(operation: Promise<T>): Promise<T> {
    this.#users++;
    return operation.then(
      (result) => {
        this.#release();
        return result;
      },
      (error: unknown) => {
        this.#release();
        throw error;
      },
    );
  }

  #release(): void {
    assert(this.#users > 0, "a local file is released as often as it was taken");
    this.#users--;
    if (this.#users === 0) this.#file.close().catch(() => undefined);
  }
}
