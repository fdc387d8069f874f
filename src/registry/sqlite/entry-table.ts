// Reading entries: shared by the store and by the read-only open. An answer to a range is one snapshot.
// Printable ASCII keys make prefixes plain intervals: the last character plus one ends them.

import type { DatabaseSync, StatementSync } from "node:sqlite";
import { registryLimits } from "../registry.ts";
import type { Entry, RangeRequest, RangeResult } from "../registry.ts";

interface EntryRow {
  readonly key: string;
  readonly value: string;
  readonly create_revision: number;
  readonly mod_revision: number;
  readonly lease_id: string | null;
}

function entryOf(row: EntryRow): Entry {
  const entry = { key: row.key, value: row.value, createRevision: row.create_revision, modRevision: row.mod_revision };
  return row.lease_id === null ? entry : { ...entry, leaseId: row.lease_id };
}

/** First string, bytewise, after all those that begin with `prefix`. */
function endOfPrefix(prefix: string): string {
  if (prefix === "") return "\x7f";
  return prefix.slice(0, -1) + String.fromCharCode(prefix.charCodeAt(prefix.length - 1) + 1);
}

export class EntryTable {
  readonly #database: DatabaseSync;
  readonly #get: StatementSync;
  readonly #range: StatementSync;
  readonly #revision: StatementSync;

  constructor(database: DatabaseSync) {
    this.#database = database;
    this.#get = database.prepare("SELECT * FROM entries WHERE key = ?");
    this.#range = database.prepare("SELECT * FROM entries WHERE key >= ? AND key > ? AND key < ? ORDER BY key");
    this.#revision = database.prepare("SELECT revision FROM state");
  }

  get(key: string): Entry | undefined {
    const row = this.#get.get(key) as unknown as EntryRow | undefined;
    return row === undefined ? undefined : entryOf(row);
  }

  revision(): number {
    return Number(this.#revision.get()?.["revision"]);
  }

  range(request: RangeRequest): RangeResult {
    const limit = request.limit ?? registryLimits.rangeEntriesMax;
    const entries: Entry[] = [];
    let sizeChars = 0;
    let more = false;
    this.#database.exec("BEGIN");
    try {
      const rows = this.#range.iterate(request.prefix, request.after ?? "", endOfPrefix(request.prefix));
      for (const row of rows as Iterable<unknown>) {
        more = entries.length === limit || sizeChars >= registryLimits.rangeBytesMax;
        if (more) break;
        const entry = entryOf(row as EntryRow);
        entries.push(entry);
        sizeChars += entry.value.length;
      }
      return { entries, more, revision: this.revision() };
    } finally {
      if (this.#database.isTransaction) this.#database.exec("COMMIT");
    }
  }
}
