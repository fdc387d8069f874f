// Taking a log over: swap the epoch in its record, then bring what the epochs before left behind into one state.
//
//     record (owner, epoch + 1) ──► base: checkpoint or parent ──► closed epochs: replay ──► open epoch: recover, close it
//
// - The swap comes first: from then on the old owner's checkpoints are refused.
// - The open epoch's end is recorded before anything new is written; what was uploaded beyond it is never read.
// - Each step can be done again by the next claim after a crash.

import { AndironError } from "../../common/errors.ts";
import { nextTurn } from "../../common/turn.ts";
import type { Tx } from "../../registry/atomic.ts";
import { atomically } from "../../registry/atomic.ts";
import type { PoolContext } from "../engine-context.ts";
import type { Lineage } from "../format/page.ts";
import type { EncodedIndex } from "../format/segment.ts";
import type { RecoveredSegment } from "../journal/recovery.ts";
import { recoverEpoch } from "../journal/recovery.ts";
import { systemCodeOf } from "../local-disk.ts";
import { LocalFile } from "../local-file.ts";
import { BlockMap } from "../map/block-map.ts";
import type { Delta } from "../map/delta.ts";
import { PlaceCount, type PlaceSink } from "../map/sorted-places.ts";
import type { SegmentId } from "../names.ts";
import { journalFileName, parseJournalFileName } from "../names.ts";
import type { EpochRecord, LogPosition, LogRecord, RelocationRecord } from "../records.ts";
import { comparePositions, keys, parseRecord } from "../records.ts";
import { readIndex } from "../segments.ts";
import { applyIndex, openBase, readEpochs } from "../view.ts";
import type { LocalSegment } from "./local-segments.ts";

export interface ClaimedLog {
  readonly record: LogRecord;
  readonly map: BlockMap;
  readonly lineage: Lineage;
  readonly sequence: number;
  /** Sealed segments that are in the journal directory, to be uploaded. */
  readonly locals: readonly LocalSegment[];
}

/** Rejects with owner_unreachable while a living router owns the log, journal_damaged when its tail is not to be had. */
export async function claimLog(context: PoolContext, logId: string): Promise<ClaimedLog> {
  // What is claimed after the lease was lost would miss the letting go: it waits for the next lease.
  context.assertLease();
  const { value: record } = await atomically(context.registry, context, (tx) => swapOwner(context, tx, logId));
  const base = await openBase(context, record, record.checkpoint);
  const recovery = new LogRecovery(context, record, base.delta, base.sequence);
  try {
    await recovery.run();
  } catch (error) {
    recovery.discard();
    throw error;
  }
  const sequence = recovery.sequence;
  return {
    record: { ...record, sequence },
    map: new BlockMap(base.tree, base.delta),
    lineage: base.lineage,
    sequence,
    locals: recovery.locals,
  };
}

async function swapOwner(context: PoolContext, tx: Tx, logId: string): Promise<LogRecord> {
  const key = keys.log(logId);
  const text = await tx.get(key);
  if (text === undefined) throw new AndironError("vdisk_not_found", `log ${logId} does not exist`);
  const record = parseRecord<LogRecord>(key, text);
  if (record.owner !== null && record.owner !== context.router && (await tx.get(keys.router(record.owner))) !== undefined) {
    throw new AndironError("owner_unreachable", `log ${logId} is owned by router ${record.owner}, which is alive`);
  }
  await refuseForeignTail(context, record);
  if (record.parentPending) throw new AndironError("vdisk_busy", `log ${logId} waits for the cut that it starts from`);
  const claimed: LogRecord = { ...record, owner: context.router, epoch: record.epoch + 1 };
  tx.put(key, JSON.stringify(claimed));
  return claimed;
}

/** A tail that only another journal directory has is left to the router that has it: taking the log would lock it out. */
async function refuseForeignTail(context: PoolContext, record: LogRecord): Promise<void> {
  const newest = (await readEpochs(context.registry, record.id)).at(-1);
  if (record.owner === null || newest === undefined || newest.last !== undefined || newest.journal === context.journalId) return;
  const message = `the tail of log ${record.id} is in journal directory ${newest.journal}, not in this one`;
  const hint = "start the router whose journal_path that is";
  throw new AndironError(record.owner === context.router ? "journal_damaged" : "owner_unreachable", message, { hint });
}

/** The record of a log that is ours at `epoch`; throws owner_changed when it is not any more. */
export async function readOwned(context: PoolContext, tx: Tx, logId: string, epoch: number): Promise<LogRecord> {
  const key = keys.log(logId);
  const text = await tx.get(key);
  const record = text === undefined ? undefined : parseRecord<LogRecord>(key, text);
  if (record === undefined || record.owner !== context.router || record.epoch !== epoch) {
    throw new AndironError("owner_changed", `log ${logId} is not owned by this router at epoch ${epoch} any more`);
  }
  return record;
}

class LogRecovery {
  readonly locals: LocalSegment[] = [];
  sequence: number;
  readonly #context: PoolContext;
  readonly #record: LogRecord;
  readonly #delta: Delta;

  constructor(context: PoolContext, record: LogRecord, delta: Delta, sequence: number) {
    this.#context = context;
    this.#record = record;
    this.#delta = delta;
    this.sequence = sequence;
  }

  async run(): Promise<void> {
    const log = this.#record.id;
    const next = this.#record.checkpoint?.next;
    const epochs = await readEpochs(this.#context.registry, log);
    for (const epoch of epochs) {
      if (next !== undefined && epoch.epoch < next.epoch) continue;
      const first = next?.epoch === epoch.epoch ? next.number : 1;
      if (epoch.last === undefined) await this.#recoverOpen(epoch, first);
      else await this.#replayClosed(epoch, first, epoch.last);
    }
    await this.#removeLeftovers(epochs, next);
  }

  discard(): void {
    for (const local of this.locals) {
      this.#context.segments.setLocal(local.handle, undefined);
      local.file.close();
    }
  }

  async #replayClosed(epoch: EpochRecord, first: number, last: number): Promise<void> {
    for (let number = first; number <= last; number++) {
      const segment: SegmentId = { log: this.#record.id, epoch: epoch.epoch, number };
      const path = `${this.#context.journalDirectory}/${journalFileName(segment)}`;
      const local = await this.#openLocal(segment, path);
      if (local === undefined) await this.#replayRemote(segment);
      else {
        this.#adopt(local.segment);
        applyIndex(this.#delta, local.index, local.segment.handle, local.segment.lastSequence);
      }
    }
    if (epoch.lastSequence !== undefined && this.sequence < epoch.lastSequence) this.sequence = epoch.lastSequence;
  }

  async #replayRemote(segment: SegmentId): Promise<void> {
    const index = await this.#context.segments.loadIndex(segment);
    if (index === undefined) {
      throw new AndironError(
        "segment_damaged",
        `segment ${segment.epoch}-${segment.number} of log ${segment.log} is missing from the backend`,
      );
    }
    this.#follow(segment, index.header.firstSequence);
    applyIndex(this.#delta, index.encoded, this.#context.segments.handleOf(segment), index.footer.lastSequence);
    this.sequence = index.footer.lastSequence;
  }

  async #recoverOpen(epoch: EpochRecord, first: number): Promise<void> {
    const { context, log } = { context: this.#context, log: this.#record.id };
    if (epoch.journal !== context.journalId) {
      throw new AndironError(
        "journal_damaged",
        `the tail of log ${log} is in journal directory ${epoch.journal}, not in this one`,
        {
          hint: "start the router whose journal_path that is",
        },
      );
    }
    const options = {
      disk: context.disk,
      directory: context.journalDirectory,
      log,
      epoch: epoch.epoch,
      first,
      sequence: this.sequence,
    };
    const recovered = await recoverEpoch(options);
    if (recovered.last < first && recovered.leftovers.length === 0) {
      throw new AndironError(
        "journal_damaged",
        `the journal of log ${log}, epoch ${epoch.epoch}, is missing from ${context.journalDirectory}`,
        {
          hint: "acknowledged writes were in it: restore the directory",
        },
      );
    }
    for (const path of recovered.setAside) context.log.warning(`set aside ${path}: it lies behind a torn journal file`);
    for (const segment of recovered.segments) this.#adopt(this.#openRecovered(segment));
    await this.#applyAll(recovered.segments);
    await this.#recordRelocations(recovered.segments);
    await this.#recordEnd(epoch, recovered.last, recovered.lastSequence);
    this.sequence = recovered.lastSequence;
    for (const path of recovered.leftovers) await context.disk.unlink(path);
  }

  #openRecovered({ segment, path, generation, index, bytes, lastSequence }: RecoveredSegment): LocalSegment {
    const file = this.#openFile(path);
    if (file === undefined) throw new AndironError("journal_damaged", `${path} vanished during recovery`);
    return this.#localSegment(segment, file, generation, index, bytes, lastSequence);
  }

  async #openLocal(
    segment: SegmentId,
    path: string,
  ): Promise<{ readonly segment: LocalSegment; readonly index: EncodedIndex } | undefined> {
    const file = this.#openFile(path);
    if (file === undefined) return undefined;
    try {
      const bytes = file.length();
      const { header, footer, encoded } = await readIndex(path, bytes, 0, (offset, target) => file.read(offset, target));
      const local = this.#localSegment(segment, file, header.generation, encoded, bytes, footer.lastSequence);
      return { segment: local, index: encoded };
    } catch (error) {
      file.close();
      throw error;
    }
  }

  #openFile(path: string): LocalFile | undefined {
    try {
      return new LocalFile(this.#context.disk, path, "existing");
    } catch (error) {
      if (systemCodeOf(error) === "ENOENT") return undefined;
      throw new AndironError("journal_damaged", `cannot open ${path}`, { cause: error });
    }
  }

  #localSegment(
    segment: SegmentId,
    file: LocalFile,
    generation: number,
    index: EncodedIndex,
    bytes: number,
    lastSequence: number,
  ): LocalSegment {
    return {
      segment,
      handle: this.#context.segments.handleOf(segment),
      generation,
      file,
      bytes,
      firstSequence: index.firstSequence,
      lastSequence,
    };
  }

  #adopt(local: LocalSegment): void {
    this.#follow(local.segment, local.firstSequence);
    this.#context.segments.setLocal(local.handle, local.file);
    if (local.generation > 0) this.#context.segments.setGeneration(local.segment, local.generation);
    this.sequence = local.lastSequence;
    this.locals.push(local);
  }

  /** A full journal has a million places: sorted, if that can be. */
  async #applyAll(segments: readonly RecoveredSegment[]): Promise<void> {
    const count = new PlaceCount();
    await this.#applyTo(count, segments);
    if (count.hasRanges || !this.#delta.isEmpty) return this.#applyTo(this.#delta, segments);
    const places = count.sorted();
    await this.#applyTo(places, segments);
    await places.into(this.#delta);
  }

  async #applyTo(sink: PlaceSink, segments: readonly RecoveredSegment[]): Promise<void> {
    for (const { segment, index, lastSequence } of segments) {
      await nextTurn();
      applyIndex(sink, index, this.#context.segments.handleOf(segment), lastSequence);
    }
  }

  #follow(segment: SegmentId, firstSequence: number): void {
    if (firstSequence === this.sequence + 1) return;
    const where = `segment ${segment.epoch}-${segment.number} of log ${segment.log}`;
    throw new AndironError(
      "journal_damaged",
      `${where} begins at record ${firstSequence}, the one before ends at ${this.sequence}`,
    );
  }

  /** Copies made by recovery are new generations: the names of the old ones are never used for other bytes. */
  async #recordRelocations(segments: readonly RecoveredSegment[]): Promise<void> {
    const copied = segments.filter((segment) => segment.generation > 0);
    const step = 20;
    for (let at = 0; at < copied.length; at += step) {
      await atomically(this.#context.registry, this.#context, async (tx) => {
        await readOwned(this.#context, tx, this.#record.id, this.#record.epoch);
        for (const { segment, generation } of copied.slice(at, at + step)) {
          const relocation: RelocationRecord = { v: 1, generation, reserved: generation };
          tx.put(keys.relocation(segment), JSON.stringify(relocation));
        }
      });
    }
  }

  async #recordEnd(epoch: EpochRecord, last: number, lastSequence: number): Promise<void> {
    await atomically(this.#context.registry, this.#context, async (tx) => {
      const record = await readOwned(this.#context, tx, this.#record.id, this.#record.epoch);
      const ended: EpochRecord = { ...epoch, last, lastSequence };
      tx.put(keys.epoch(record.id, epoch.epoch), JSON.stringify(ended));
      tx.put(keys.log(record.id), JSON.stringify({ ...record, sequence: lastSequence } satisfies LogRecord));
    });
  }

  /** Files that a checkpoint covers, or of epochs that were never recorded as begun. */
  async #removeLeftovers(epochs: readonly EpochRecord[], next: LogPosition | undefined): Promise<void> {
    const folder = `${this.#context.journalDirectory}/${this.#record.id}`;
    const kept = new Set(this.locals.map((local) => local.file.path));
    for (const name of await this.#context.disk.list(folder).catch((): string[] => [])) {
      const segment = parseJournalFileName(this.#record.id, name);
      const path = `${folder}/${name}`;
      if (segment === undefined || kept.has(path)) continue;
      const unknown = !epochs.some((epoch) => epoch.epoch === segment.epoch);
      const covered = next !== undefined && comparePositions(segment, next) < 0;
      if (unknown || covered) await this.#context.disk.unlink(path);
    }
  }
}
