// Names of the objects under a directory, in byte order of the whole name, from any name on. A directory counts as its
// name with a "/" behind it, which is what makes the order right: "a-b" < "a/b" < "a0". Reads only the directories that
// can hold an answer. The entries of one directory at a time are held in memory: names are meant to be spread.

import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { systemCodeOf } from "./system-errors.ts";

export interface NameQuery {
  readonly prefix: string;
  readonly after: string;
  readonly limit: number;
}

/**
 * At most `limit` names that begin with `prefix` and are greater than `after`. Entries that begin with a dot are not objects.
 * Rejects with ENOENT when there is no root.
 */
export async function listNames(root: string, query: NameQuery): Promise<string[]> {
  const found: string[] = [];
  await walk(root, "", query, found);
  return found;
}

async function walk(root: string, folder: string, query: NameQuery, found: string[]): Promise<void> {
  for (const name of await entriesOf(root, folder)) {
    if (found.length >= query.limit) return;
    if (name.endsWith("/")) {
      if (mayHold(name, query)) await walk(root, name, query, found);
    } else if (name.startsWith(query.prefix) && name > query.after) {
      found.push(name);
    }
  }
}

function mayHold(folder: string, { prefix, after }: NameQuery): boolean {
  if (!folder.startsWith(prefix) && !prefix.startsWith(folder)) return false;
  return folder > after || after.startsWith(folder);
}

/** Full names of what is in `folder`, directories with "/" behind, sorted (ASCII only, so string order is byte order). */
async function entriesOf(root: string, folder: string): Promise<string[]> {
  try {
    const entries = await readdir(join(root, folder), { withFileTypes: true });
    const visible = entries.filter((entry) => !entry.name.startsWith("."));
    return visible.map((entry) => `${folder}${entry.name}${entry.isDirectory() ? "/" : ""}`).sort();
  } catch (error) {
    if (folder !== "" && systemCodeOf(error) === "ENOENT") return []; // removed while we walked
    throw error;
  }
}
