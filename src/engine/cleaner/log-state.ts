// What the cleaner knows of one log, read together: its record, its cuts, its epochs. Everything it decides holds as long as
// owner and epoch are the same, and, of a log without a head, cutsVersion; which its transactions assert.
//
// - All cuts are those of one instant: none was added while they were read.
// - A cut that is added later is at the end of the log, or where one is already (docs/design/freed-space.md, "Invariants").

import { AndironError } from "../../common/errors.ts";
import type { Tx } from "../../registry/atomic.ts";
import type { Entry, Registry } from "../../registry/registry.ts";
import { getLog } from "../record-edits.ts";
import type { CutRecord, EpochRecord, LogPosition, LogRecord } from "../records.ts";
import { comparePositions, keys, parseRecord } from "../records.ts";
import { readEpochs, readLog } from "../view.ts";

export interface LogState {
  readonly record: LogRecord;
  /** By cut, ascending. */
  readonly cuts: readonly CutRecord[];
  readonly epochs: readonly EpochRecord[];
  /** Somebody waits for a cut: as good as a cut at the end. */
  readonly hasWishes: boolean;
}

const attemptsMax = 10;

/** Rejects with transaction_conflict when cuts are added all the time. */
export async function readLogState(registry: Registry, log: string): Promise<LogState> {
  let record = await readLog(registry, log);
  for (let attempt = 0; attempt < attemptsMax; attempt++) {
    const cuts = (await readAll(registry, keys.cuts(log))).map((entry) => parseRecord<CutRecord>(entry.key, entry.value));
    const epochs = await readEpochs(registry, log);
    const wishes = await registry.range({ prefix: keys.wishesOf(log), limit: 1 });
    // What was added meanwhile has bumped its cutsVersion.
    const after = await readLog(registry, log);
    if (isUnchanged(record, after)) return { record, cuts, epochs, hasWishes: wishes.entries.length > 0 };
    record = after;
  }
  throw new AndironError("transaction_conflict", `log ${log} changed while it was read`);
}

const isUnchanged = (before: LogRecord, now: LogRecord): boolean =>
  now.cutsVersion === before.cutsVersion && now.owner === before.owner && now.epoch === before.epoch;

/** Something is, or is going to be, read at the end of the log. */
export const hasHead = ({ record, hasWishes }: LogState): boolean => record.vdisk !== null || hasWishes;

/** All entries below a prefix. */
export async function readAll(registry: Registry, prefix: string): Promise<Entry[]> {
  const entries: Entry[] = [];
  for (let after: string | undefined; ;) {
    const page = await registry.range(after === undefined ? { prefix } : { prefix, after });
    entries.push(...page.entries);
    after = page.entries.at(-1)?.key;
    if (!page.more || after === undefined) return entries;
  }
}

/** The log's record, if what was decided still holds; throws transaction_conflict otherwise. */
export async function assertHolds(tx: Tx, state: LogState): Promise<LogRecord> {
  const now = await getLog(tx, state.record.id);
  const before = state.record;
  // A new cut sees nothing that was dead: where there is no head there is none to come.
  const cutsVersion = hasHead(state) ? now.cutsVersion : before.cutsVersion;
  if (isUnchanged({ ...before, cutsVersion }, now)) return now;
  throw new AndironError("transaction_conflict", `log ${before.id} changed while it was cleaned`);
}

/** Where the replay of the oldest view begins: segments before it are only read through maps. */
export function firstReplayed(state: LogState): LogPosition {
  const start: LogPosition = { epoch: 0, number: 0 };
  const checkpoints = state.cuts.map((cut) => cut.view.checkpoint);
  if (hasHead(state)) checkpoints.push(state.record.checkpoint);
  let first: LogPosition | undefined;
  for (const checkpoint of checkpoints) {
    const next = checkpoint?.next ?? start;
    if (first === undefined || comparePositions(next, first) < 0) first = next;
  }
  return first ?? { epoch: Number.MAX_SAFE_INTEGER, number: 0 };
}
