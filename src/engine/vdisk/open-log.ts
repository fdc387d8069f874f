// A log that this router owns, opened for reading and writing.
//
//     open ──write──► (first write: journal begun, epoch recorded) ──► writing ──┬─ drain ──► released
//                                                                               └─ abandon: owner or disk lost, files stay
//     beside it: sealed ► uploaded; delta frozen at a segment boundary ► folded ► committed ► local files released
//
// The order of the last line is the durability argument (docs/design/0002-log-engine.md, "The life of a write"): a checkpoint
// is committed only when all segments before its position are on the backend, and only then are local files let go.

import { AndironError } from "../../common/errors.ts";
import { atomically } from "../../registry/atomic.ts";
import type { GuestWork, PoolContext } from "../engine-context.ts";
import type { Lineage } from "../format/page.ts";
import { recordKinds } from "../format/segment.ts";
import type { Append, JournalFile, Placed, StagedAppend } from "../journal/journal-file.ts";
import { journalError } from "../journal/journal-file.ts";
import type { BatchPlaced } from "../journal/journal.ts";
import { Journal } from "../journal/journal.ts";
import { markPoisoned } from "../journal/recovery.ts";
import { clusterBytes, engineLimits } from "../limits.ts";
import type { BlockMap } from "../map/block-map.ts";
import { zeroHandle } from "../map/delta.ts";
import type { SegmentId } from "../names.ts";
import type { EpochRecord, LogRecord } from "../records.ts";
import { comparePositions, keys } from "../records.ts";
import type { SegmentEntries } from "../view.ts";
import { Checkpointer } from "./checkpointer.ts";
import { claimLog, readOwned } from "./claim.ts";
import { LocalSegments } from "./local-segments.ts";
import { Reader } from "./reader.ts";
import { WriteQueue } from "./write-queue.ts";

export class OpenLog {
  readonly id: string;
  readonly epoch: number;
  readonly map: BlockMap;
  readonly lineage: Lineage;
  readonly locals: LocalSegments;
  readonly reader: Reader;
  readonly guests: GuestWork;
  readonly queue: WriteQueue;
  readonly checkpointer: Checkpointer;
  /** Told of clusters that are written or zeroed, when they are in the map and before that is acknowledged. */
  onApplied: ((firstCluster: number, clusterCount: number) => void) | undefined;
  /** The log that is the disk's now: this one serves no request any more. */
  movedTo: OpenLog | undefined;
  readonly #context: PoolContext;
  readonly #startSequence: number;
  #journal: Journal | undefined;
  #beginning: Promise<Journal> | undefined;
  /** Why nothing can be written any more. */
  #failure: AndironError | undefined;
  #closing = false;
  /** What the last flush waited for, and what its like are answered by. */
  #flushing: { readonly syncing: Promise<void>; readonly flushed: Promise<void> } | undefined;

  private constructor(context: PoolContext, claimed: Awaited<ReturnType<typeof claimLog>>) {
    this.#context = context;
    this.id = claimed.record.id;
    this.epoch = claimed.record.epoch;
    this.map = claimed.map;
    this.lineage = claimed.lineage;
    this.#startSequence = claimed.sequence;
    this.locals = new LocalSegments(context);
    this.guests = context.guests;
    this.reader = new Reader(this.map, context.segments, context.cache, context.ahead);
    this.queue = new WriteQueue({
      soon: (run) => void setImmediate(run),
      beforeBatch: () => this.#beforeBatch(),
      stage: (appends) => (this.movedTo === undefined ? this.#journal?.stage(appends) : undefined),
      append: (appends, staged) => this.#append(appends, staged),
      apply: (appends, file, placed) => this.#apply(appends, file, placed),
      flush: () => this.flush(),
      readClusters: async (first, target) => this.reader.read(first * clusterBytes, target),
      assertOwned: () => this.assertOwned(),
    });
    for (const local of claimed.locals) this.locals.add(local);
    this.checkpointer = new Checkpointer(context, this, claimed.record);
    // What was recovered may fill the journal's budget that others wait for, while nobody writes here.
    this.checkpointer.wrote();
  }

  /** Claims the log and recovers what it finds. */
  static async open(context: PoolContext, logId: string): Promise<OpenLog> {
    return new OpenLog(context, await claimLog(context, logId));
  }

  get sequence(): number {
    return this.#journal?.sequence ?? this.#startSequence;
  }

  get journal(): Journal | undefined {
    return this.#journal;
  }

  get failure(): AndironError | undefined {
    return this.#failure ?? this.#journal?.poison;
  }

  /** Throws unless what was just done may be answered for. */
  assertOwned(): void {
    if (this.#failure !== undefined) throw this.#failure;
    this.#context.assertLease();
  }

  /** Resolves when everything acknowledged before survives power loss. Those that wait for one sync get one promise. */
  flush(): Promise<void> {
    const journal = this.#journal;
    const syncing = this.#failure === undefined ? journal?.flush() : undefined;
    if (syncing === undefined) return this.#ownedNow();
    if (this.#flushing?.syncing !== syncing) {
      const flushed = syncing.then(
        () => this.assertOwned(),
        async (error: unknown) => {
          if (journal!.poison !== undefined) await this.#poisoned(journal!.poison);
          throw error;
        },
      );
      this.#flushing = { syncing, flushed };
    }
    return this.#flushing.flushed;
  }

  /** Entries of a segment of the open epoch, or of one that is still local. */
  async liveSegment(segment: SegmentId): Promise<SegmentEntries | undefined> {
    const isIt = (file: JournalFile): boolean => comparePositions(file.segment, segment) === 0;
    return this.#journal?.liveFiles().find(isIt) ?? (await this.locals.find(segment));
  }

  /**
   * Finishes what is queued, makes a last checkpoint and gives the log back. `beforeRelease` may refuse (return false) when
   * there is new work; then the log stays open. Rejects when the log was lost.
   */
  async drain(beforeRelease: () => Promise<boolean>): Promise<boolean> {
    await this.queue.drained();
    if (this.failure !== undefined) throw this.failure;
    await this.checkpointer.makeFinal();
    if (!(await beforeRelease())) return false;
    this.#closing = true;
    await this.queue.drained();
    const last = await this.#journal?.close();
    await this.checkpointer.release(last);
    await this.#journal?.discardEmpty();
    return true;
  }

  /** Gives up at once: what is journaled stays on the local disk for the next claim. */
  async abandon(reason: AndironError): Promise<void> {
    const poison = this.#journal?.poison;
    if (poison?.code === "journal_poisoned") await this.#poisoned(poison);
    this.#failure ??= reason;
    this.checkpointer.stop();
    await this.#beginning?.catch(() => undefined);
    await this.#journal?.abandon();
    this.locals.abandon();
  }

  #beforeBatch(): Promise<void> | undefined {
    const isFree = !this.#context.budget.isUnderPressure && !deltaIsFull(this.map) && !this.checkpointer.mayFreeze;
    return isFree && !this.#closing && this.failure === undefined ? undefined : this.#roomForBatch();
  }

  async #roomForBatch(): Promise<void> {
    if (this.failure !== undefined) throw this.failure;
    if (this.#closing) throw new AndironError("shutting_down", "the disk is being closed");
    await this.checkpointer.freezeIfWanted();
    await this.#journalRoom();
    await this.checkpointer.deltaRoom();
  }

  /** What frees the journal is a checkpoint, and only this loop can begin one of this log: it must not just wait. */
  async #journalRoom(): Promise<void> {
    const { budget } = this.#context;
    while (budget.isFullFor(this.locals)) {
      await this.checkpointer.freezeForRoom();
      if (this.failure !== undefined) throw this.failure;
      if (budget.isFullFor(this.locals)) await budget.given();
    }
    await budget.slowDown(this.locals);
  }

  #append(appends: readonly Append[], staged?: StagedAppend): BatchPlaced | Promise<BatchPlaced> {
    const journal = this.#journal;
    if (journal === undefined || this.movedTo !== undefined) return this.#appendFirst(appends);
    try {
      const placed = journal.append(appends, staged);
      return placed instanceof Promise ? placed.catch((error: unknown) => this.#appendFailed(journal, error)) : placed;
    } catch (error) {
      return this.#appendFailed(journal, error);
    }
  }

  async #appendFirst(appends: readonly Append[]): Promise<BatchPlaced> {
    // It would be acknowledged, and nowhere.
    if (this.movedTo !== undefined) throw new AndironError("owner_changed", `the disk of log ${this.id} has another log by now`);
    await this.#begin();
    return this.#append(appends);
  }

  async #appendFailed(journal: Journal, error: unknown): Promise<never> {
    if (journal.poison !== undefined) await this.#poisoned(journal.poison);
    throw error;
  }

  #apply(appends: readonly Append[], { handle }: JournalFile, { payloadOffsets, crcs }: Placed): void {
    const { cache } = this.#context;
    const map = this.map.active;
    let crcAt = 0;
    for (let i = 0; i < appends.length; i++) {
      const { kind, firstCluster, clusterCount, data } = appends[i]!;
      this.onApplied?.(firstCluster, clusterCount);
      if (kind === recordKinds.zero) {
        map.zero(firstCluster, clusterCount, this.#died);
        continue;
      }
      const payloadOffset = payloadOffsets[i]!;
      const isCached = clusterCount <= engineLimits.cachedWriteClustersMax;
      for (let c = 0; c < clusterCount; c++) {
        const offset = payloadOffset + c * clusterBytes;
        const crc = crcs[crcAt++]!;
        const replaced = map.put(firstCluster + c, handle, offset, crc);
        if (replaced !== 0) this.#died(replaced);
        if (isCached) cache.add(handle, offset, data!, c * clusterBytes, crc);
      }
    }
    this.checkpointer.wrote();
  }

  /** What the cleaner is told when an entry of the delta was replaced. */
  readonly #died = (replaced: number): void => {
    if (replaced !== zeroHandle) this.#context.hints.died(replaced);
  };

  async #ownedNow(): Promise<void> {
    this.assertOwned();
  }

  #begin(): Promise<Journal> {
    this.#beginning ??= this.#beginEpoch().catch((error: unknown) => {
      this.#beginning = undefined;
      throw error;
    });
    return this.#beginning;
  }

  /** The first journal file exists before the epoch is recorded, and the epoch is recorded before a write is acknowledged. */
  async #beginEpoch(): Promise<Journal> {
    const { disk, journalDirectory, journalId, registry } = this.#context;
    const journal = new Journal({
      disk,
      directory: journalDirectory,
      log: this.id,
      epoch: this.epoch,
      sequence: this.#startSequence,
      segmentBytes: this.#context.settings.segmentBytes,
      handles: this.#context.segments,
      clock: this.#context.clock,
      random: this.#context.random,
      counts: this.#context.journalCounts,
      onCreated: (file) => this.#context.segments.setLocal(file.handle, file.file),
      onFull: (file) => this.locals.full(file.handle, file.length),
      onSealed: (file) => this.#sealed(file),
      onDiscarded: (file) => this.#context.segments.setLocal(file.handle, undefined),
    });
    try {
      await disk.makeDirectory(`${journalDirectory}/${this.id}`);
      await disk.syncDirectory(journalDirectory);
      await journal.begin();
    } catch (error) {
      // Nothing is recorded: the next write begins again, when there is room perhaps.
      await journal.discardBegun().catch(() => undefined);
      throw journalError(error, `cannot begin a journal in ${journalDirectory}`);
    }
    try {
      await atomically(registry, this.#context, async (tx) => {
        const record = await readOwned(this.#context, tx, this.id, this.epoch);
        const epoch: EpochRecord = { v: 1, epoch: this.epoch, journal: journalId };
        tx.put(keys.epoch(this.id, this.epoch), JSON.stringify(epoch));
        tx.put(keys.log(this.id), JSON.stringify(record satisfies LogRecord));
      });
    } catch (error) {
      // It may or may not be recorded: only a new claim can tell.
      this.#failure ??=
        error instanceof AndironError ? error : new AndironError("internal", "cannot begin an epoch", { cause: error });
      await journal.abandon();
      throw error;
    }
    this.#journal = journal;
    return journal;
  }

  #sealed(file: JournalFile): void {
    const { segment, handle, firstSequence, lastSequence, length } = file;
    this.#context.hints.made(handle, file.dataClusters);
    this.locals.add({
      segment,
      handle,
      generation: 0,
      file: file.file,
      bytes: length,
      firstSequence,
      lastSequence,
    });
    this.checkpointer.wrote();
  }

  async #poisoned(poison: AndironError): Promise<void> {
    if (this.#failure !== undefined) return;
    this.#failure = poison;
    this.#context.log.error(`the journal of log ${this.id} is poisoned: the disk answers with errors until it is opened anew`, {
      error: poison,
    });
    await markPoisoned(this.#context.disk, this.#context.journalDirectory, this.id).catch((error: unknown) => {
      this.#context.log.error(`cannot leave a mark of that in ${this.#context.journalDirectory}`, { error });
    });
  }
}

/** Deltas up to this many entries never make a writer wait. */
export const deltaIsFull = (map: BlockMap): boolean =>
  map.active.entryCount >= engineLimits.deltaEntriesMax || map.active.rangeCount >= engineLimits.deltaHolesMax;
