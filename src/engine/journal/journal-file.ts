// One journal file while it is written: where its end is, what its index will say. The only writer of segment bytes.
//
// - Records lie one behind the other from the header on; a failed append is cut off again, and its place and sequences
//   are used anew. If even that fails, the file is not written again (the journal is poisoned).
// - Bytes below `length` never change.
// - The file may be filled ahead: zeroes lie behind `length` until records are written over them, and what they have of blocks
//   is on disk already. It ends at `length` again when it is sealed.
// Nobody but recovery looks behind `length`, where zeroes are no record.

import { crc32 } from "node:zlib";
import { AndironError } from "../../common/errors.ts";
import type { IndexEntry, RecordKind } from "../format/segment.ts";
import { encodeFooter, encodeHeader, encodeIndex, encodeRecord, recordKinds, recordPrefixBytes } from "../format/segment.ts";
import { clusterBytes, KiB, MiB } from "../limits.ts";
import type { LocalDisk } from "../local-disk.ts";
import { systemCodeOf } from "../local-disk.ts";
import { LocalFile } from "../local-file.ts";
import type { SegmentId } from "../names.ts";

/** One record to be. `data` is clusterCount * 4096 bytes for a data record. */
export interface Append {
  readonly kind: RecordKind;
  readonly firstCluster: number;
  readonly clusterCount: number;
  readonly data?: Buffer;
}

/** Where an append landed. `payloadOffset` and `crcs` mean something for data records. */
export interface Placed {
  readonly sequence: number;
  readonly payloadOffset: number;
  readonly crcs: Uint32Array;
}

/** Batches up to this are written from the event loop: a hop to the thread pool costs more than the system call. */
const syncWriteBytesMax = 256 * KiB;
const noCrcs = new Uint32Array(0);
/** One sync in so many bytes has blocks to allocate, when the file is filled ahead. */
const fillBytes = MiB;
const fillAlignBytes = 4 * KiB;
const zeroes = Buffer.alloc(fillBytes + fillAlignBytes);

export const appendBytes = (append: Append): number =>
  append.data === undefined ? recordPrefixBytes(0) : recordPrefixBytes(append.clusterCount) + append.data.length;

export class JournalFile {
  readonly segment: SegmentId;
  readonly handle: number;
  readonly file: LocalFile;
  readonly salt: number;
  readonly headerCrc: number;
  readonly firstSequence: number;
  length: number;
  /** Bytes up to here are known to be on disk. */
  syncedLength = 0;
  lastSequence: number;
  #previousCrc: number;
  /** Not less than `length` while there are zeroes behind it. */
  #filledTo = 0;
  #mayFill = true;
  readonly #entries: IndexEntry[] = [];
  #dataClusters = 0;

  /** Takes over an empty file that exists already (its directory entry is on disk) and writes the header. */
  constructor(options: {
    segment: SegmentId;
    handle: number;
    file: LocalFile;
    salt: number;
    firstSequence: number;
    flushedSequence: number;
  }) {
    this.segment = options.segment;
    this.handle = options.handle;
    this.file = options.file;
    this.salt = options.salt;
    this.firstSequence = options.firstSequence;
    this.lastSequence = options.firstSequence - 1;
    const header = encodeHeader({ ...options, generation: 0 });
    this.headerCrc = header.readUInt32LE(header.length - 4);
    this.#previousCrc = this.headerCrc;
    this.file.writeNow([header], 0);
    this.length = header.length;
  }

  /** Data and zero records so far, in order. Grows while the file is written. */
  get entries(): readonly IndexEntry[] {
    return this.#entries;
  }

  get isEmpty(): boolean {
    return this.lastSequence < this.firstSequence;
  }

  /** Appends all or nothing. Rejects with journal_full, or journal_poisoned when the file's state is not known any more. */
  async append(appends: readonly Append[], flushedSequence: number): Promise<Placed[]> {
    const prefixes = Buffer.allocUnsafe(appends.reduce((sum, append) => sum + recordPrefixBytes(crcCountOf(append)), 0));
    const buffers: Buffer[] = [];
    const placed: Placed[] = [];
    let prefixAt = 0;
    let end = this.length;
    let previousCrc = this.#previousCrc;
    let sequence = this.lastSequence;
    for (const append of appends) {
      sequence++;
      const crcs = checksumClusters(append.data);
      const prefixBytes = recordPrefixBytes(crcs.length);
      const fields = { salt: this.salt, epoch: this.segment.epoch, sequence, flushedSequence, previousCrc };
      const { kind, firstCluster, clusterCount } = append;
      previousCrc = encodeRecord(prefixes, prefixAt, { ...fields, kind, firstCluster, clusterCount }, crcs);
      buffers.push(prefixes.subarray(prefixAt, prefixAt + prefixBytes));
      prefixAt += prefixBytes;
      end += prefixBytes;
      placed.push({ sequence, payloadOffset: end, crcs });
      if (append.data !== undefined) {
        buffers.push(append.data);
        end += append.data.length;
      }
    }
    await this.#write(buffers, end - this.length);
    this.length = end;
    this.lastSequence = sequence;
    this.#previousCrc = previousCrc;
    this.#remember(appends, placed);
    return placed;
  }

  /**
   * Lays zeroes behind the records, if there are none: the next sync allocates their blocks, and those after it write in place.
   * Up to about byte `end` of the file. When it fails nothing is lost: what a disk is full of or fails with, appends will tell.
   */
  fillAhead(end: number): void {
    if (!this.#mayFill || this.length < this.#filledTo) return;
    const filledTo = Math.ceil(Math.min(this.length + fillBytes, end) / fillAlignBytes) * fillAlignBytes;
    if (filledTo <= this.length) return;
    try {
      this.file.writeNow([zeroes.subarray(0, filledTo - this.length)], this.length);
      this.#filledTo = filledTo;
    } catch {
      this.#mayFill = false;
      this.#cutFailedFill();
    }
  }

  /** Writes index and footer and syncs: the file is a segment now. Rejects with the system's error; a failed sync poisons. */
  async seal(final: boolean): Promise<void> {
    const index = encodeIndex(this.#entries, this.firstSequence);
    const footer = encodeFooter({
      salt: this.salt,
      headerCrc: this.headerCrc,
      final,
      indexOffset: this.length,
      indexBytes: index.length,
      indexCrc: crc32(index),
      entryCount: this.#entries.length,
      dataClusters: this.#dataClusters,
      lastSequence: this.lastSequence,
    });
    await this.file.write([index, footer], this.length);
    // Before the sync: a footer is looked for at the end of the file, and the backend gets the file as it is.
    this.file.truncateNow(this.length + index.length + footer.length);
    try {
      await this.file.sync();
    } catch (error) {
      // Also when the system says that there is no space: a second try could pass without the bytes.
      throw new AndironError("journal_poisoned", `cannot sync ${this.file.path}`, { cause: error });
    }
    this.length += index.length + footer.length;
    this.syncedLength = this.length;
  }

  async #write(buffers: Buffer[], bytes: number): Promise<void> {
    try {
      if (bytes <= syncWriteBytesMax) this.file.writeNow(buffers, this.length);
      else await this.file.write(buffers, this.length);
    } catch (error) {
      try {
        this.file.truncateNow(this.length);
        this.#filledTo = 0;
      } catch (truncateError) {
        throw new AndironError("journal_poisoned", `cannot cut a failed append off ${this.file.path}`, { cause: truncateError });
      }
      throw journalError(error, `cannot write the journal ${this.file.path}`);
    }
  }

  #cutFailedFill(): void {
    try {
      this.file.truncateNow(this.length);
    } catch {
      // Zeroes that stay are no record.
    }
  }

  #remember(appends: readonly Append[], placed: readonly Placed[]): void {
    appends.forEach((append, i) => {
      if (append.kind === recordKinds.mark) return;
      const { sequence, payloadOffset, crcs } = placed[i]!;
      const { kind, firstCluster, clusterCount } = append;
      this.#dataClusters += crcs.length;
      this.#entries.push({
        kind,
        sequence,
        firstCluster,
        clusterCount,
        originalOffset: payloadOffset,
        presentOffset: payloadOffset,
        clusterCrcs: crcs,
      });
    });
  }
}

/** What a failed operation of the journal's disk means: journal_full, or journal_poisoned. AndironErrors pass. */
export function journalError(error: unknown, message: string): AndironError {
  if (error instanceof AndironError) return error;
  const code = systemCodeOf(error);
  if (code === "ENOSPC" || code === "EDQUOT" || code === "EFBIG") {
    return new AndironError("journal_full", `${message}: no space`, { cause: error, hint: "free space on journal_path" });
  }
  return new AndironError("journal_poisoned", message, { cause: error });
}

/** Creates an empty file for a segment; EEXIST is an error: names are used once. */
export function createLocalFile(disk: LocalDisk, path: string): LocalFile {
  return new LocalFile(disk, path, "new");
}

const crcCountOf = (append: Append): number => (append.data === undefined ? 0 : append.clusterCount);

function checksumClusters(data: Buffer | undefined): Uint32Array {
  if (data === undefined) return noCrcs;
  const crcs = new Uint32Array(data.length / clusterBytes);
  for (let i = 0; i < crcs.length; i++) crcs[i] = crc32(data.subarray(i * clusterBytes, (i + 1) * clusterBytes));
  return crcs;
}
