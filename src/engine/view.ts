// Opening a disk as it was at a cut, or a log's own base for its owner: a tree from a checkpoint and a delta replayed from the
// indexes of the segments after it (docs/design/0002-log-engine.md, "view").
//
// - Replay is by sequence, ascending and without gaps between segments; nothing beyond the cut or an epoch's recorded end counts.
// - A log without a checkpoint of its own stands on its parent's view, and so on up the lineage.
// - Nothing is listed: numbers are probed one after the other (a few ahead) up to the recorded last one; a missing one that is
//   needed is an error.

import { AndironError } from "../common/errors.ts";
import { nextTurn } from "../common/turn.ts";
import { WorkAhead } from "../common/work-ahead.ts";
import type { Registry } from "../registry/registry.ts";
import type { Lineage } from "./format/page.ts";
import type { EncodedIndex } from "./format/segment.ts";
import { clusterCrcAt, eachEntry, originalOffsetAt, recordKinds } from "./format/segment.ts";
import { clusterBytes, engineLimits } from "./limits.ts";
import { Delta } from "./map/delta.ts";
import type { Pages } from "./map/pages.ts";
import type { PlaceSink } from "./map/sorted-places.ts";
import { Tree } from "./map/tree.ts";
import type { SegmentId } from "./names.ts";
import type { CheckpointRecord, EpochRecord, LogPosition, LogRecord, View } from "./records.ts";
import { keys, parseRecord } from "./records.ts";
import type { Segments } from "./segments.ts";

export interface OpenedView {
  readonly tree: Tree;
  /** What the tree does not have yet, up to the cut. */
  readonly delta: Delta;
  readonly lineage: Lineage;
  readonly sequence: number;
}

/** A segment as its index says; sequences include marks. */
export interface SegmentEntries {
  readonly index: EncodedIndex;
  readonly firstSequence: number;
  readonly lastSequence: number;
  /** Nobody looks at the index any more (segments.ts). */
  readonly giveBack?: () => void;
}

/** Segments that are not on the backend yet: only the owner of their log has them. */
export interface LiveLogs {
  /** Rejects when the log is not open here and cannot be opened; undefined when the open log has no such segment. */
  liveSegment(segment: SegmentId): Promise<SegmentEntries | undefined>;
}

export interface ViewSources {
  readonly registry: Registry;
  readonly pages: Pages;
  readonly segments: Segments;
  readonly live: LiveLogs;
}

export async function readLog(registry: Registry, log: string): Promise<LogRecord> {
  const entry = await registry.get(keys.log(log));
  if (entry === undefined) throw new AndironError("record_damaged", `log ${log} has no record, although something refers to it`);
  return parseRecord<LogRecord>(entry.key, entry.value);
}

export async function readEpochs(registry: Registry, log: string): Promise<EpochRecord[]> {
  const epochs: EpochRecord[] = [];
  for (let after: string | undefined; ;) {
    const page = await registry.range(after === undefined ? { prefix: keys.epochs(log) } : { prefix: keys.epochs(log), after });
    epochs.push(...page.entries.map((entry) => parseRecord<EpochRecord>(entry.key, entry.value)));
    after = page.entries.at(-1)?.key;
    if (!page.more || after === undefined) return epochs;
  }
}

/** The disk at the view's cut. */
export async function openView(sources: ViewSources, view: View): Promise<OpenedView> {
  const log = await readLog(sources.registry, view.log);
  const base = await openBase(sources, log, view.checkpoint);
  await replay(sources, { log: log.id, from: view.checkpoint?.next, base, cut: view.cut, delta: base.delta });
  return { ...base, sequence: view.cut };
}

/** What a log stands on before its own segments are replayed: a checkpoint, its parent's view, or nothing. */
export async function openBase(sources: ViewSources, log: LogRecord, checkpoint: CheckpointRecord | null): Promise<OpenedView> {
  if (checkpoint !== null) {
    const footer = await sources.pages.loadFooter(
      { log: log.id, epoch: checkpoint.epoch, number: checkpoint.number },
      checkpoint.bytes,
    );
    if (footer.self.log !== log.id || footer.sequence !== checkpoint.sequence) {
      throw new AndironError("map_damaged", `the checkpoint of log ${log.id} is not the one its record names`);
    }
    const tree = new Tree(sources.pages, footer.lineage, footer.root, footer.sequence);
    return { tree, delta: new Delta(), lineage: footer.lineage, sequence: footer.sequence };
  }
  if (log.parent === null) {
    return { tree: new Tree(sources.pages, [log.id], undefined, 0), delta: new Delta(), lineage: [log.id], sequence: 0 };
  }
  const parent = await openView(sources, log.parent);
  const lineage = [...parent.lineage, log.id];
  if (lineage.length > engineLimits.lineageDepthMax)
    throw new AndironError("limit_exceeded", `log ${log.id} has too many ancestors`);
  // The parent's pages name ancestors by depth, which are the same in the longer lineage.
  const tree = new Tree(sources.pages, lineage, parent.tree.root, 0);
  return { tree, delta: parent.delta, lineage, sequence: 0 };
}

interface Replay {
  readonly log: string;
  /** First segment to replay; undefined for the log's very first. */
  readonly from: LogPosition | undefined;
  readonly base: { readonly sequence: number };
  readonly cut: number;
  readonly delta: Delta;
}

async function replay(sources: ViewSources, request: Replay): Promise<void> {
  let sequence = request.base.sequence;
  if (sequence >= request.cut) return;
  for (const epoch of await readEpochs(sources.registry, request.log)) {
    if (request.from !== undefined && epoch.epoch < request.from.epoch) continue;
    const first = request.from?.epoch === epoch.epoch ? request.from.number : 1;
    const count = epoch.last === undefined ? Infinity : Math.max(0, epoch.last + 1 - first);
    const segmentAt = (at: number): SegmentId => ({ log: request.log, epoch: epoch.epoch, number: first + at });
    const indexes = new WorkAhead(count, engineLimits.indexesAheadMax, (at) =>
      segmentEntries(sources, segmentAt(at), epoch.last === undefined),
    );
    try {
      for (let at = 0; at < count; at++) {
        if (sequence >= request.cut) return;
        const segment = segmentAt(at);
        const found = await indexes.take();
        if (found === undefined) break;
        if (found.firstSequence !== sequence + 1) throw gap(segment, sequence);
        const end = Math.min(request.cut, epoch.lastSequence ?? request.cut);
        applyIndex(request.delta, found.index, sources.segments.handleOf(segment), end);
        found.giveBack?.();
        sequence = Math.min(found.lastSequence, end);
        // Several may be there by now.
        await nextTurn();
      }
    } finally {
      await indexes.settled();
    }
  }
  if (sequence < request.cut) {
    throw new AndironError(
      "segment_damaged",
      `log ${request.log} ends at record ${sequence}, but a view needs it up to ${request.cut}`,
    );
  }
}

async function segmentEntries(sources: ViewSources, segment: SegmentId, open: boolean): Promise<SegmentEntries | undefined> {
  if (open) {
    const live = await sources.live.liveSegment(segment);
    if (live !== undefined) return live;
  }
  const uploaded = await uploadedEntries(sources, segment);
  if (uploaded !== undefined || open) return uploaded;
  // Of an epoch that a recovery has closed: its owner may still have it, or have uploaded it this moment.
  const entries = (await sources.live.liveSegment(segment)) ?? (await uploadedEntries(sources, segment));
  if (entries !== undefined) return entries;
  throw new AndironError(
    "segment_damaged",
    `segment ${segment.epoch}-${segment.number} of log ${segment.log} is missing from the backend`,
  );
}

async function uploadedEntries(sources: ViewSources, segment: SegmentId): Promise<SegmentEntries | undefined> {
  const index = await sources.segments.lendIndex(segment);
  if (index === undefined) return undefined;
  const { encoded, header, footer, giveBack } = index;
  return { index: encoded, firstSequence: header.firstSequence, lastSequence: footer.lastSequence, giveBack };
}

/** Brings the entries of one segment, in order, into a delta or on the way to one; those beyond `cut` are left out. */
export function applyIndex(sink: PlaceSink, index: EncodedIndex, handle: number, cut: number): void {
  let previous = 0;
  eachEntry(index, (kind, sequence, firstCluster, clusterCount, words, at) => {
    if (sequence > cut) return;
    if (sequence < previous) throw new AndironError("segment_damaged", "the index of a segment is not in order");
    previous = sequence;
    if (kind === recordKinds.zero) {
      sink.zero(firstCluster, clusterCount);
      return;
    }
    const offset = originalOffsetAt(words, at);
    for (let i = 0; i < clusterCount; i++)
      sink.put(firstCluster + i, handle, offset + i * clusterBytes, clusterCrcAt(words, at, i));
  });
}

const gap = (segment: SegmentId, sequence: number): AndironError =>
  new AndironError(
    "segment_damaged",
    `segment ${segment.epoch}-${segment.number} of log ${segment.log} does not follow record ${sequence}`,
  );
