// The revision log: one row for each revision, holding what that transaction changed, for watchers in any process and
// for those that come back after a restart.
//
// - Rows are dense: the store's revisions from first_revision to revision, each one row. So a reader that goes up by
//   one leaves nothing out, and a missing row at or below the head means that it has been compacted away.
// - What this process wrote or read lately is kept decoded in memory (the tail), so that a change costs its readers no
//   query. A batch enters the tail only after its COMMIT.
// - Bounded: trim() drops the oldest rows beyond `revisionsMax` or `bytesMax`, but never the last `revisionsMin`.

import type { DatabaseSync, StatementSync } from "node:sqlite";
import type { WatchBatch, WatchEvent } from "../registry.ts";

export interface HistoryLimits {
  readonly revisionsMax: number;
  readonly bytesMax: number;
}

export const revisionsMin = 1000;
const trimRowsMax = 500; // in one transaction, so that no commit is held up for long
const tailBatchesMax = 1024;
const tailBytesMax = 16 * 1024 * 1024;

/** A batch with the length of its stored form, the measure for all limits in bytes. */
export interface StoredBatch extends WatchBatch {
  readonly sizeBytes: number;
}

/** The one row of the table `state`, as the transaction in progress sees it. */
export interface State {
  revision: number;
  first_revision: number;
  history_bytes: number;
}

type StoredEvent =
  | readonly ["p", key: string, value: string, createRevision: number, leaseId: string | null]
  | readonly ["d", key: string];

function encode(event: WatchEvent): StoredEvent {
  const { entry } = event;
  if (entry === undefined) return ["d", event.key];
  return ["p", event.key, entry.value, entry.createRevision, entry.leaseId ?? null];
}

function decode(event: StoredEvent, modRevision: number): WatchEvent {
  if (event[0] === "d") return { kind: "delete", key: event[1] };
  const [, key, value, createRevision, leaseId] = event;
  const entry = { key, value, createRevision, modRevision };
  return { kind: "put", key, entry: leaseId === null ? entry : { ...entry, leaseId } };
}

export class History {
  readonly #limits: HistoryLimits;
  readonly #insert: StatementSync;
  readonly #select: StatementSync;
  readonly #sumBelow: StatementSync;
  readonly #deleteBelow: StatementSync;
  readonly #tail = new Map<number, StoredBatch>();
  #tailBytes = 0;
  #staged: StoredBatch[] = [];

  constructor(database: DatabaseSync, limits: HistoryLimits) {
    this.#limits = limits;
    this.#insert = database.prepare("INSERT INTO changes VALUES (?, ?)");
    this.#select = database.prepare("SELECT events FROM changes WHERE revision = ?");
    this.#sumBelow = database.prepare("SELECT coalesce(sum(length(events)), 0) AS size FROM changes WHERE revision < ?");
    this.#deleteBelow = database.prepare("DELETE FROM changes WHERE revision < ?");
  }

  /** Within a transaction: writes the row of `revision`. */
  append(state: State, revision: number, events: readonly WatchEvent[]): void {
    const text = JSON.stringify(events.map(encode));
    this.#insert.run(revision, text);
    state.revision = revision;
    state.history_bytes += text.length;
    this.#staged.push({ revision, events, sizeBytes: text.length });
  }

  /** After COMMIT. */
  publish(): void {
    for (const batch of this.#staged) this.#remember(batch);
    this.#staged = [];
  }

  /** After ROLLBACK. */
  discard(): void {
    this.#staged = [];
  }

  /** The batch of `revision`, or undefined when it is not there (compacted, or not written yet). */
  read(revision: number): StoredBatch | undefined {
    const known = this.#tail.get(revision);
    if (known !== undefined) return known;
    const text = this.#select.get(revision)?.["events"];
    if (typeof text !== "string") return undefined;
    const events = (JSON.parse(text) as StoredEvent[]).map((event) => decode(event, revision));
    const batch = { revision, events, sizeBytes: text.length };
    this.#remember(batch);
    return batch;
  }

  /** Within a transaction: forgets all rows below `revision`. */
  compact(state: State, revision: number): void {
    if (revision <= state.first_revision) return;
    state.history_bytes -= Number(this.#sumBelow.get(revision)?.["size"]);
    this.#deleteBelow.run(revision);
    state.first_revision = revision;
    for (const known of this.#tail.keys()) if (known < revision) this.#forget(known);
  }

  /** Within a transaction: drops some of what is beyond the limits. */
  trim(state: State): void {
    const held = state.revision - state.first_revision + 1;
    const tooMany = held > this.#limits.revisionsMax || state.history_bytes > this.#limits.bytesMax;
    const spare = Math.min(held - Math.min(revisionsMin, this.#limits.revisionsMax), trimRowsMax);
    if (!tooMany || spare <= 0) return;
    const excess = held - this.#limits.revisionsMax;
    this.compact(state, state.first_revision + (excess > 0 ? Math.min(spare, excess) : Math.min(spare, 50)));
  }

  #remember(batch: StoredBatch): void {
    this.#tail.set(batch.revision, batch);
    this.#tailBytes += batch.sizeBytes;
    for (const oldest of this.#tail.keys()) {
      if (this.#tail.size <= tailBatchesMax && this.#tailBytes <= tailBytesMax) return;
      this.#forget(oldest);
    }
  }

  #forget(revision: number): void {
    this.#tailBytes -= this.#tail.get(revision)?.sizeBytes ?? 0;
    this.#tail.delete(revision);
  }
}
