// Segment files, version 1: header, records, index, footer (docs/design/0002-log-engine.md has the layout).
// Pure functions over bytes. Decoders return undefined for bytes that are not what they should be and throw
// segment_damaged only where the caller can do nothing but give up (an unknown version).

import { crc32, crc32OfPart } from "../../common/crc32.ts";
import { AndironError } from "../../common/errors.ts";
import { clusterBytes, engineLimits } from "../limits.ts";
import type { SegmentId } from "../names.ts";

export const segmentVersion = 1;
export const headerBytes = 128;
export const recordHeaderBytes = 56;
export const footerBytes = 64;
/** Of an index entry without its checksums. */
export const indexEntryBytes = 28;
export const recordMagic = 0x72444e41;
const headerMagic = Buffer.from("ANDRSEG1");
const footerMagic = Buffer.from("ANDRIDX1");

export const recordKinds = { data: 1, zero: 2, mark: 3 } as const;
export type RecordKind = (typeof recordKinds)[keyof typeof recordKinds];

export interface SegmentHeader {
  readonly segment: SegmentId;
  readonly salt: number;
  readonly firstSequence: number;
  readonly generation: number;
  /** Last sequence known to be on disk when the file was begun: evidence for recovery of the files before it. */
  readonly flushedSequence: number;
}

export interface RecordHeader {
  readonly kind: RecordKind;
  readonly sequence: number;
  readonly flushedSequence: number;
  readonly firstCluster: number;
  readonly clusterCount: number;
  readonly previousCrc: number;
  /** The record's own crc: the next record's previousCrc. */
  readonly crc: number;
  /** One per cluster of a data record, else empty. */
  readonly clusterCrcs: Uint32Array;
}

/** One data or zero record as a segment's index has it. Offsets are of the payload, in bytes from the file's start. */
export interface IndexEntry {
  readonly kind: RecordKind;
  readonly sequence: number;
  readonly firstCluster: number;
  readonly clusterCount: number;
  readonly originalOffset: number;
  readonly presentOffset: number;
  readonly clusterCrcs: Uint32Array;
}

export interface SegmentFooter {
  /** Salt and crc of the header of this very file: a footer left over from another use does not match. */
  readonly salt: number;
  readonly headerCrc: number;
  /** No segment of this epoch follows. */
  readonly final: boolean;
  readonly indexOffset: number;
  readonly indexBytes: number;
  readonly indexCrc: number;
  readonly entryCount: number;
  readonly dataClusters: number;
  readonly lastSequence: number;
}

const noCrcs = new Uint32Array(0);

const uuidToBytes = (uuid: string): Buffer => Buffer.from(uuid.replaceAll("-", ""), "hex");
const bytesToUuid = (bytes: Buffer): string => {
  const hex = bytes.toString("hex");
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
};

export function encodeHeader(header: SegmentHeader): Buffer {
  const bytes = Buffer.alloc(headerBytes);
  headerMagic.copy(bytes, 0);
  bytes.writeUInt32LE(segmentVersion, 8);
  bytes.writeUInt32LE(header.salt, 12);
  uuidToBytes(header.segment.log).copy(bytes, 16);
  bytes.writeUInt32LE(header.segment.number, 32);
  bytes.writeUInt32LE(header.segment.epoch, 36);
  bytes.writeBigUInt64LE(BigInt(header.firstSequence), 40);
  bytes.writeUInt32LE(header.generation, 48);
  bytes.writeBigUInt64LE(BigInt(header.flushedSequence), 56);
  bytes.writeUInt32LE(crc32(bytes.subarray(0, headerBytes - 4)), headerBytes - 4);
  return bytes;
}

/** `crc` is the header's own: the first record's previousCrc. */
export function decodeHeader(bytes: Buffer): (SegmentHeader & { readonly crc: number }) | undefined {
  if (bytes.length < headerBytes || headerMagic.compare(bytes, 0, 8) !== 0) return undefined;
  const crc = bytes.readUInt32LE(headerBytes - 4);
  if (crc32(bytes.subarray(0, headerBytes - 4)) !== crc) return undefined;
  const version = bytes.readUInt32LE(8);
  if (version !== segmentVersion)
    throw new AndironError("segment_damaged", `segment version ${version} is not known to this release`);
  return {
    segment: { log: bytesToUuid(bytes.subarray(16, 32)), number: bytes.readUInt32LE(32), epoch: bytes.readUInt32LE(36) },
    salt: bytes.readUInt32LE(12),
    firstSequence: Number(bytes.readBigUInt64LE(40)),
    generation: bytes.readUInt32LE(48),
    flushedSequence: Number(bytes.readBigUInt64LE(56)),
    crc,
  };
}

/** Bytes of a record's header with its cluster checksums. */
export const recordPrefixBytes = (clusterCrcCount: number): number => recordHeaderBytes + 4 * clusterCrcCount;

export interface RecordFields {
  readonly salt: number;
  readonly epoch: number;
  readonly kind: RecordKind;
  readonly sequence: number;
  readonly flushedSequence: number;
  readonly firstCluster: number;
  readonly clusterCount: number;
  readonly previousCrc: number;
}

/**
 * Writes header and checksums (`count` of `crcs`, from `from` on) at `offset` of `target`, recordPrefixBytes(count) long;
 * returns the record's crc.
 */
export function encodeRecord(
  target: Buffer,
  offset: number,
  fields: RecordFields,
  crcs: Uint32Array,
  from: number,
  count: number,
): number {
  target.writeUInt32LE(recordMagic, offset);
  target.writeUInt32LE(fields.salt, offset + 4);
  writeSequence(target, fields.sequence, offset + 8);
  writeSequence(target, fields.flushedSequence, offset + 16);
  target.writeUInt32LE(fields.epoch, offset + 24);
  target.writeUInt32LE(fields.firstCluster, offset + 28);
  target.writeUInt32LE(fields.clusterCount, offset + 32);
  target.writeUInt32LE(fields.kind, offset + 36);
  target.writeUInt32LE(count * clusterBytes, offset + 40);
  target.writeUInt32LE(0, offset + 44);
  target.writeUInt32LE(fields.previousCrc, offset + 48);
  let at = offset + recordHeaderBytes;
  for (let i = 0; i < count; i++) at = target.writeUInt32LE(crcs[from + i]!, at);
  let crc = crc32OfPart(target, offset, offset + 52);
  if (count > 0) crc = crc32OfPart(target, offset + recordHeaderBytes, at, crc);
  target.writeUInt32LE(crc, offset + 52);
  return crc;
}

/**
 * The record at `offset`, if its magic, salt and crc are right; undefined otherwise (also when it runs over the end).
 * Payload is not looked at: the clusters are checked by their own checksums.
 */
export function decodeRecord(bytes: Buffer, offset: number, salt: number): RecordHeader | undefined {
  if (offset + recordHeaderBytes > bytes.length) return undefined;
  if (bytes.readUInt32LE(offset) !== recordMagic || bytes.readUInt32LE(offset + 4) !== salt) return undefined;
  const kind = bytes.readUInt32LE(offset + 36);
  if (kind !== recordKinds.data && kind !== recordKinds.zero && kind !== recordKinds.mark) return undefined;
  const clusterCount = bytes.readUInt32LE(offset + 32);
  const crcCount = kind === recordKinds.data ? clusterCount : 0;
  if (crcCount > engineLimits.recordClustersMax) return undefined;
  const crcsOffset = offset + recordHeaderBytes;
  const end = crcsOffset + 4 * crcCount;
  if (end > bytes.length) return undefined;
  if (bytes.readUInt32LE(offset + 40) !== crcCount * clusterBytes) return undefined;
  let crc = crc32OfPart(bytes, offset, offset + 52);
  if (crcCount > 0) crc = crc32OfPart(bytes, crcsOffset, end, crc);
  if (crc !== bytes.readUInt32LE(offset + 52)) return undefined;
  return {
    kind,
    sequence: readSequence(bytes, offset + 8),
    flushedSequence: readSequence(bytes, offset + 16),
    firstCluster: bytes.readUInt32LE(offset + 28),
    clusterCount,
    previousCrc: bytes.readUInt32LE(offset + 48),
    crc,
    clusterCrcs: crcCount === 0 ? noCrcs : readCrcs(bytes, crcsOffset, crcCount),
  };
}

export function encodeIndex(entries: readonly IndexEntry[], firstSequence: number): Buffer {
  let size = 0;
  for (const entry of entries) size += indexEntryBytes + 4 * entry.clusterCrcs.length;
  const bytes = Buffer.alloc(size);
  let at = 0;
  for (const entry of entries) {
    at = bytes.writeUInt32LE(entry.sequence - firstSequence, at);
    at = bytes.writeUInt32LE(entry.firstCluster, at);
    at = bytes.writeUInt32LE(entry.clusterCount, at);
    at = bytes.writeUInt32LE(entry.kind, at);
    at = bytes.writeUInt32LE(entry.clusterCrcs.length * clusterBytes, at);
    at = bytes.writeUInt32LE(entry.originalOffset, at);
    at = bytes.writeUInt32LE(entry.presentOffset, at);
    for (const crc of entry.clusterCrcs) at = bytes.writeUInt32LE(crc, at);
  }
  return bytes;
}

/** An index as it is on disk, in a thirtieth of the memory that its entries take. */
export interface EncodedIndex {
  readonly bytes: Buffer;
  readonly entryCount: number;
  readonly firstSequence: number;
}

const indexEntryWords = indexEntryBytes / 4;

/** Throws as eachEntry() does. */
export const entriesOf = ({ bytes, entryCount, firstSequence }: EncodedIndex): IndexEntry[] =>
  decodeIndex(bytes, entryCount, firstSequence);

export function decodeIndex(bytes: Buffer, entryCount: number, firstSequence: number): IndexEntry[] {
  const entries: IndexEntry[] = [];
  eachEntry({ bytes, entryCount, firstSequence }, (_kind, sequence, _firstCluster, _clusterCount, words, at) => {
    entries.push(entryAt(words, at, sequence));
  });
  return entries;
}

/** The entry that begins at word `at`. */
export function entryAt(words: Uint32Array, at: number, sequence: number): IndexEntry {
  const [firstCluster, clusterCount, kind] = [firstClusterAt(words, at), clusterCountAt(words, at), kindAt(words, at)];
  const crcsAt = at + indexEntryWords;
  const clusterCrcs = kind === recordKinds.data ? words.subarray(crcsAt, crcsAt + clusterCount) : noCrcs;
  const [originalOffset, presentOffset] = [originalOffsetAt(words, at), presentOffsetAt(words, at)];
  return { kind, sequence, firstCluster, clusterCount, originalOffset, presentOffset, clusterCrcs };
}

export const sequenceAt = (words: Uint32Array, at: number, firstSequence: number): number => firstSequence + words[at]!;
export const firstClusterAt = (words: Uint32Array, at: number): number => words[at + 1]!;
export const clusterCountAt = (words: Uint32Array, at: number): number => words[at + 2]!;
/** After eachEntry() has visited it. */
export const kindAt = (words: Uint32Array, at: number): RecordKind => words[at + 3]! as RecordKind;
export const originalOffsetAt = (words: Uint32Array, at: number): number => words[at + 5]!;
export const presentOffsetAt = (words: Uint32Array, at: number): number => words[at + 6]!;
/** Of the data entry that begins at word `at`, the checksum of its cluster `i`. */
export const clusterCrcAt = (words: Uint32Array, at: number, i: number): number => words[at + indexEntryWords + i]!;

type EntryVisitor = (
  kind: RecordKind,
  sequence: number,
  firstCluster: number,
  clusterCount: number,
  words: Uint32Array,
  at: number,
) => void;

/** Visits each entry, which begins at word `at`; makes no objects. Throws segment_damaged when the bytes are no such index. */
export function eachEntry({ bytes, entryCount, firstSequence }: EncodedIndex, visit: EntryVisitor): void {
  const words = wordsOf(bytes);
  let at = 0;
  for (let i = 0; i < entryCount; i++) {
    if (at + indexEntryWords > words.length)
      throw new AndironError("segment_damaged", "segment index is shorter than its footer says");
    const clusterCount = words[at + 2]!;
    const kind = words[at + 3]!;
    if (kind !== recordKinds.data && kind !== recordKinds.zero)
      throw new AndironError("segment_damaged", `index entry of kind ${kind}`);
    const end = at + indexEntryWords + (kind === recordKinds.data ? clusterCount : 0);
    if (end > words.length) throw new AndironError("segment_damaged", "segment index ends inside an entry");
    visit(kind, sequenceAt(words, at, firstSequence), firstClusterAt(words, at), clusterCount, words, at);
    at = end;
  }
  if (at * 4 !== bytes.length) throw new AndironError("segment_damaged", "segment index is longer than its footer says");
}

/** The same memory where words may begin, else a copy. The format is little-endian, as the machine is (index-writer.ts). */
function wordsOf(bytes: Buffer): Uint32Array {
  const aligned = bytes.byteOffset % 4 === 0 ? bytes : new Uint8Array(bytes);
  return new Uint32Array(aligned.buffer, aligned.byteOffset, bytes.length >>> 2);
}

export function encodeFooter(footer: SegmentFooter): Buffer {
  const bytes = Buffer.alloc(footerBytes);
  footerMagic.copy(bytes, 0);
  bytes.writeUInt32LE(segmentVersion, 8);
  bytes.writeUInt32LE(footer.indexOffset, 12);
  bytes.writeUInt32LE(footer.indexBytes, 16);
  bytes.writeUInt32LE(footer.indexCrc, 20);
  bytes.writeUInt32LE(footer.entryCount, 24);
  bytes.writeUInt32LE(footer.dataClusters, 28);
  bytes.writeBigUInt64LE(BigInt(footer.lastSequence), 32);
  bytes.writeUInt32LE(footer.salt, 40);
  bytes.writeUInt32LE(footer.headerCrc, 44);
  bytes.writeUInt32LE(footer.final ? 1 : 0, 48);
  bytes.writeUInt32LE(crc32(bytes.subarray(0, 60)), 60);
  return bytes;
}

export function decodeFooter(bytes: Buffer): SegmentFooter | undefined {
  if (bytes.length !== footerBytes || footerMagic.compare(bytes, 0, 8) !== 0) return undefined;
  if (crc32(bytes.subarray(0, 60)) !== bytes.readUInt32LE(60)) return undefined;
  const version = bytes.readUInt32LE(8);
  if (version !== segmentVersion)
    throw new AndironError("segment_damaged", `segment version ${version} is not known to this release`);
  return {
    indexOffset: bytes.readUInt32LE(12),
    indexBytes: bytes.readUInt32LE(16),
    indexCrc: bytes.readUInt32LE(20),
    entryCount: bytes.readUInt32LE(24),
    dataClusters: bytes.readUInt32LE(28),
    lastSequence: Number(bytes.readBigUInt64LE(32)),
    salt: bytes.readUInt32LE(40),
    headerCrc: bytes.readUInt32LE(44),
    final: bytes.readUInt32LE(48) === 1,
  };
}

// Sequences are 64 bits on disk and safe integers here: 2^53 records of a log outlast any disk. Two 32-bit halves are
// several times faster than a BigInt.
function writeSequence(target: Buffer, sequence: number, offset: number): void {
  target.writeUInt32LE(sequence % 2 ** 32, offset);
  target.writeUInt32LE(Math.floor(sequence / 2 ** 32), offset + 4);
}

function readSequence(bytes: Buffer, offset: number): number {
  return bytes.readUInt32LE(offset) + bytes.readUInt32LE(offset + 4) * 2 ** 32;
}

function readCrcs(bytes: Buffer, offset: number, count: number): Uint32Array {
  const crcs = new Uint32Array(count);
  for (let i = 0; i < count; i++) crcs[i] = bytes.readUInt32LE(offset + 4 * i);
  return crcs;
}
