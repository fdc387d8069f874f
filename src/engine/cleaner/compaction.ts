// Rewriting one segment as its next generation with what is live, or letting go of it when nothing is.
//
//     reserve a generation number ──► write the object ──► transaction: relocation, retired old object
//
// - A reserved number is never given out again, so a crashed attempt leaves an orphan and no name with two contents.
// - The transaction asserts what liveness was computed from (log-state.ts).
// - Every cluster is checked against its checksum before it is written anew: damage is reported, not copied.

import { crc32 } from "../../common/crc32.ts";
import { AndironError } from "../../common/errors.ts";
import { atomically } from "../../registry/atomic.ts";
import type { CleanerContext } from "../engine-context.ts";
import type { IndexEntry } from "../format/segment.ts";
import { encodeFooter, encodeHeader, encodeIndex, headerBytes, recordKinds } from "../format/segment.ts";
import { clusterBytes } from "../limits.ts";
import type { SegmentId } from "../names.ts";
import { segmentObjectName } from "../names.ts";
import type { RelocationRecord, RetiredRecord } from "../records.ts";
import { keys, parseRecord } from "../records.ts";
import type { SegmentIndex } from "../segments.ts";
import type { LiveSegment } from "./liveness.ts";
import { readPieces, type ObjectPiece } from "./object-pieces.ts";
import type { LogState } from "./log-state.ts";
import { assertHolds } from "./log-state.ts";

interface Piece extends ObjectPiece {
  readonly entry: IndexEntry;
}

/** Rejects with transaction_conflict when the log changed meanwhile: nothing happened then. */
export async function compactSegment(
  context: CleanerContext,
  state: LogState,
  segment: SegmentId,
  index: SegmentIndex,
  live: LiveSegment,
): Promise<void> {
  const generation = await reserveGeneration(context, state, segment);
  const parts = await buildSegment(context, segment, index, live, generation);
  await context.backend.put(segmentObjectName(segment, generation), parts);
  await atomically(context.registry, context, async (tx) => {
    await assertHolds(tx, state);
    const key = keys.relocation(segment);
    const text = await tx.get(key);
    const known = text === undefined ? undefined : parseRecord<RelocationRecord>(key, text);
    if ((known?.generation ?? 0) !== index.generation)
      throw new AndironError("transaction_conflict", `segment ${key} was compacted by another`);
    tx.put(
      key,
      JSON.stringify({ v: 1, generation, reserved: Math.max(generation, known?.reserved ?? 0) } satisfies RelocationRecord),
    );
    retire(tx, segmentObjectName(segment, index.generation), context.clock.wallMs());
  });
  context.segments.setGeneration(segment, generation);
}

/** A segment in which nothing is live and which no view replays; its handle. */
export interface EmptySegment {
  readonly segment: SegmentId;
  readonly generation: number;
  readonly handle: number;
}

/** Segments that are let go of in one transaction: each has two records in it. */
export const droppedTogetherMax = 20;

/** Lets go of all of `empty`, or of none. Rejects as compactSegment. */
export async function dropSegments(context: CleanerContext, state: LogState, empty: readonly EmptySegment[]): Promise<void> {
  await atomically(context.registry, context, async (tx) => {
    await assertHolds(tx, state);
    for (const { segment, generation } of empty) {
      const key = keys.relocation(segment);
      const text = await tx.get(key);
      const known: RelocationRecord =
        text === undefined ? { v: 1, generation: 0, reserved: 0 } : parseRecord<RelocationRecord>(key, text);
      if (known.generation !== generation)
        throw new AndironError("transaction_conflict", `segment ${key} was compacted by another`);
      tx.put(key, JSON.stringify({ ...known, dropped: true } satisfies RelocationRecord));
      retire(tx, segmentObjectName(segment, generation), context.clock.wallMs());
    }
  });
}

/** Notes that nobody refers to the object any more. */
export function retire(tx: { put(key: string, value: string): void }, object: string, nowMs: number): void {
  const record: RetiredRecord = { v: 1, object, retiredAtMs: nowMs };
  tx.put(keys.retired(object), JSON.stringify(record));
}

async function reserveGeneration(context: CleanerContext, state: LogState, segment: SegmentId): Promise<number> {
  const { value } = await atomically(context.registry, context, async (tx) => {
    await assertHolds(tx, state);
    const key = keys.relocation(segment);
    const text = await tx.get(key);
    const known: RelocationRecord =
      text === undefined ? { v: 1, generation: 0, reserved: 0 } : parseRecord<RelocationRecord>(key, text);
    const reserved = known.reserved + 1;
    tx.put(key, JSON.stringify({ ...known, reserved } satisfies RelocationRecord));
    return reserved;
  });
  return value;
}

async function buildSegment(
  context: CleanerContext,
  segment: SegmentId,
  index: SegmentIndex,
  live: LiveSegment,
  generation: number,
): Promise<Buffer[]> {
  const { firstSequence, flushedSequence, salt } = index.header;
  const header = encodeHeader({ segment, salt, firstSequence, generation, flushedSequence });
  const entries: IndexEntry[] = [];
  const pieces: Piece[] = [];
  let at = 0;
  for (const entry of live.kept) {
    if (entry.kind === recordKinds.zero) {
      entries.push(entry);
      continue;
    }
    const bytes = entry.clusterCount * clusterBytes;
    pieces.push({ offset: entry.presentOffset, bytes, entry });
    entries.push({ ...entry, presentOffset: headerBytes + at });
    at += bytes;
  }
  const name = segmentObjectName(segment, index.generation);
  const parts = await readPieces(context.backend, name, pieces, ({ entry }, data) => checkClusters(data, entry, segment));
  const indexBytes = encodeIndex(entries, firstSequence);
  const footer = encodeFooter({
    salt,
    headerCrc: header.readUInt32LE(headerBytes - 4),
    final: index.footer.final,
    indexOffset: headerBytes + at,
    indexBytes: indexBytes.length,
    indexCrc: crc32(indexBytes),
    entryCount: entries.length,
    dataClusters: live.liveClusters,
    lastSequence: index.footer.lastSequence,
  });
  return [header, ...parts, indexBytes, footer];
}

function checkClusters(data: Buffer, entry: IndexEntry, segment: SegmentId): void {
  for (let i = 0; i < entry.clusterCount; i++) {
    const crc = crc32(data.subarray(i * clusterBytes, (i + 1) * clusterBytes));
    if (crc === entry.clusterCrcs[i]) continue;
    throw new AndironError(
      "segment_damaged",
      `cluster ${entry.firstCluster + i} in segment ${segment.epoch}-${segment.number} of log ${segment.log} is damaged`,
    );
  }
}
