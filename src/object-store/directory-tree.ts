// The directories of a directory store: made on the way to an object, made durable, removed when they are empty. A removal may
// meet a put that has just made the same directory: the put makes it again.

import { mkdir, open, rmdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { systemCodeOf } from "../common/system-errors.ts";

/** Makes the directories above `name`; syncAbove() makes them durable. */
export async function makeParents(root: string, name: string): Promise<void> {
  let path = root;
  for (const part of name.split("/").slice(0, -1)) {
    path = join(path, part);
    await mkdir(path, 0o750).catch((error: unknown) => {
      if (systemCodeOf(error) !== "EEXIST") throw error;
    });
  }
}

/**
 * fsync(2) of every directory from that of `name` up to the root: another process may have made one of them a moment ago. One
 * that is gone meanwhile is passed over: then what was in it is gone too.
 */
export async function syncAbove(root: string, name: string): Promise<void> {
  for (let path = dirname(name); ; path = dirname(path)) {
    await syncDirectory(join(root, path)).catch((error: unknown) => {
      const code = systemCodeOf(error);
      if (path === "." || (code !== "ENOENT" && code !== "ENOTDIR")) throw error;
    });
    if (path === ".") return;
  }
}

async function syncDirectory(path: string): Promise<void> {
  const handle = await open(path, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Removes the directories above `name` that are empty, never the root. */
export async function removeEmptyAbove(root: string, name: string): Promise<void> {
  for (let path = dirname(name); path !== "."; path = dirname(path)) {
    try {
      await rmdir(join(root, path));
    } catch {
      return; // not empty; or it stays, which harms nobody
    }
  }
}
