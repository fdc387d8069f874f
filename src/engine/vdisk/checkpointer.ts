// Checkpoints of one open log: when, and the steps in their order.
//
//     idle ──wanted, in the write loop──► frozen at a segment boundary ──segments uploaded──► folding ──► committing ──► idle
//                                                 ▲                                              │ failed: again, with a pause
//                                                 └──────────────────────────────────────────────┘
//
// - Freezing happens between two batches of the write loop, so the boundary cuts no batch.
// - The commit asserts owner and epoch; owner_changed ends everything.
// - Names of map objects are never used twice, also when a fold is done again.

import { AndironError } from "../../common/errors.ts";
import { atomically } from "../../registry/atomic.ts";
import type { PoolContext } from "../engine-context.ts";
import type { FoldResult } from "../map/fold.ts";
import { fold } from "../map/fold.ts";
import type { Delta } from "../map/delta.ts";
import type { CheckpointRecord, EpochRecord, LogPosition, LogRecord } from "../records.ts";
import { keys, parseRecord } from "../records.ts";
import { readOwned } from "./claim.ts";
import type { OpenLog } from "./open-log.ts";
import { deltaIsFull } from "./open-log.ts";

const retryMsMin = 100;
const retryMsMax = 10_000;

interface Frozen {
  readonly delta: Delta;
  readonly sequence: number;
  readonly next: LogPosition;
}

export class Checkpointer {
  readonly #context: PoolContext;
  readonly #log: OpenLog;
  #checkpoint: CheckpointRecord | null;
  #mapNumber = 0;
  #wanted = false;
  /** A turn of the write loop is under way for it. */
  #asked = false;
  #running: Promise<void> | undefined;
  #stopped = false;
  readonly #unsubscribe: () => void;
  mapBytesWritten = 0;

  constructor(context: PoolContext, log: OpenLog, record: LogRecord) {
    this.#context = context;
    this.#log = log;
    this.#checkpoint = record.checkpoint;
    this.#unsubscribe = context.budget.onPressure(() => {
      if (log.locals.bytes > 0 && this.#running === undefined) this.request();
    });
  }

  get checkpoint(): CheckpointRecord | null {
    return this.#checkpoint;
  }

  /** A checkpoint soon, also when nobody writes. */
  request(): void {
    this.#wanted = true;
    if (this.#asked || this.#stopped) return;
    // Wanted alone does nothing while nobody writes: a turn of the write loop is needed.
    this.#asked = true;
    const done = (): void => {
      this.#asked = false;
    };
    this.#log.queue.barrier().then(done, done);
  }

  /** Tells that the log has grown. */
  wrote(): void {
    const { checkpointBytes, checkpointEntries } = this.#context.settings;
    const { bytes } = this.#log.locals;
    // Under pressure whatever was sealed while the last one ran is wanted gone, also when this disk is idle by now.
    const isMuch = bytes >= checkpointBytes || (bytes > 0 && this.#context.budget.isUnderPressure);
    if (isMuch || this.#log.map.active.entryCount >= checkpointEntries) this.request();
  }

  get mayFreeze(): boolean {
    return this.#wanted && !this.#log.map.isFrozen && !this.#stopped;
  }

  /** Called by the write loop between two batches. */
  async freezeIfWanted(): Promise<void> {
    if (!this.mayFreeze) return;
    this.#wanted = false;
    // A clone that wrote nothing may begin with a full delta, its source's: that one must go too.
    if (this.#log.sequence === (this.#checkpoint?.sequence ?? 0) && !deltaIsFull(this.#log.map)) return;
    const boundary = (await this.#log.journal?.rotate()) ?? { number: 1, sequence: this.#log.sequence };
    const next = { epoch: this.#log.epoch, number: boundary.number };
    const frozen = { delta: this.#log.map.freeze(), sequence: boundary.sequence, next };
    const running = this.#run(frozen).finally(() => {
      // The next one may have begun while this one deleted its files.
      if (this.#running === running) this.#running = undefined;
      this.wrote();
      if (this.#wanted) this.request();
      this.#context.budget.wake();
    });
    this.#running = running;
    running.catch(() => undefined);
  }

  /** Called by the write loop while it waits for the journal's budget. */
  async freezeForRoom(): Promise<void> {
    if (this.#log.locals.bytes > 0) this.#wanted = true;
    await this.freezeIfWanted();
  }

  /** Resolves when the active delta has room. */
  async deltaRoom(): Promise<void> {
    while (deltaIsFull(this.#log.map)) {
      if (this.#log.failure !== undefined) throw this.#log.failure;
      this.#wanted = true;
      await this.freezeIfWanted();
      if (deltaIsFull(this.#log.map)) await this.#running;
    }
  }

  /** Resolves when everything written before the call is in a committed checkpoint. */
  async makeFinal(): Promise<void> {
    await this.#running;
    if (this.#log.sequence === (this.#checkpoint?.sequence ?? 0)) return;
    this.#wanted = true;
    await this.#log.queue.barrier();
    await this.#running;
  }

  /** Gives the log back: its last segment has number `last` (undefined when this epoch wrote nothing). */
  async release(last: number | undefined): Promise<void> {
    const end: LogPosition = { epoch: this.#log.epoch, number: (last ?? 0) + 1 };
    await this.#log.locals.uploadedBefore(end);
    this.stop();
    await atomically(this.#context.registry, this.#context, async (tx) => {
      const record = await readOwned(this.#context, tx, this.#log.id, this.#log.epoch);
      const released: LogRecord = { ...record, owner: null, sequence: this.#log.sequence };
      tx.put(keys.log(record.id), JSON.stringify(released));
      if (last === undefined) return;
      const key = keys.epoch(record.id, this.#log.epoch);
      const text = await tx.get(key);
      if (text === undefined) throw new AndironError("record_damaged", `record ${key} is gone`);
      const epoch: EpochRecord = { ...parseRecord<EpochRecord>(key, text), last, lastSequence: this.#log.sequence };
      tx.put(key, JSON.stringify(epoch));
    });
    await this.#log.locals.release(end);
  }

  stop(): void {
    this.#stopped = true;
    this.#unsubscribe();
  }

  async #run(frozen: Frozen): Promise<void> {
    for (let delayMs = retryMsMin; ; delayMs = Math.min(delayMs * 2, retryMsMax)) {
      try {
        await this.#log.journal?.sealed();
        await this.#log.locals.uploadedBefore(frozen.next);
        const died = new Map<number, number>();
        const result = await this.#fold(frozen, died);
        if (this.#stopped) throw new AndironError("owner_changed", `log ${this.#log.id} was given up during a checkpoint`);
        await this.#commit(frozen, result, died);
        return;
      } catch (error) {
        if (this.#stopped) throw error;
        if (error instanceof AndironError && (error.kind === "fenced" || error.code === "journal_poisoned")) {
          await this.#log.abandon(error);
          throw error;
        }
        this.#context.log.warning(`checkpoint of log ${this.#log.id} failed, trying again in ${delayMs} ms`, { error });
      }
      await this.#context.clock.sleep(delayMs);
    }
  }

  #fold(frozen: Frozen, died: Map<number, number>): Promise<FoldResult> {
    return fold({
      backend: this.#context.backend,
      pages: this.#context.pages,
      old: this.#log.map.tree,
      delta: frozen.delta,
      lineage: this.#log.lineage,
      sequence: frozen.sequence,
      log: this.#log.id,
      epoch: this.#log.epoch,
      onReplaced: (handle) => died.set(handle, (died.get(handle) ?? 0) + 1),
      takeNumber: () => ++this.#mapNumber,
    });
  }

  async #commit(frozen: Frozen, result: FoldResult, died: ReadonlyMap<number, number>): Promise<void> {
    const { epoch, number } = result.checkpoint;
    const checkpoint: CheckpointRecord = {
      epoch,
      number,
      bytes: result.checkpointBytes,
      sequence: frozen.sequence,
      next: frozen.next,
    };
    await atomically(this.#context.registry, this.#context, async (tx) => {
      const record = await readOwned(this.#context, tx, this.#log.id, this.#log.epoch);
      tx.put(keys.log(record.id), JSON.stringify({ ...record, checkpoint } satisfies LogRecord));
    });
    // Not before: the cleaner judges by what is committed.
    for (const [handle, count] of died) this.#context.hints.died(handle, count);
    this.#checkpoint = checkpoint;
    this.mapBytesWritten += result.bytesWritten;
    this.#log.map.replaceTree(result.tree);
    if (frozen.delta.rangeCount > 0) this.#context.hints.rescan(this.#log.id);
    await this.#log.locals.release(frozen.next);
  }
}
