// What the cleaner knows of one log, read together: its record, its cuts, its epochs. Everything it decides holds as long as
// the record's cutsVersion is the same, which its transactions assert.

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

export async function readLogState(registry: Registry, log: string): Promise<LogState> {
  // The record first: what is added afterwards has bumped its cutsVersion.
  const record = await readLog(registry, log);
  const cuts = (await readAll(registry, keys.cuts(log))).map((entry) => parseRecord<CutRecord>(entry.key, entry.value));
  const epochs = await readEpochs(registry, log);
  const wishes = await registry.range({ prefix: keys.wishesOf(log), limit: 1 });
  return { record, cuts, epochs, hasWishes: wishes.entries.length > 0 };
}

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

/** The log's record, if what was read still holds; throws transaction_conflict otherwise. */
export async function assertUnchanged(tx: Tx, state: LogState): Promise<LogRecord> {
  const now = await getLog(tx, state.record.id);
  const before = state.record;
  if (now.cutsVersion === before.cutsVersion && now.owner === before.owner && now.epoch === before.epoch) return now;
  throw new AndironError("transaction_conflict", `log ${before.id} changed while it was cleaned`);
}

/** Where the replay of the oldest view begins: segments before it are only read through maps. */
export function firstReplayed(state: LogState): LogPosition {
  const start: LogPosition = { epoch: 0, number: 0 };
  const checkpoints = state.cuts.map((cut) => cut.view.checkpoint);
  if (state.record.vdisk !== null || state.hasWishes) checkpoints.push(state.record.checkpoint);
  let first: LogPosition | undefined;
  for (const checkpoint of checkpoints) {
    const next = checkpoint?.next ?? start;
    if (first === undefined || comparePositions(next, first) < 0) first = next;
  }
  return first ?? { epoch: Number.MAX_SAFE_INTEGER, number: 0 };
}
