// One journal file while it is written: where its end is, what its index will say. The only writer of segment bytes.
//
// - Records lie one behind the other from the header on; a failed append is cut off again, and its place and sequences
//   are used anew. If even that fails, the file is not written again (the journal is poisoned).
// - Bytes below `length` never change.
// - The file may be filled ahead: zeroes lie behind `length` until records are written over them, and what they have of blocks
//   is on disk already. It ends at `length` again when it is sealed.
// Nobody but recovery looks behind `length`, where zeroes are no record.

import { crc32 } from "../../common/crc32.ts";
import { AndironError } from "../../common/errors.ts";
import type { EncodedIndex, RecordKind } from "../format/segment.ts";
import { IndexWriter } from "../format/index-writer.ts";
import { encodeFooter, encodeHeader, encodeRecord, recordKinds, recordPrefixBytes } from "../format/segment.ts";
import { clusterBytes, KiB, MiB } from "../limits.ts";
import type { LocalDisk, PreparedWrite } from "../local-disk.ts";
import { systemCodeOf } from "../local-disk.ts";
import { LocalFile } from "../local-file.ts";
import type { SegmentId } from "../names.ts";

/** One record to be. `data` is clusterCount * 4096 bytes for a data record. */
export interface Append {
  readonly kind: RecordKind;
  readonly firstCluster: number;
  readonly clusterCount: number;
  readonly data?: Buffer;
  /** The checksums of its clusters, when they are known already. */
  readonly crcs?: Uint32Array;
}

/** Where a batch landed. */
export interface Placed {
  /** Of each append, in order: where its payload is, or would be. */
  readonly payloadOffsets: readonly number[];
  /** The checksums of all clusters of the batch, in order. */
  readonly crcs: Uint32Array;
}

/** Where an append begins or ends: how long the file is, and what its next record follows. */
interface Place {
  readonly length: number;
  readonly sequence: number;
  readonly previousCrc: number;
}

/** An append as it is written. */
interface Encoded {
  readonly from: Place;
  readonly to: Place;
  readonly buffers: readonly Buffer[];
  readonly placed: Placed;
}

/** An append that was put together before its turn, for one place of one file. */
export interface StagedAppend {
  readonly file: JournalFile;
  readonly encoded: Encoded;
  readonly prepared: PreparedWrite | undefined;
  /** It is not appended. Nothing, when it was. */
  drop(): void;
}

/** Appends up to this are written from the event loop: a hop to the thread pool costs more than the system call. */
export const appendNowBytesMax = 256 * KiB;
const fillAlignBytes = 4 * KiB;
const zeroes = Buffer.alloc(MiB + fillAlignBytes);

const isSame = (a: Place, b: Place): boolean =>
  a.length === b.length && a.sequence === b.sequence && a.previousCrc === b.previousCrc;

export const appendBytes = (append: Append): number =>
  append.data === undefined ? recordPrefixBytes(0) : recordPrefixBytes(append.clusterCount) + append.data.length;

export class JournalFile {
  readonly segment: SegmentId;
  readonly handle: number;
  readonly file: LocalFile;
  readonly salt: number;
  readonly headerCrc: number;
  readonly firstSequence: number;
  /** Behind the records that are written, and behind the append under way. */
  #end: Place;
  #next: Place;
  /** Bytes up to here are known to be on disk. */
  syncedLength = 0;
  /** Not less than `length` while there are zeroes behind it. */
  #filledTo = 0;
  #mayFill = true;
  readonly #index: IndexWriter;

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
    this.#index = new IndexWriter(options.firstSequence);
    const header = encodeHeader({ ...options, generation: 0 });
    this.headerCrc = header.readUInt32LE(header.length - 4);
    this.file.writeNow([header], 0);
    this.#end = { length: header.length, sequence: options.firstSequence - 1, previousCrc: this.headerCrc };
    this.#next = this.#end;
  }

  get length(): number {
    return this.#end.length;
  }

  get lastSequence(): number {
    return this.#end.sequence;
  }

  get dataClusters(): number {
    return this.#index.dataClusters;
  }

  /** Data and zero records so far, in order. */
  get index(): EncodedIndex {
    return this.#index.encoded();
  }

  get isEmpty(): boolean {
    return this.lastSequence < this.firstSequence;
  }

  /** Where the append under way ends, or the last one. */
  get nextLength(): number {
    return this.#next.length;
  }

  /**
   * Puts an append together that is to come behind the one under way. Nothing is written, and nobody needs to append it; it is
   * dropped in the end.
   */
  stage(appends: readonly Append[], flushedSequence: number): StagedAppend {
    const encoded = this.#encode(appends, flushedSequence, this.#next);
    const prepared = this.file.prepare(encoded.buffers, encoded.from.length);
    return { file: this, encoded, prepared, drop: () => prepared?.drop() };
  }

  /**
   * Appends all or nothing, within the call. Throws journal_full, or journal_poisoned when the file's state is not known any
   * more.
   */
  appendNow(appends: readonly Append[], flushedSequence: number): Placed {
    const encoded = this.#encode(appends, flushedSequence, this.#end);
    try {
      this.file.writeNow(encoded.buffers, encoded.from.length);
    } catch (error) {
      throw this.#cutOff(error);
    }
    return this.#appended(appends, encoded);
  }

  /** The same beside the event loop. What was staged of these appends is used if its place is where the file ends. */
  async append(appends: readonly Append[], flushedSequence: number, staged?: StagedAppend): Promise<Placed> {
    const isInPlace = staged?.file === this && isSame(staged.encoded.from, this.#end);
    const encoded = isInPlace ? staged.encoded : this.#encode(appends, flushedSequence, this.#end);
    const prepared = isInPlace ? staged.prepared : undefined;
    this.#next = encoded.to;
    try {
      await (prepared?.write() ?? this.file.write(encoded.buffers, encoded.from.length));
    } catch (error) {
      throw this.#cutOff(error);
    }
    return this.#appended(appends, encoded);
  }

  #appended(appends: readonly Append[], { to, placed }: Encoded): Placed {
    this.#remember(appends, placed);
    this.#end = to;
    this.#next = to;
    return placed;
  }

  /** After an append that failed; returns why, as the journal's callers are told. */
  #cutOff(error: unknown): AndironError {
    this.#next = this.#end;
    try {
      this.file.truncateNow(this.length);
      this.#filledTo = 0;
    } catch (truncateError) {
      return new AndironError("journal_poisoned", `cannot cut a failed append off ${this.file.path}`, { cause: truncateError });
    }
    return journalError(error, `cannot write the journal ${this.file.path}`);
  }

  #encode(appends: readonly Append[], flushedSequence: number, from: Place): Encoded {
    const crcs = checksums(appends);
    const prefixes = Buffer.allocUnsafe(appends.length * recordPrefixBytes(0) + crcs.length * 4);
    const buffers: Buffer[] = [];
    const payloadOffsets: number[] = [];
    let prefixAt = 0;
    let crcAt = 0;
    let { length, sequence, previousCrc } = from;
    const { salt, segment } = this;
    for (const { kind, firstCluster, clusterCount, data } of appends) {
      sequence++;
      const crcCount = data === undefined ? 0 : clusterCount;
      const prefixEnd = prefixAt + recordPrefixBytes(crcCount);
      const { epoch } = segment;
      const fields = { salt, epoch, kind, sequence, flushedSequence, firstCluster, clusterCount, previousCrc };
      previousCrc = encodeRecord(prefixes, prefixAt, fields, crcs, crcAt, crcCount);
      buffers.push(prefixes.subarray(prefixAt, prefixEnd));
      length += prefixEnd - prefixAt;
      prefixAt = prefixEnd;
      crcAt += crcCount;
      payloadOffsets.push(length);
      if (data === undefined) continue;
      buffers.push(data);
      length += data.length;
    }
    return { from, to: { length, sequence, previousCrc }, buffers, placed: { payloadOffsets, crcs } };
  }

  /**
   * Lays `bytes` zeroes, a MiB at most, behind the records, if there are none: what comes next finds pages that exist, the next
   * sync allocates their blocks, and those after it write in place. Up to about byte `end` of the file. Returns how many. When
   * it fails nothing is lost: what a disk is full of or fails with, appends will tell.
   */
  fillAhead(bytes: number, end: number): number {
    if (!this.#mayFill || this.length < this.#filledTo) return 0;
    const filledTo = Math.ceil(Math.min(this.length + bytes, end) / fillAlignBytes) * fillAlignBytes;
    if (filledTo <= this.length) return 0;
    try {
      this.file.writeNow([zeroes.subarray(0, filledTo - this.length)], this.length);
      this.#filledTo = filledTo;
      return filledTo - this.length;
    } catch {
      this.#mayFill = false;
      this.#cutFailedFill();
      return 0;
    }
  }

  /** Writes index and footer and syncs: the file is a segment now. Rejects with the system's error; a failed sync poisons. */
  async seal(final: boolean): Promise<void> {
    const index = this.#index.bytes();
    const footer = encodeFooter({
      salt: this.salt,
      headerCrc: this.headerCrc,
      final,
      indexOffset: this.length,
      indexBytes: index.length,
      indexCrc: crc32(index),
      entryCount: this.#index.entryCount,
      dataClusters: this.#index.dataClusters,
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
    this.file.endWrites();
    this.#end = { ...this.#end, length: this.length + index.length + footer.length };
    this.syncedLength = this.length;
  }

  #cutFailedFill(): void {
    try {
      this.file.truncateNow(this.length);
    } catch {
      // Zeroes that stay are no record.
    }
  }

  #remember(appends: readonly Append[], { payloadOffsets, crcs }: Placed): void {
    let sequence = this.lastSequence;
    let crcAt = 0;
    for (let i = 0; i < appends.length; i++) {
      const { kind, firstCluster, clusterCount, data } = appends[i]!;
      sequence++;
      if (kind === recordKinds.mark) continue;
      const crcCount = data === undefined ? 0 : clusterCount;
      this.#index.add(kind, sequence, firstCluster, clusterCount, payloadOffsets[i]!, crcs, crcAt, crcCount);
      crcAt += crcCount;
    }
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

/** Of every cluster of all appends, in order. */
function checksums(appends: readonly Append[]): Uint32Array {
  let count = 0;
  for (const { data, clusterCount } of appends) if (data !== undefined) count += clusterCount;
  const crcs = new Uint32Array(count);
  let at = 0;
  for (const { data, clusterCount, crcs: known } of appends) {
    if (data === undefined) continue;
    if (known === undefined) checksumInto(crcs, at, data);
    else crcs.set(known, at);
    at += clusterCount;
  }
  return crcs;
}

/** The checksums of the clusters that `data` consists of. */
export function checksumsOf(data: Buffer): Uint32Array {
  const crcs = new Uint32Array(data.length / clusterBytes);
  checksumInto(crcs, 0, data);
  return crcs;
}

function checksumInto(crcs: Uint32Array, start: number, data: Buffer): void {
  if (data.length === clusterBytes) return void (crcs[start] = crc32(data));
  let at = start;
  for (let from = 0; from < data.length; from += clusterBytes) crcs[at++] = crc32(data.subarray(from, from + clusterBytes));
}
