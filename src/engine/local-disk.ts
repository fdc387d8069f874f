// The local disk under the journal: the one seam between the engine and a file system, so that the simulator can stand in
// for a disk that loses power (sim/sim-disk.ts). What runs is node-disk.ts; contract suite: local-disk-contract.ts.
//
// What a user may rely on, and nothing more:
// - What was written is seen by every later read, and survives the death of the process.
// - A file's bytes survive power loss once a sync() that began after their write has resolved. After a sync() that rejected,
//   nothing is known of what it covered, and a later one that resolves proves nothing about it.
// - A name that was created, renamed or removed is so after power loss once syncDirectory() of its directory has resolved.
// - Power loss may leave any unsynced write done, undone or torn between sectors of 512 bytes, in any order.
// - Errors are the system's (code ENOENT, EEXIST, ENOSPC, EIO, ...); callers make AndironErrors of them.
// Paths are absolute, parts separated by "/". It knows nothing of journals.

export type OpenMode =
  /** A file that exists; else ENOENT. */
  | "existing"
  /** A file that does not exist; else EEXIST. */
  | "new"
  /** An empty file, whatever there was. */
  | "replace";

/** A write that is put together while another one may be under way. Written or dropped, and only then may the file be closed. */
export interface PreparedWrite {
  /** Once, as DiskFile.write. */
  write(): Promise<void>;
  /** It is not written. Nothing, when it was. */
  drop(): void;
}

/** An open file; for reading and writing. Used by one owner (local-file.ts shares it). */
export interface DiskFile {
  /** Bytes it has now. */
  lengthBytes(): number;
  /** Reads from byte `offset`; resolves with the number of bytes, less than the target has only at the end of the file. */
  read(offset: number, target: Buffer): Promise<number>;
  /** Writes the concatenation of `buffers` from byte `offset`: all of it, or it rejects and any part may be there. */
  write(buffers: readonly Buffer[], offset: number): Promise<void>;
  /**
   * Begins what of such a write can be done before its turn. The buffers stay as they are until it ends. undefined when that is
   * nothing.
   */
  prepare(buffers: readonly Buffer[], offset: number): PreparedWrite | undefined;
  /** The same within the call: for small writes, where a hop to a thread costs more than the system call. */
  writeNow(buffers: readonly Buffer[], offset: number): void;
  truncateNow(lengthBytes: number): void;
  /** fdatasync: the bytes, and the length that is needed to read them. */
  sync(): Promise<void>;
  /** Nothing is written from now on: lets go of what only writing needs. No write is under way. */
  endWrites(): void;
  /** No other verb may be called after it or be under way. */
  close(): Promise<void>;
}

export interface LocalDisk {
  open(path: string, mode: OpenMode): DiskFile;
  /** Replaces `target` at once. */
  rename(source: string, target: string): Promise<void>;
  /** Removes a file's name; who has it open goes on. No error when it is gone. */
  unlink(path: string): Promise<void>;
  /** Names in a directory, in any order; ENOENT when there is none. */
  list(directory: string): Promise<string[]>;
  /** With those above it; no error when it exists. */
  makeDirectory(directory: string): Promise<void>;
  /** Only an empty one; else ENOTEMPTY. */
  removeDirectory(directory: string): Promise<void>;
  syncDirectory(directory: string): Promise<void>;
}

/** The whole file. Rejects with the system's error. */
export async function readWhole(disk: LocalDisk, path: string): Promise<Buffer> {
  const file = disk.open(path, "existing");
  try {
    const target = Buffer.alloc(file.lengthBytes());
    return target.subarray(0, await file.read(0, target));
  } finally {
    await file.close();
  }
}

/** The system's code of an error (ENOENT, ...); undefined when it has none. */
export const systemCodeOf = (error: unknown): string | undefined => (error as NodeJS.ErrnoException | null)?.code;
