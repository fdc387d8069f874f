// Rewriting segments as their next generations with what is live, or letting go of those in which nothing is.
//
//     reserve a generation number ──► write the object ──► transaction: relocation, retired old object
//
// - Several in one go, so that they share the transactions: a registry takes as long for one as for twenty.
// - A reserved number is never given out again, so a crashed attempt leaves an orphan and no name with two contents.
// - The transaction asserts what liveness was computed from (log-state.ts).
// - Every cluster is checked against its checksum before it is written anew: damage is reported, not copied.

import { crc32 } from "../../common/crc32.ts";
import { AndironError } from "../../common/errors.ts";
import { atomically, type Tx } from "../../registry/atomic.ts";
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

/** A segment that is to be rewritten. */
export interface SparseSegment {
  readonly segment: SegmentId;
  readonly index: SegmentIndex;
  readonly live: LiveSegment;
  readonly handle: number;
}

/**
 * Rewrites them one after the other. Rejects with transaction_conflict when the log changed meanwhile: nothing happened then; and
 * with what befell one of them, when those before it are done, of which `done` is told.
 */
export async function compactSegments(
  context: CleanerContext,
  state: LogState,
  sparse: readonly SparseSegment[],
  done: (one: SparseSegment) => void,
): Promise<void> {
  const generations = await reserveGenerations(context, state, sparse);
  let written = 0;
  try {
    for (; written < sparse.length; written++) {
      const parts = await buildSegment(context, sparse[written]!, generations[written]!);
      await context.backend.put(segmentObjectName(sparse[written]!.segment, generations[written]!), parts);
    }
  } finally {
    await useGenerations(context, state, sparse.slice(0, written), generations);
    for (const one of sparse.slice(0, written)) done(one);
  }
}

async function useGenerations(
  context: CleanerContext,
  state: LogState,
  written: readonly SparseSegment[],
  generations: readonly number[],
): Promise<void> {
  if (written.length === 0) return;
  await atomically(context.registry, context, async (tx) => {
    await assertHolds(tx, state);
    for (const [at, { segment, index }] of written.entries()) {
      const known = await relocationOf(tx, segment);
      assertGeneration(known, segment, index.generation);
      const generation = generations[at]!;
      const record: RelocationRecord = { v: 1, generation, reserved: Math.max(generation, known.reserved) };
      tx.put(keys.relocation(segment), JSON.stringify(record));
      retire(tx, segmentObjectName(segment, index.generation), context.clock.wallMs());
    }
  });
  for (const [at, { segment }] of written.entries()) context.segments.setGeneration(segment, generations[at]!);
}

/** A segment in which nothing is live and which no view replays; its handle. */
export interface EmptySegment {
  readonly segment: SegmentId;
  readonly generation: number;
  readonly handle: number;
}

/** Lets go of all of `empty`, or, rejecting with transaction_conflict when the log changed meanwhile, of none. */
export async function dropSegments(context: CleanerContext, state: LogState, empty: readonly EmptySegment[]): Promise<void> {
  await atomically(context.registry, context, async (tx) => {
    await assertHolds(tx, state);
    for (const { segment, generation } of empty) {
      const known = await relocationOf(tx, segment);
      assertGeneration(known, segment, generation);
      tx.put(keys.relocation(segment), JSON.stringify({ ...known, dropped: true } satisfies RelocationRecord));
      retire(tx, segmentObjectName(segment, generation), context.clock.wallMs());
    }
  });
}

/** Notes that nobody refers to the object any more. */
export function retire(tx: { put(key: string, value: string): void }, object: string, nowMs: number): void {
  const record: RetiredRecord = { v: 1, object, retiredAtMs: nowMs };
  tx.put(keys.retired(object), JSON.stringify(record));
}

async function reserveGenerations(
  context: CleanerContext,
  state: LogState,
  sparse: readonly SparseSegment[],
): Promise<readonly number[]> {
  const { value } = await atomically(context.registry, context, async (tx) => {
    await assertHolds(tx, state);
    const generations: number[] = [];
    for (const { segment, index } of sparse) {
      const known = await relocationOf(tx, segment);
      assertGeneration(known, segment, index.generation);
      const reserved = known.reserved + 1;
      tx.put(keys.relocation(segment), JSON.stringify({ ...known, reserved } satisfies RelocationRecord));
      generations.push(reserved);
    }
    return generations;
  });
  return value;
}

async function relocationOf(tx: Tx, segment: SegmentId): Promise<RelocationRecord> {
  const key = keys.relocation(segment);
  const text = await tx.get(key);
  return text === undefined ? { v: 1, generation: 0, reserved: 0 } : parseRecord<RelocationRecord>(key, text);
}

function assertGeneration(known: RelocationRecord, segment: SegmentId, generation: number): void {
  if (known.generation === generation) return;
  throw new AndironError("transaction_conflict", `segment ${keys.relocation(segment)} was compacted by another`);
}

async function buildSegment(
  context: CleanerContext,
  { segment, index, live }: SparseSegment,
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
