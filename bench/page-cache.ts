// A page cache that is full, as on a machine that has run for a while: no memory is free but a little, and who needs a page gets
// one that a file nobody reads had. On a virtual machine that gives free memory back to its host a page that was free costs
// many times as much as any other, and who writes a log takes pages all the time.

import { open, readFile } from "node:fs/promises";
import { totalmem } from "node:os";
import { join } from "node:path";

const mebibyte = 2 ** 20;
const freeBytesMax = 1024 * mebibyte;
const readBytes = 8 * mebibyte;

/** Reads a file of holes in `folder`, which takes no room on the disk, until at most a gibibyte of memory is free. */
export async function fillPageCache(folder: string): Promise<void> {
  const file = await open(join(folder, "page-cache"), "a+");
  try {
    await file.truncate(totalmem());
    const buffer = Buffer.alloc(readBytes);
    for (let at = 0; at < totalmem() && (await freeBytes()) > freeBytesMax; at += readBytes)
      await file.read(buffer, 0, readBytes, at);
  } finally {
    await file.close();
  }
}

async function freeBytes(): Promise<number> {
  const kibibytes = /^MemFree:\s+(\d+) kB$/m.exec(await readFile("/proc/meminfo", "utf8"))?.[1];
  if (kibibytes === undefined) throw new Error("/proc/meminfo does not say what is free");
  return Number(kibibytes) * 1024;
}
