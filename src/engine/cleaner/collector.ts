// Deleting objects that nobody refers to: always from a retired record, always later than that.
//
//     map objects no checkpoint reaches ─┐
//     orphans of crashes ────────────────┼─► retired record ──seen for the grace period──► object deleted ──► record deleted
//     compacted or dropped segments ─────┘
//     dead log (no head, no cut, no owner, no wish) ──► marked dead, parent's cut freed ──► objects deleted ──► records deleted
//
// - The grace period runs on this process's own clock from when it first saw the record: longer than a lease and any read.
// - A listing only ever finds garbage; what must exist is known from records.
// - Records are of all pools, objects of this one alone: a record of another pool is left to that pool's cleaner.
// - A retired record that is damaged keeps its own object, one of a log those of the log. Others go on.
// - Orphans are judged only where the end is recorded: closed epochs, or below the committed checkpoint.

import { AndironError } from "../../common/errors.ts";
import { severalAtOnce } from "../../common/several.ts";
import { atomically } from "../../registry/atomic.ts";
import type { CleanerContext } from "../engine-context.ts";
import { engineLimits } from "../limits.ts";
import type { MapObjectId, ObjectId } from "../names.ts";
import { parseObjectName } from "../names.ts";
import { removeCut } from "../record-edits.ts";
import type { LogRecord, RelocationRecord, RetiredRecord } from "../records.ts";
import { comparePositions, keys, parseRecord } from "../records.ts";
import { retire } from "./compaction.ts";
import type { LogState } from "./log-state.ts";
import { assertHolds, readAll } from "./log-state.ts";
import { ReachedMaps } from "./reached-maps.ts";

const writesPerTransactionMax = 40;

export class Collector {
  readonly #context: CleanerContext;
  /** When this process first saw a retired record, or a name below no log: monotonic milliseconds. */
  readonly #seen = new Map<string, number>();
  /** Checkpoint and cuts for which the map objects of a log were last looked at. */
  readonly #mapsLookedAt = new Map<string, string>();
  /** Epoch and owner for which the segments of a log were last looked at. */
  readonly #segmentsLookedAt = new Map<string, string>();
  /** Retired records that cannot be read, or whose log's record cannot. */
  readonly #left = new Set<string>();
  #isDeleting = false;

  constructor(context: CleanerContext) {
    this.#context = context;
  }

  /** Deletes what has been retired in this pool for long enough; returns how many objects. Who comes meanwhile deletes none. */
  async deleteRetired(): Promise<number> {
    if (this.#isDeleting) return 0;
    this.#isDeleting = true;
    try {
      return await this.#deleteRetired();
    } finally {
      this.#isDeleting = false;
    }
  }

  async #deleteRetired(): Promise<number> {
    const due: { readonly key: string; readonly object: string }[] = [];
    const ours = new Map<string, boolean>();
    for (const { key, value } of await readAll(this.#context.registry, keys.retiredAll)) {
      try {
        const { object } = parseRecord<RetiredRecord>(key, value);
        if (parseObjectName(object) === undefined || key !== keys.retired(object))
          throw new AndironError("record_damaged", `record ${key} is not of the object that it names`);
        const log = object.split("/")[0]!;
        if (!ours.has(log)) {
          ours.set(log, false); // and not asked for again, if that cannot be known
          ours.set(log, await this.#isOurs(log));
        }
        if (ours.get(log) === true && this.#isOldEnough(key)) due.push({ key, object });
      } catch (error) {
        this.#leave(key, error);
      }
    }
    for (const part of inParts(due)) {
      await severalAtOnce(engineLimits.cleanerOperationsMax, part, ({ object }) => this.#context.backend.delete(object));
      await this.#context.registry.transact({ compares: [], success: part.map(({ key }) => ({ kind: "delete", key })) });
      for (const { key } of part) this.#seen.delete(key);
    }
    return due.length;
  }

  /** Retires map objects that no checkpoint in use reaches. Returns how many. */
  async retireUnreached(state: LogState): Promise<number> {
    const { record, cuts } = state;
    const mark = JSON.stringify([record.checkpoint, record.owner, cuts.map((cut) => cut.view.checkpoint?.sequence ?? 0)]);
    if (this.#mapsLookedAt.get(record.id) === mark) return 0;
    const reached = await ReachedMaps.of(this.#context, state);
    const garbage: string[] = [];
    for (const name of await this.#list(`${record.id}/m-`)) {
      const id = parseObjectName(name);
      if (id?.kind === "map" && this.#isGarbageMap(state, id.map, reached)) garbage.push(name);
    }
    await this.#retireAll(state, garbage);
    this.#mapsLookedAt.set(record.id, mark);
    return garbage.length;
  }

  /**
   * Retires segments of ended epochs, and generations, that no record explains: when an epoch may have ended, or if told to
   * `look`. Each segment of the log costs a look into the registry.
   */
  async retireOrphans(state: LogState, look: boolean): Promise<void> {
    const { record } = state;
    const mark = JSON.stringify([record.epoch, record.owner]);
    if (!look && this.#segmentsLookedAt.get(record.id) === mark) return;
    const garbage: string[] = [];
    for (const name of await this.#list(`${record.id}/s-`)) {
      const id = parseObjectName(name);
      if (id?.kind === "segment" && (await this.#isGarbageSegment(state, id))) garbage.push(name);
    }
    await this.#retireAll(state, garbage);
    this.#segmentsLookedAt.set(record.id, mark);
  }

  async #retireAll(state: LogState, names: readonly string[]): Promise<void> {
    for (const part of inParts(names)) {
      await atomically(this.#context.registry, this.#context, async (tx) => {
        await assertHolds(tx, state);
        for (const name of part) {
          if ((await tx.get(keys.retired(name))) === undefined) retire(tx, name, this.#context.clock.wallMs());
        }
      });
    }
  }

  /** A log that nobody can refer to: marks it, then deletes its objects and, once none is listed any more, its records. */
  async collectDead(state: LogState): Promise<boolean> {
    const { record, cuts, hasWishes } = state;
    if (record.vdisk !== null || record.owner !== null || cuts.length > 0 || hasWishes) return false;
    if (record.dead !== true) {
      await atomically(this.#context.registry, this.#context, async (tx) => {
        const now = await assertHolds(tx, state);
        tx.put(keys.log(record.id), JSON.stringify({ ...now, dead: true }));
        if (record.parent !== null) removeCut(tx, record.parent, record.id);
      });
      return true;
    }
    const key = keys.log(record.id);
    if (!this.#isOldEnough(key)) return true;
    const names = await this.#list(`${record.id}/`);
    for (const name of names) await this.#context.backend.delete(name);
    if (names.length === 0) {
      await this.#deleteRecords(record.id);
      this.#seen.delete(key);
      this.#mapsLookedAt.delete(record.id);
      this.#segmentsLookedAt.delete(record.id);
    }
    return true;
  }

  /** Deletes objects below names that are no log's (uploads that came after their log was gone). */
  async deleteStrays(logs: ReadonlySet<string>): Promise<number> {
    let deleted = 0;
    for (const name of await this.#list("")) {
      const log = name.split("/")[0]!;
      if (logs.has(log) || parseObjectName(name) === undefined) continue;
      if ((await this.#context.registry.get(keys.log(log))) !== undefined || !this.#isOldEnough(name)) continue;
      await this.#context.backend.delete(name);
      this.#seen.delete(name);
      deleted++;
    }
    return deleted;
  }

  /** Says once that a record is damaged. Throws what is no damage. */
  #leave(key: string, error: unknown): void {
    if (!(error instanceof AndironError) || error.code !== "record_damaged") throw error;
    if (this.#left.has(key)) return;
    this.#left.add(key);
    this.#context.log.warning(`what ${key} says is not deleted`, { error });
  }

  /** Of a log of this pool; or of one that is gone: its objects went before it, and any pool may forget the record. */
  async #isOurs(log: string): Promise<boolean> {
    const key = keys.log(log);
    const entry = await this.#context.registry.get(key);
    return entry === undefined || parseRecord<LogRecord>(key, entry.value).pool === this.#context.pool;
  }

  #isOldEnough(key: string): boolean {
    const now = this.#context.clock.monotonicMs();
    const seen = this.#seen.get(key);
    if (seen === undefined) this.#seen.set(key, now);
    return now - (seen ?? now) >= this.#context.settings.retiredGraceMs;
  }

  #isGarbageMap({ record }: LogState, map: MapObjectId, reached: ReachedMaps): boolean {
    if (reached.has(map)) return false;
    // Of the epoch that is writing only what lies below its checkpoint is certain to be finished.
    if (map.epoch < record.epoch || record.owner === null) return true;
    return record.checkpoint !== null && comparePositions(map, record.checkpoint) < 0;
  }

  async #isGarbageSegment({ record, epochs }: LogState, id: ObjectId & { readonly kind: "segment" }): Promise<boolean> {
    const { segment, generation } = id;
    const epoch = epochs.find((candidate) => candidate.epoch === segment.epoch);
    if (epoch === undefined) return segment.epoch < record.epoch;
    if (epoch.last !== undefined && segment.number > epoch.last) return true;
    if (segment.number < (epoch.first ?? 1)) return true;
    const entry = await this.#context.registry.get(keys.relocation(segment));
    if (entry === undefined) return generation > 0 && epoch.last !== undefined && record.owner === null;
    const relocation = parseRecord<RelocationRecord>(entry.key, entry.value);
    // A higher, reserved generation may be under way in another process: left until that one is done or dead.
    return generation < relocation.generation || relocation.dropped === true;
  }

  async #list(prefix: string): Promise<string[]> {
    const names: string[] = [];
    const limit = 1000;
    for (let after: string | undefined; ;) {
      const page = await this.#context.backend.list(prefix, after === undefined ? { limit } : { limit, after });
      names.push(...page);
      if (page.length < limit) return names;
      after = page.at(-1)!;
    }
  }

  async #deleteRecords(log: string): Promise<void> {
    const doomed = [
      ...(await readAll(this.#context.registry, keys.epochs(log))),
      ...(await readAll(this.#context.registry, keys.relocations(log))),
    ];
    for (const part of inParts(doomed)) {
      await this.#context.registry.transact({ compares: [], success: part.map(({ key }) => ({ kind: "delete", key })) });
    }
    await this.#context.registry.transact({ compares: [], success: [{ kind: "delete", key: keys.log(log) }] });
  }
}

/** As many as one transaction writes. */
function* inParts<T>(all: readonly T[]): Generator<readonly T[]> {
  for (let at = 0; at < all.length; at += writesPerTransactionMax) yield all.slice(at, at + writesPerTransactionMax);
}
