// Reading a journal file that may have been cut off anywhere: which of its records are whole, and what it says about
// what was on disk. Pure functions over the file's bytes.
//
// - A record counts when magic, salt, crc, chain and sequence fit and all its clusters match their checksums.
// - The first that does not is the break; nothing behind it is used, but it is searched for evidence: a valid record there
//   that names a flushed sequence beyond the break proves that something which had been on disk is gone.

import { crc32 } from "../../common/crc32.ts";
import { IndexWriter } from "../format/index-writer.ts";
import type { EncodedIndex, RecordHeader, SegmentFooter, SegmentHeader } from "../format/segment.ts";
import {
  decodeFooter,
  decodeHeader,
  decodeRecord,
  entriesOf,
  footerBytes,
  headerBytes,
  recordHeaderBytes,
  recordKinds,
  recordMagic,
  recordPrefixBytes,
} from "../format/segment.ts";
import { clusterBytes } from "../limits.ts";

export interface ScannedFile {
  /** undefined when not even the header is whole. */
  readonly header: SegmentHeader | undefined;
  /** Set when the file is sealed: footer, index and header fit together, and every cluster is as the index says. */
  readonly sealed: { readonly final: boolean } | undefined;
  /** Of data and zero records up to the break, in order. */
  readonly index: EncodedIndex;
  /** Last sequence before the break, marks included; firstSequence - 1 when there is none. */
  readonly lastSequence: number;
  /** One past the last whole record. */
  readonly endOffset: number;
  /** Highest flushed sequence that any valid record or the header names, before or behind the break. */
  readonly flushedEvidence: number;
}

const nothing: ScannedFile = {
  header: undefined,
  sealed: undefined,
  index: { bytes: Buffer.alloc(0), entryCount: 0, firstSequence: 0 },
  lastSequence: 0,
  endOffset: 0,
  flushedEvidence: 0,
};

export function scanJournal(bytes: Buffer): ScannedFile {
  const header = decodeHeader(bytes);
  // Without its header nothing of a file can be used, but its records still tell a damaged one from one that never came to be.
  if (header === undefined) return { ...nothing, flushedEvidence: evidenceBehind(bytes, 0) };
  const sealed = readSealed(bytes, header);
  if (sealed !== undefined) return sealed;
  const index = new IndexWriter(header.firstSequence);
  let offset = headerBytes;
  let lastSequence = header.firstSequence - 1;
  let previousCrc = header.crc;
  let flushedEvidence = header.flushedSequence;
  for (;;) {
    const record = decodeRecord(bytes, offset, header.salt);
    if (record === undefined || record.previousCrc !== previousCrc || record.sequence !== lastSequence + 1) break;
    const payloadOffset = offset + recordPrefixBytes(record.clusterCrcs.length);
    const end = payloadOffset + record.clusterCrcs.length * clusterBytes;
    if (!clustersMatch(bytes, payloadOffset, record)) break;
    if (record.kind !== recordKinds.mark) addTo(index, record, payloadOffset);
    flushedEvidence = Math.max(flushedEvidence, record.flushedSequence);
    lastSequence = record.sequence;
    previousCrc = record.crc;
    offset = end;
  }
  flushedEvidence = Math.max(flushedEvidence, evidenceBehind(bytes, offset, header.salt));
  return { header, sealed: undefined, index: index.encoded(), lastSequence, endOffset: offset, flushedEvidence };
}

function readSealed(bytes: Buffer, header: SegmentHeader & { readonly crc: number }): ScannedFile | undefined {
  if (bytes.length < headerBytes + footerBytes) return undefined;
  const footer = decodeFooter(bytes.subarray(bytes.length - footerBytes));
  if (footer === undefined || footer.salt !== header.salt || footer.headerCrc !== header.crc) return undefined;
  if (footer.indexOffset + footer.indexBytes + footerBytes !== bytes.length) return undefined;
  const index = bytes.subarray(footer.indexOffset, footer.indexOffset + footer.indexBytes);
  if (crc32(index) !== footer.indexCrc) return undefined;
  const encoded: EncodedIndex = { bytes: Buffer.from(index), entryCount: footer.entryCount, firstSequence: header.firstSequence };
  // Power may have gone before the sync: the footer can be there without what it speaks of.
  if (!entriesOf(encoded).every((entry) => clustersMatch(bytes, entry.presentOffset, entry))) return undefined;
  return sealedFile(header, footer, encoded);
}

/** A sealed file whose clusters are as its index says. */
export function sealedFile(header: SegmentHeader, footer: SegmentFooter, index: EncodedIndex): ScannedFile {
  return {
    header,
    sealed: { final: footer.final },
    index,
    lastSequence: footer.lastSequence,
    endOffset: footer.indexOffset,
    flushedEvidence: header.flushedSequence,
  };
}

function clustersMatch(bytes: Buffer, payloadOffset: number, { clusterCrcs }: Pick<RecordHeader, "clusterCrcs">): boolean {
  if (payloadOffset + clusterCrcs.length * clusterBytes > bytes.length) return false;
  for (let i = 0; i < clusterCrcs.length; i++) {
    const start = payloadOffset + i * clusterBytes;
    if (crc32(bytes.subarray(start, start + clusterBytes)) !== clusterCrcs[i]) return false;
  }
  return true;
}

function addTo(index: IndexWriter, record: RecordHeader, payloadOffset: number): void {
  const { kind, sequence, firstCluster, clusterCount, clusterCrcs } = record;
  index.add(kind, sequence, firstCluster, clusterCount, payloadOffset, clusterCrcs, 0, clusterCrcs.length);
}

/** Highest flushed sequence in any valid record from there on; of any salt when none is given. */
function evidenceBehind(bytes: Buffer, from: number, salt?: number): number {
  const pattern = Buffer.alloc(salt === undefined ? 4 : 8);
  pattern.writeUInt32LE(recordMagic, 0);
  if (salt !== undefined) pattern.writeUInt32LE(salt, 4);
  let evidence = 0;
  for (
    let at = bytes.indexOf(pattern, from);
    at >= 0 && at + recordHeaderBytes <= bytes.length;
    at = bytes.indexOf(pattern, at + 1)
  ) {
    const record = decodeRecord(bytes, at, salt ?? bytes.readUInt32LE(at + 4));
    if (record !== undefined) evidence = Math.max(evidence, record.flushedSequence);
  }
  return evidence;
}
