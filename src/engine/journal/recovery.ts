// What an ended epoch left in the journal directory becomes sealed segments again.
//
//     files from the checkpoint on, in order
//       sealed ........................ kept (synced once more)
//       not sealed .................... its whole records are copied to a fresh file and sealed
//         and the next file follows on . the epoch goes on there
//         and nothing follows on ....... it was the last; what lies behind a torn one is set aside, if it holds anything
//
// - All files are looked at before the first is changed: what is refused is left as it is.
// - A sealed file is known by its footer and index alone where a later one says that it was flushed to its end: its clusters
//   were on disk when that was written. Of the others, which are the last few, every cluster is checked.
// - Refused, never cut: a break below a flushed sequence that any file names; a gap in numbers or sequences; a sealed file that
//   is not final with none after it.
// - The copy keeps offsets and is the next generation: whoever refers to a place in the old file finds it in the new one.
// - A fresh file: after a failed fdatasync the old one's pages may look clean without being on disk. When the journal was
//   poisoned (marker file), every file is copied for that reason.
// Nothing is deleted here but what a copy replaces.

import { crc32 } from "../../common/crc32.ts";
import { AndironError } from "../../common/errors.ts";
import { severalAtOnce } from "../../common/several.ts";
import type { EncodedIndex, SegmentHeader } from "../format/segment.ts";
import { decodeHeader, encodeFooter, encodeHeader, entriesOf, headerBytes, recordKinds } from "../format/segment.ts";
import type { LocalDisk } from "../local-disk.ts";
import { readWhole } from "../local-disk.ts";
import type { SegmentId } from "../names.ts";
import { journalFileName, parseJournalFileName } from "../names.ts";
import { readIndex } from "../segments.ts";
import { journalError } from "./journal-file.ts";
import type { ScannedFile } from "./scan.ts";
import { scanJournal, sealedFile } from "./scan.ts";

export interface RecoveredSegment {
  readonly segment: SegmentId;
  readonly path: string;
  readonly generation: number;
  readonly bytes: number;
  readonly index: EncodedIndex;
  readonly lastSequence: number;
}

export interface RecoveredEpoch {
  /** Sealed local segments, in order, from `first` on. */
  readonly segments: readonly RecoveredSegment[];
  /** Last number of the epoch; first - 1 when nothing is left from `first` on. */
  readonly last: number;
  readonly lastSequence: number;
  /** Files that were set aside behind a torn one. */
  readonly setAside: readonly string[];
  /** Files without a record: to be deleted once the epoch is recorded as ended, not before. */
  readonly leftovers: readonly string[];
}

export interface RecoverOptions {
  readonly disk: LocalDisk;
  readonly directory: string;
  readonly log: string;
  readonly epoch: number;
  /** First segment of the epoch that is not in the checkpoint. */
  readonly first: number;
  /** Last sequence before `first`. */
  readonly sequence: number;
}

const poisonMarker = "poisoned";
/** Files that are looked at together: each waits for the disk, and for a thread. */
const filesAtOnce = 8;

/** Remembers across a restart that a sync failed. Best effort: the disk may be dying. */
export async function markPoisoned(disk: LocalDisk, directory: string, log: string): Promise<void> {
  const marker = disk.open(`${directory}/${log}/${poisonMarker}`, "replace");
  await marker.sync().finally(() => void marker.close());
  await disk.syncDirectory(`${directory}/${log}`);
}

/**
 * Rejects with journal_damaged when something that was on disk is missing, journal_full when there is no room for a copy,
 * journal_poisoned when the disk fails. Can be repeated after a crash or a failure at any line.
 */
export async function recoverEpoch(options: RecoverOptions): Promise<RecoveredEpoch> {
  try {
    return await recoverFiles(options);
  } catch (error) {
    const failure = journalError(error, `cannot recover the journal of log ${options.log}`);
    // A sync that failed here too is never trusted when it is tried again.
    if (failure.code === "journal_poisoned")
      await markPoisoned(options.disk, options.directory, options.log).catch(() => undefined);
    throw failure;
  }
}

async function recoverFiles(options: RecoverOptions): Promise<RecoveredEpoch> {
  const { disk } = options;
  const folder = `${options.directory}/${options.log}`;
  const names = await disk.list(folder).catch((): string[] => []);
  const copyAll = names.includes(poisonMarker);
  const numbers = names
    .map((name) => parseJournalFileName(options.log, name))
    .filter((segment) => segment !== undefined && segment.epoch === options.epoch && segment.number >= options.first)
    .map((segment) => segment!.number)
    .sort((a, b) => a - b);
  const walk = new EpochWalk(options, numbers);
  await walk.readHeaders();
  if (!copyAll) await walk.readFlushed();
  for (const number of numbers) await walk.take(number, copyAll);
  walk.finish();
  await walk.carryOut();
  if (copyAll) await disk.unlink(`${folder}/${poisonMarker}`);
  await disk.syncDirectory(folder).catch((error: unknown) => {
    if (numbers.length > 0) throw error;
  });
  return walk.result();
}

class EpochWalk {
  readonly #options: RecoverOptions;
  readonly #numbers: readonly number[];
  readonly #segments: RecoveredSegment[] = [];
  readonly #setAside: string[] = [];
  readonly #leftovers: string[] = [];
  /** What changes the disk, in order: done when all files are found to be in order, not before. */
  readonly #steps: (() => Promise<void> | void)[] = [];
  readonly #syncs: Promise<void>[] = [];
  /** Of files that have a whole one, by number. */
  readonly #headers = new Map<number, SegmentHeader>();
  /** Files that are sealed, and all of whose records were on disk as a later one says, by number. */
  readonly #flushed = new Map<number, ScannedFile>();
  #expected: number;
  #sequence: number;
  /** Set behind the first file that nothing follows: nothing after it counts. */
  #ended = false;
  #final = false;

  constructor(options: RecoverOptions, numbers: readonly number[]) {
    this.#options = options;
    this.#numbers = numbers;
    this.#expected = options.first;
    this.#sequence = options.sequence;
  }

  readHeaders(): Promise<void> {
    return severalAtOnce(filesAtOnce, this.#numbers, async (number) => {
      const file = this.#options.disk.open(this.#pathOf(number), "existing");
      const head = Buffer.alloc(headerBytes);
      await file.read(0, head).finally(() => void file.close());
      const header = decodeHeader(head);
      if (header !== undefined) this.#headers.set(number, header);
    });
  }

  /** Looks at the files of which a later one says that they were flushed. */
  readFlushed(): Promise<void> {
    return severalAtOnce(filesAtOnce, this.#numbers, async (number) => {
      const flushed = await this.#flushedFile(number);
      if (flushed !== undefined) this.#flushed.set(number, flushed);
    });
  }

  async take(number: number, copyAll: boolean): Promise<void> {
    const segment: SegmentId = this.#segment(number);
    const path = this.#pathOf(number);
    const { scanned, isEmpty } = await this.#look(number);
    // Behind its last file too, which an earlier recovery may have made of a torn one.
    this.#ended ||= this.#final;
    if (scanned.flushedEvidence > this.#sequence && (this.#ended || number !== this.#expected)) {
      throw this.#damage(
        number,
        `it says that record ${scanned.flushedEvidence} was on disk, but the journal ends at ${this.#sequence}`,
      );
    }
    if (this.#ended) {
      if (!isEmpty) this.#steps.push(() => this.#putAside(path));
      else this.#leftovers.push(path); // the file that was prepared to be the next
      return;
    }
    if (number !== this.#expected) throw this.#damage(number, `file ${this.#expected} before it is missing`);
    if (scanned.header !== undefined && scanned.header.firstSequence !== this.#sequence + 1) {
      throw this.#damage(number, `it begins at record ${scanned.header.firstSequence}, the one before ends at ${this.#sequence}`);
    }
    const goesOn = scanned.sealed === undefined && this.#follows(number + 1, scanned);
    if (scanned.sealed === undefined && !goesOn) {
      const end = scanned.header === undefined ? this.#sequence : scanned.lastSequence;
      if (scanned.flushedEvidence > end)
        throw this.#damage(number, `it breaks off at record ${end}, but ${scanned.flushedEvidence} was on disk`);
      this.#ended = true;
      if (scanned.header === undefined || end === this.#sequence) {
        this.#leftovers.push(path);
        return;
      }
    }
    const final = scanned.sealed?.final ?? !goesOn;
    const copy = copyAll || scanned.sealed === undefined;
    this.#steps.push(() => (copy ? this.#copy(segment, path, scanned, final) : this.#keep(segment, path, scanned)));
    this.#sequence = scanned.lastSequence;
    this.#expected = number + 1;
    this.#final = final;
  }

  /** True when the file of that number begins with the record after this one's last. */
  #follows(number: number, scanned: ScannedFile): boolean {
    return scanned.header !== undefined && this.#headers.get(number)?.firstSequence === scanned.lastSequence + 1;
  }

  async #look(number: number): Promise<{ readonly scanned: ScannedFile; readonly isEmpty: boolean }> {
    const sealed = this.#flushed.get(number);
    if (sealed !== undefined) return { scanned: sealed, isEmpty: false };
    const bytes = await readWhole(this.#options.disk, this.#pathOf(number));
    return { scanned: scanJournal(bytes), isEmpty: bytes.length === 0 };
  }

  /** The file when it is sealed, and the header of a later one says that all its records were on disk. */
  async #flushedFile(number: number): Promise<ScannedFile | undefined> {
    let flushed = 0;
    for (const [later, { flushedSequence }] of this.#headers) if (later > number) flushed = Math.max(flushed, flushedSequence);
    if (flushed === 0) return undefined;
    const path = this.#pathOf(number);
    const file = this.#options.disk.open(path, "existing");
    try {
      const read = async (offset: number, target: Buffer): Promise<void> => void (await file.read(offset, target));
      const { header, footer, encoded } = await readIndex(path, file.lengthBytes(), 0, read);
      return footer.lastSequence <= flushed ? sealedFile(header, footer, encoded) : undefined;
    } catch (error) {
      // It is not sealed, or damaged: that is for a look at all of it to tell.
      if (error instanceof AndironError && error.code === "segment_damaged") return undefined;
      throw error;
    } finally {
      await file.close();
    }
  }

  finish(): void {
    if (this.#ended || this.#final || this.#numbers.length === 0) return;
    throw this.#damage(this.#expected, "it is missing, although the file before it is not the last of its epoch");
  }

  async carryOut(): Promise<void> {
    for (const step of this.#steps) await step();
    await Promise.all(this.#syncs);
  }

  result(): RecoveredEpoch {
    return {
      segments: this.#segments,
      last: this.#expected - 1,
      lastSequence: this.#sequence,
      setAside: this.#setAside,
      leftovers: this.#leftovers,
    };
  }

  #keep(segment: SegmentId, path: string, scanned: ScannedFile): void {
    const file = this.#options.disk.open(path, "existing");
    const bytes = file.lengthBytes();
    const sync = file.sync().finally(() => void file.close());
    sync.catch(() => undefined); // looked at when all are under way
    this.#syncs.push(sync);
    const { index, lastSequence } = scanned;
    this.#segments.push({ segment, path, generation: scanned.header!.generation, bytes, index, lastSequence });
  }

  async #copy(segment: SegmentId, path: string, scanned: ScannedFile, final: boolean): Promise<void> {
    const { disk } = this.#options;
    const { generation, copy } = sealedCopy(await readWhole(disk, path), scanned, final);
    const temporary = `${path}.copy`;
    const file = disk.open(temporary, "replace");
    try {
      await file.write(copy, 0);
      await file.sync();
    } finally {
      await file.close();
    }
    await disk.rename(temporary, path);
    const bytes = copy.reduce((sum, part) => sum + part.length, 0);
    const { index, lastSequence } = scanned;
    this.#segments.push({ segment, path, generation, bytes, index, lastSequence });
  }

  async #putAside(path: string): Promise<void> {
    await this.#options.disk.rename(path, `${path}.aside`);
    this.#setAside.push(`${path}.aside`);
  }

  #segment(number: number): SegmentId {
    return { log: this.#options.log, epoch: this.#options.epoch, number };
  }

  #pathOf(number: number): string {
    return `${this.#options.directory}/${journalFileName(this.#segment(number))}`;
  }

  #damage(number: number, why: string): AndironError {
    const name = journalFileName(this.#segment(number));
    return new AndironError("journal_damaged", `journal file ${name}: ${why}`, {
      hint: "the log is left as it is: restore the journal directory",
    });
  }
}

/** The same records at the same offsets under a new header of the next generation, with an index and a footer. */
function sealedCopy(
  bytes: Buffer,
  scanned: ScannedFile,
  final: boolean,
): { readonly generation: number; readonly copy: Buffer[] } {
  const old = scanned.header!;
  const generation = old.generation + 1;
  const header = encodeHeader({ ...old, generation });
  const { index } = scanned;
  const dataClusters = entriesOf(index).reduce(
    (sum, entry) => sum + (entry.kind === recordKinds.data ? entry.clusterCount : 0),
    0,
  );
  const footer = encodeFooter({
    salt: old.salt,
    headerCrc: header.readUInt32LE(headerBytes - 4),
    final,
    indexOffset: scanned.endOffset,
    indexBytes: index.bytes.length,
    indexCrc: crc32(index.bytes),
    entryCount: index.entryCount,
    dataClusters,
    lastSequence: scanned.lastSequence,
  });
  return { generation, copy: [header, bytes.subarray(headerBytes, scanned.endOffset), index.bytes, footer] };
}
