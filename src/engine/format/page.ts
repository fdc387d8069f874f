// Map pages and the checkpoint footer, version 1 (docs/design/0002-log-engine.md, "Map pages"). Pure functions over bytes.
//
// - A page is immutable. In memory it is words (page-words.ts).
// - On disk logs are named by their depth in the lineage, so that all descendants of a log can share its pages.
// - A page's own checksum stands in the reference to it: a page that was swapped for another is found out too.

import { assert } from "../../common/assert.ts";
import { crc32 } from "../../common/crc32.ts";
import { AndironError } from "../../common/errors.ts";
import { pageFanout } from "../limits.ts";
import type { MapObjectId, SegmentId } from "../names.ts";
import {
  countOf,
  entriesAt,
  innerEntryWords,
  leafEntryWords,
  levelOf,
  newPage,
  presentBits,
  presentGroups,
  setPresent,
} from "./page-words.ts";

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

/** Small numbers for who wrote map objects, as well. */
export interface Origins {
  handleOf(log: string, epoch: number): number;
  originOf(handle: number): { readonly log: string; readonly epoch: number };
}

/** What the numbers in pages in memory stand for. */
export interface PageNames {
  readonly handles: SegmentHandles;
  readonly origins: Origins;
}

/** Writes the page, all of `words`, to `target` from `at` on, where the largest has room. Returns where it ends. */
export function encodePage(words: Uint32Array, lineage: Lineage, names: PageNames, target: Buffer, at: number): number {
  const level = levelOf(words, 0);
  target.fill(0, at, at + pageHeaderBytes);
  target.writeUInt8(level, at);
  target.writeUInt16LE(countOf(words, 0), at + 2);
  for (let group = 0; group < presentGroups; group++)
    target.writeUInt32LE(presentBits(words, group), at + pageHeaderBytes + 4 * group);
  const body = at + pageHeaderBytes + bitmapBytes;
  return level === 0 ? encodeLeaf(words, lineage, names, target, at, body) : encodeInner(words, lineage, names, target, body);
}

/** Of the leaf that is being encoded, which takes no turn of the event loop. */
const rowOfEntry = new Uint16Array(pageFanout);

function encodeLeaf(
  words: Uint32Array,
  lineage: Lineage,
  { handles }: PageNames,
  target: Buffer,
  start: number,
  body: number,
): number {
  // A view: what is written here a thousand times for each checkpoint is checked once, not for each number.
  const view = new DataView(target.buffer, target.byteOffset, target.byteLength);
  const rowOf = new Map<number, number>();
  let at = body;
  // Neighbours are often of one segment. No segment has handle 0 (segments.ts).
  let known = 0;
  let row = 0;
  for (let entry = entriesAt, i = 0; entry < words.length; entry += leafEntryWords, i++) {
    const handle = words[entry]!;
    if (handle !== known) {
      known = handle;
      row = rowOf.get(handle) ?? rowOf.size;
      if (row === rowOf.size) {
        rowOf.set(handle, row);
        const segment = handles.segmentOf(handle);
        view.setUint16(at, depthOf(segment.log, lineage), true);
        view.setUint32(at + 2, segment.epoch, true);
        view.setUint32(at + 6, segment.number, true);
        at += tableRowBytes;
      }
    }
    rowOfEntry[i] = row;
  }
  view.setUint16(start + 4, rowOf.size, true);
  for (let entry = entriesAt, i = 0; entry < words.length; entry += leafEntryWords, i++, at += leafEntryBytes) {
    view.setUint16(at, rowOfEntry[i]!, true);
    view.setUint32(at + 2, words[entry + 1]!, true);
    view.setUint32(at + 6, words[entry + 2]!, true);
  }
  return at;
}

function encodeInner(words: Uint32Array, lineage: Lineage, { origins }: PageNames, target: Buffer, body: number): number {
  let at = body;
  for (let entry = entriesAt; entry < words.length; entry += innerEntryWords) {
    const { log, epoch } = origins.originOf(words[entry]!);
    at = target.writeUInt16LE(depthOf(log, lineage), at);
    at = target.writeUInt32LE(epoch, at);
    for (let word = 1; word < innerEntryWords; word++) at = target.writeUInt32LE(words[entry + word]!, at);
  }
  return at;
}

/** Throws map_damaged unless `bytes` are the page of `level` that `ref` names. */
export function decodePage(bytes: Buffer, ref: PageRef, level: number, lineage: Lineage, names: PageNames): Uint32Array {
  if (crc32(bytes) !== ref.crc) throw damaged(ref, "its checksum is wrong");
  if (bytes.length < pageHeaderBytes + bitmapBytes || bytes[0] !== level) throw damaged(ref, "it is not a page of this level");
  const count = bytes.readUInt16LE(2);
  const tableLength = bytes.readUInt16LE(4);
  const body = level === 0 ? tableLength * tableRowBytes + count * leafEntryBytes : count * refBytes;
  if (bytes.length !== pageHeaderBytes + bitmapBytes + body) throw damaged(ref, "its length is wrong");
  const words = newPage(level, count);
  if (!setPresent(words, (group) => bytes.readUInt32LE(pageHeaderBytes + 4 * group)))
    throw damaged(ref, "it has not as many entries as it says");
  if (level === 0) decodeLeaf(bytes, tableLength, lineage, names, words);
  else decodeInner(bytes, lineage, names, words);
  return words;
}

function decodeLeaf(bytes: Buffer, tableLength: number, lineage: Lineage, { handles }: PageNames, words: Uint32Array): void {
  let at = pageHeaderBytes + bitmapBytes;
  const table = new Uint32Array(tableLength);
  for (let row = 0; row < tableLength; row++, at += tableRowBytes) {
    const log = logAt(bytes.readUInt16LE(at), lineage);
    table[row] = handles.handleOf({ log, epoch: bytes.readUInt32LE(at + 2), number: bytes.readUInt32LE(at + 6) });
  }
  for (let entry = entriesAt; entry < words.length; entry += leafEntryWords, at += leafEntryBytes) {
    words[entry] = table[bytes.readUInt16LE(at)]!;
    words[entry + 1] = bytes.readUInt32LE(at + 2);
    words[entry + 2] = bytes.readUInt32LE(at + 6);
  }
}

function decodeInner(bytes: Buffer, lineage: Lineage, { origins }: PageNames, words: Uint32Array): void {
  let at = pageHeaderBytes + bitmapBytes;
  for (let entry = entriesAt; entry < words.length; entry += innerEntryWords, at += refBytes) {
    words[entry] = origins.handleOf(logAt(bytes.readUInt16LE(at), lineage), bytes.readUInt32LE(at + 2));
    for (let word = 1; word < innerEntryWords; word++) words[entry + word] = bytes.readUInt32LE(at + 2 + 4 * word);
  }
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
