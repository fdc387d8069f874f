// Map pages and the checkpoint footer, version 1 (docs/design/0002-log-engine.md, "Map pages"). Pure functions over bytes.
//
// - A page is immutable. In memory a leaf is three columns of 256: segment (a handle, 0 for a hole), original offset, crc.
// - On disk logs are named by their depth in the lineage, so that all descendants of a log can share its pages.
// - A page's own checksum stands in the reference to it: a page that was swapped for another is found out too.

import { assert } from "../../common/assert.ts";
import { crc32 } from "../../common/crc32.ts";
import { AndironError } from "../../common/errors.ts";
import { pageFanout } from "../limits.ts";
import type { MapObjectId, SegmentId } from "../names.ts";

export const checkpointVersion = 1;
export const checkpointTailBytes = 32;
const checkpointMagic = Buffer.from("ANDRCKP1");
const pageHeaderBytes = 8;
const bitmapBytes = pageFanout / 8;
const refBytes = 22;
const leafEntryBytes = 10;
const tableRowBytes = 10;

/** Logs from the oldest ancestor (depth 0) to the log itself. */
export type Lineage = readonly string[];

export interface PageRef extends MapObjectId {
  readonly offset: number;
  readonly length: number;
  readonly crc: number;
}

export interface LeafPage {
  readonly level: 0;
  /** Segment handles; 0 means the cluster is a hole. */
  readonly handles: Uint32Array;
  readonly offsets: Uint32Array;
  readonly crcs: Uint32Array;
}

export interface InnerPage {
  readonly level: number;
  readonly children: readonly (PageRef | undefined)[];
}

/** Small numbers for segments, one table for the whole process. */
export interface SegmentHandles {
  handleOf(segment: SegmentId): number;
  segmentOf(handle: number): SegmentId;
}

export interface CheckpointFooter {
  /** Which map object this is: a footer under another name is found out. */
  readonly self: MapObjectId;
  readonly lineage: Lineage;
  /** Absent when every cluster is a hole. */
  readonly root?: PageRef;
  /** Every record up to this one is in the tree. */
  readonly sequence: number;
}

export const emptyLeaf = (): LeafPage => ({
  level: 0,
  handles: new Uint32Array(pageFanout),
  offsets: new Uint32Array(pageFanout),
  crcs: new Uint32Array(pageFanout),
});

/** The bytes of a leaf, or undefined when it has no entry (an absent page). */
export function encodeLeaf(leaf: LeafPage, lineage: Lineage, handles: SegmentHandles): Buffer | undefined {
  const rowOf = new Map<number, number>();
  let count = 0;
  for (const handle of leaf.handles) {
    if (handle === 0) continue;
    count++;
    if (!rowOf.has(handle)) rowOf.set(handle, rowOf.size);
  }
  if (count === 0) return undefined;
  const bytes = Buffer.alloc(pageHeaderBytes + bitmapBytes + rowOf.size * tableRowBytes + count * leafEntryBytes);
  let at = writePageHeader(bytes, 0, count, rowOf.size);
  for (const handle of rowOf.keys()) {
    const segment = handles.segmentOf(handle);
    at = bytes.writeUInt16LE(depthOf(segment.log, lineage), at);
    at = bytes.writeUInt32LE(segment.epoch, at);
    at = bytes.writeUInt32LE(segment.number, at);
  }
  for (let i = 0; i < pageFanout; i++) {
    const handle = leaf.handles[i]!;
    if (handle === 0) continue;
    setPresent(bytes, i);
    at = bytes.writeUInt16LE(rowOf.get(handle)!, at);
    at = bytes.writeUInt32LE(leaf.offsets[i]!, at);
    at = bytes.writeUInt32LE(leaf.crcs[i]!, at);
  }
  return bytes;
}

export function encodeInner(page: InnerPage, lineage: Lineage): Buffer | undefined {
  const count = page.children.reduce((sum, child) => sum + (child === undefined ? 0 : 1), 0);
  if (count === 0) return undefined;
  const bytes = Buffer.alloc(pageHeaderBytes + bitmapBytes + count * refBytes);
  let at = writePageHeader(bytes, page.level, count, 0);
  page.children.forEach((child, i) => {
    if (child === undefined) return;
    setPresent(bytes, i);
    at = bytes.writeUInt16LE(depthOf(child.log, lineage), at);
    at = bytes.writeUInt32LE(child.epoch, at);
    at = bytes.writeUInt32LE(child.number, at);
    at = bytes.writeUInt32LE(child.offset, at);
    at = bytes.writeUInt32LE(child.length, at);
    at = bytes.writeUInt32LE(child.crc, at);
  });
  return bytes;
}

/** Throws map_damaged unless `bytes` are the page of `level` that `ref` names. */
export function decodePage(
  bytes: Buffer,
  ref: PageRef,
  level: number,
  lineage: Lineage,
  handles: SegmentHandles,
): LeafPage | InnerPage {
  if (crc32(bytes) !== ref.crc) throw damaged(ref, "its checksum is wrong");
  if (bytes.length < pageHeaderBytes + bitmapBytes || bytes[0] !== level) throw damaged(ref, "it is not a page of this level");
  const count = bytes.readUInt16LE(2);
  const tableLength = bytes.readUInt16LE(4);
  const body = level === 0 ? tableLength * tableRowBytes + count * leafEntryBytes : count * refBytes;
  if (bytes.length !== pageHeaderBytes + bitmapBytes + body) throw damaged(ref, "its length is wrong");
  return level === 0 ? decodeLeaf(bytes, tableLength, lineage, handles) : decodeInner(bytes, level, lineage);
}

function decodeLeaf(bytes: Buffer, tableLength: number, lineage: Lineage, handles: SegmentHandles): LeafPage {
  const leaf = emptyLeaf();
  let at = pageHeaderBytes + bitmapBytes;
  const table = new Uint32Array(tableLength);
  for (let row = 0; row < tableLength; row++, at += tableRowBytes) {
    const log = logAt(bytes.readUInt16LE(at), lineage);
    table[row] = handles.handleOf({ log, epoch: bytes.readUInt32LE(at + 2), number: bytes.readUInt32LE(at + 6) });
  }
  for (let i = 0; i < pageFanout; i++) {
    if (!isPresent(bytes, i)) continue;
    leaf.handles[i] = table[bytes.readUInt16LE(at)]!;
    leaf.offsets[i] = bytes.readUInt32LE(at + 2);
    leaf.crcs[i] = bytes.readUInt32LE(at + 6);
    at += leafEntryBytes;
  }
  return leaf;
}

function decodeInner(bytes: Buffer, level: number, lineage: Lineage): InnerPage {
  const children: (PageRef | undefined)[] = Array.from({ length: pageFanout });
  let at = pageHeaderBytes + bitmapBytes;
  for (let i = 0; i < pageFanout; i++) {
    if (!isPresent(bytes, i)) continue;
    children[i] = {
      log: logAt(bytes.readUInt16LE(at), lineage),
      epoch: bytes.readUInt32LE(at + 2),
      number: bytes.readUInt32LE(at + 6),
      offset: bytes.readUInt32LE(at + 10),
      length: bytes.readUInt32LE(at + 14),
      crc: bytes.readUInt32LE(at + 18),
    };
    at += refBytes;
  }
  return { level, children };
}

/** What stands at the end of a checkpoint's last map object. */
export function encodeCheckpointFooter(footer: CheckpointFooter): Buffer {
  const json = Buffer.from(JSON.stringify(footer));
  const tail = Buffer.alloc(checkpointTailBytes);
  checkpointMagic.copy(tail, 0);
  tail.writeUInt32LE(checkpointVersion, 8);
  tail.writeUInt32LE(json.length, 12);
  tail.writeUInt32LE(crc32(json), 16);
  tail.writeUInt32LE(crc32(tail.subarray(0, 28)), 28);
  return Buffer.concat([json, tail]);
}

/** Length of the JSON before the tail; throws map_damaged when the tail is not one. */
export function decodeCheckpointTail(tail: Buffer, name: string): { readonly jsonBytes: number; readonly jsonCrc: number } {
  const good =
    tail.length === checkpointTailBytes &&
    checkpointMagic.compare(tail, 0, 8) === 0 &&
    crc32(tail.subarray(0, 28)) === tail.readUInt32LE(28);
  if (!good) throw new AndironError("map_damaged", `${name} does not end in a checkpoint footer`);
  const version = tail.readUInt32LE(8);
  if (version !== checkpointVersion)
    throw new AndironError("map_damaged", `${name} has checkpoint version ${version}, not known to this release`);
  return { jsonBytes: tail.readUInt32LE(12), jsonCrc: tail.readUInt32LE(16) };
}

export function decodeCheckpointFooter(json: Buffer, jsonCrc: number, name: string): CheckpointFooter {
  if (crc32(json) !== jsonCrc) throw new AndironError("map_damaged", `the checkpoint footer of ${name} has a wrong checksum`);
  return JSON.parse(json.toString("utf8")) as CheckpointFooter;
}

function writePageHeader(bytes: Buffer, level: number, count: number, tableLength: number): number {
  bytes.writeUInt8(level, 0);
  bytes.writeUInt16LE(count, 2);
  bytes.writeUInt16LE(tableLength, 4);
  return pageHeaderBytes + bitmapBytes;
}

function setPresent(bytes: Buffer, index: number): void {
  const at = pageHeaderBytes + (index >> 3);
  bytes[at] = bytes[at]! | (1 << (index & 7));
}

const isPresent = (bytes: Buffer, index: number): boolean => (bytes[pageHeaderBytes + (index >> 3)]! & (1 << (index & 7))) !== 0;

function depthOf(log: string, lineage: Lineage): number {
  const depth = lineage.lastIndexOf(log);
  assert(depth >= 0, () => `log ${log} is not in the lineage of the page that names it`);
  return depth;
}

function logAt(depth: number, lineage: Lineage): string {
  const log = lineage[depth];
  if (log === undefined) throw new AndironError("map_damaged", `a page names depth ${depth} of a lineage of ${lineage.length}`);
  return log;
}

const damaged = (ref: PageRef, why: string): AndironError =>
  new AndironError("map_damaged", `map page ${ref.log}/${ref.epoch}-${ref.number}@${ref.offset}: ${why}`);
