// The directories of a directory store: made on the way to an object, made durable, removed when they are empty, and walked in
// the order of names. A removal may meet a put that has just made the same directory: the put makes it again.

import { mkdir, open, readdir, rmdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { systemCodeOf } from "./directory-errors.ts";

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

export interface NameQuery {
  readonly prefix: string;
  readonly after: string;
  readonly limit: number;
}

/**
 * At most `limit` paths of files that begin with `prefix` and are greater than `after`, in byte order of the whole path: a
 * directory counts as its name with a "/" behind it ("a-b" < "a/b" < "a0"). Entries that begin with a dot are not objects. The
 * entries of one directory of each level are in memory at a time.
 */
export async function listFiles(root: string, query: NameQuery): Promise<string[]> {
  const found: string[] = [];
  await walk(root, "", query, found);
  return found;
}

async function walk(root: string, folder: string, query: NameQuery, found: string[]): Promise<void> {
  for (const path of await entriesOf(root, folder)) {
    if (found.length >= query.limit) return;
    if (path.endsWith("/")) {
      if (mayHold(path, query)) await walk(root, path, query, found);
    } else if (path.startsWith(query.prefix) && path > query.after) {
      found.push(path);
    }
  }
}

function mayHold(folder: string, { prefix, after }: NameQuery): boolean {
  if (!folder.startsWith(prefix) && !prefix.startsWith(folder)) return false;
  return folder > after || after.startsWith(folder);
}

async function entriesOf(root: string, folder: string): Promise<string[]> {
  try {
    const entries = await readdir(join(root, folder), { withFileTypes: true });
    const visible = entries.filter(({ name }) => !name.startsWith("."));
    return visible.map((entry) => `${folder}${entry.name}${entry.isDirectory() ? "/" : ""}`).sort();
  } catch (error) {
    if (folder !== "" && systemCodeOf(error) === "ENOENT") return []; // removed while we walked
    throw error;
  }
}
