// What dead processes left in the journal directory of logs that they had given back: they died between that and removing the
// files. A log that nobody owns has everything in its checkpoint and on the backend, so that its local files say nothing any
// more. Directories without a file go too; one of a log that is not in the registry stays with its files: an operator who started
// with another registry by mistake would lose them. So does one of a log whose record cannot be read.

import type { Entry, Registry } from "../../registry/registry.ts";
import type { LocalDisk } from "../local-disk.ts";
import { parseJournalFileName } from "../names.ts";
import { keys, type LogRecord, readableRecords } from "../records.ts";

export interface LeftoverPlaces {
  readonly registry: Registry;
  readonly disk: LocalDisk;
  readonly journalDirectory: string;
}

/** Before any log is opened. Resolves with how many files it removed. */
export async function removeLeftovers({ registry, disk, journalDirectory }: LeftoverPlaces): Promise<number> {
  let removed = 0;
  for (const log of await disk.list(journalDirectory)) {
    const folder = `${journalDirectory}/${log}`;
    const names = await disk.list(folder).catch(() => undefined);
    if (names === undefined) continue; // a file
    const entry = await registry.get(keys.log(log));
    if (entry === undefined ? names.length > 0 : !isGivenBack(entry)) continue;
    const ours = names.filter((name) => parseJournalFileName(log, name) !== undefined);
    for (const name of ours) await disk.unlink(`${folder}/${name}`);
    if (ours.length === names.length) await disk.removeDirectory(folder);
    removed += ours.length;
  }
  return removed;
}

/** False when that cannot be known: the recovery says so of the log. */
const isGivenBack = (entry: Entry): boolean => readableRecords<LogRecord>([entry], () => undefined)[0]?.owner === null;
