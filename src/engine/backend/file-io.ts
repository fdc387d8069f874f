// The few loops around system calls that the file backend needs: whole writes, whole reads, syncs. No policy here.

import { open, stat, type FileHandle } from "node:fs/promises";
import { AndironError } from "../../common/errors.ts";
import { systemCodeOf } from "../../common/system-errors.ts";
import { readDescriptor } from "../read-descriptor.ts";

const vectorsMax = 1024; // IOV_MAX

/** Writes all parts at the file position, however many system calls it takes. */
export async function writeAll(handle: FileHandle, parts: readonly Buffer[]): Promise<void> {
  let pending = parts.filter((part) => part.length > 0);
  while (pending.length > 0) {
    const { bytesWritten } = await handle.writev(pending.slice(0, vectorsMax));
    pending = dropBytes(pending, bytesWritten);
  }
}

/** What is left of `parts` when the first `count` bytes are gone. */
function dropBytes(parts: Buffer[], count: number): Buffer[] {
  let index = 0;
  let left = count;
  for (let part = parts[index]; part !== undefined && left >= part.length; part = parts[index]) {
    left -= part.length;
    index++;
  }
  const rest = parts.slice(index);
  const first = rest[0];
  if (first !== undefined) rest[0] = first.subarray(left);
  return rest;
}

/** Fills `target` from `offset`; segment_damaged when the file ends before. */
export async function readFully(descriptor: number, name: string, offset: number, target: Buffer): Promise<void> {
  const count = await readDescriptor(descriptor, offset, target);
  if (count < target.length)
    throw new AndironError("segment_damaged", `object ${name} ends at ${offset + count}, before ${offset + target.length}`);
}

/** Length of a local file; invalid_request when it is not there. */
export async function sizeOfSource(source: string): Promise<number> {
  try {
    return (await stat(source)).size;
  } catch (error) {
    if (systemCodeOf(error) !== "ENOENT") throw error;
    throw new AndironError("invalid_request", `no file ${source} to put`, { cause: error });
  }
}

/** fsync(2) of a file or a directory. */
export async function syncPath(path: string): Promise<void> {
  const handle = await open(path, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
