// The journal of one open log: what is acknowledged is in its files, what is flushed is on their disk.
//
//     append ──► current file ──full──► sealing (index, footer, fdatasync) ──► onSealed: upload, checkpoint, let go
//                     ▲                                    │
//              prepared file (empty, its name on disk) ◄───┘ the next is made
//
// - Appends go one after the other, and the next may be put together meanwhile. Syncs run beside them and are shared by all who
//   wait: so is the promise that they wait for.
// - The next file's name is on disk before the present one gets its footer: a missing file is never mistaken for the end.
// - While flushes come often, or appends are small, the current file is filled ahead: they need not wait for its length and its
//   blocks, nor make its pages one by one. While a flush comes after each append, its sync begins with the append.
// - A failed fdatasync poisons the journal: every later append and flush is refused, none is tried again on that file.
// - flushedSequence only ever names what a finished fdatasync of every file up to it has covered.

import { assert } from "../../common/assert.ts";
import type { Clock, Timer } from "../../common/clock.ts";
import { AndironError } from "../../common/errors.ts";
import type { Random } from "../../common/random.ts";
import type { SegmentHandles } from "../format/page.ts";
import { recordKinds } from "../format/segment.ts";
import { MiB } from "../limits.ts";
import type { LocalDisk } from "../local-disk.ts";
import type { LocalFile } from "../local-file.ts";
import type { SegmentId } from "../names.ts";
import { journalFileName } from "../names.ts";
import type { JournalCounts } from "./journal-counts.ts";
import type { Append, Placed, StagedAppend } from "./journal-file.ts";
import { appendBytes, appendNowBytesMax, createLocalFile, JournalFile, journalError } from "./journal-file.ts";
import { SyncPace } from "./sync-pace.ts";

export interface JournalOptions {
  readonly disk: LocalDisk;
  /** The router's journal directory; the log's folder below it exists. */
  readonly directory: string;
  readonly log: string;
  readonly epoch: number;
  /** Last sequence of the log before this epoch's first record; everything up to it is on disk. */
  readonly sequence: number;
  readonly segmentBytes: number;
  readonly handles: SegmentHandles;
  readonly clock: Clock;
  readonly random: Random;
  readonly counts: JournalCounts;
  /** A file takes no more records; it will be sealed, unless the journal is given up. */
  readonly onFull: (file: JournalFile) => void;
  /** A file became a segment: sealed and synced. In order. */
  readonly onSealed: (sealed: JournalFile) => void;
  readonly onCreated: (file: JournalFile) => void;
  /** A file that was never sealed is let go of. */
  readonly onDiscarded: (file: JournalFile) => void;
}

/** Unsynced bytes beyond this start a sync early, so that a flush or a stalling kernel never finds much to write. */
const earlySyncBytes = 8 * MiB;
/** A flush followed by this much silence is recorded by a mark. */
const markDelayMs = 50;
/** How often a full disk is tried again. */
const sealRetryMs = 1000;

export interface BatchPlaced {
  readonly file: JournalFile;
  readonly placed: Placed;
}

const bytesOf = (appends: readonly Append[]): number => appends.reduce((sum, append) => sum + appendBytes(append), 0);

export class Journal {
  readonly #options: JournalOptions;
  #current: JournalFile | undefined;
  #prepared: Promise<{ file: LocalFile; segment: SegmentId }> | undefined;
  #nextNumber = 1;
  /** Files that are full but not yet sealed, oldest first. */
  readonly #sealing: JournalFile[] = [];
  #sealChain: Promise<void> = Promise.resolve();
  #sequence: number;
  #flushedSequence: number;
  #markedSequence = 0;
  #markTimer: Timer | undefined;
  /** The sync under way, and up to where everything was appended before it began. */
  #syncing: { readonly sequence: number; readonly done: Promise<void> } | undefined;
  /** The sync after that, and up to where it has to reach. */
  #nextSync: Promise<void> | undefined;
  #nextSequence = 0;
  readonly #pace = new SyncPace();
  #poison: AndironError | undefined;
  /** The end of the last append or rotation, while it is under way. */
  #appending: Promise<void> | undefined;
  #closed = false;

  constructor(options: JournalOptions) {
    this.#options = options;
    this.#sequence = options.sequence;
    this.#flushedSequence = options.sequence;
  }

  get sequence(): number {
    return this.#sequence;
  }

  get flushedSequence(): number {
    return this.#flushedSequence;
  }

  get currentNumber(): number {
    return this.#current?.segment.number ?? this.#nextNumber;
  }

  get poison(): AndironError | undefined {
    return this.#poison;
  }

  /** Makes the first file, so that the epoch can be recorded as begun. */
  async begin(): Promise<void> {
    assert(this.#current === undefined, "a journal begins once");
    await this.#takePrepared();
  }

  /** Puts an append together behind the one that is under way, if it is to go into the same file. */
  stage(appends: readonly Append[]): StagedAppend | undefined {
    const current = this.#current;
    if (this.#poison !== undefined || this.#closed || current === undefined) return undefined;
    if (current.nextLength + bytesOf(appends) > this.#options.segmentBytes) return undefined;
    return current.stage(appends, this.#flushedSequence);
  }

  /**
   * Appends in order, all or nothing: within the call when the append is small and nothing is waited for, and then throws where
   * it would reject. That is with journal_full (nothing changed) or journal_poisoned.
   */
  append(appends: readonly Append[], staged?: StagedAppend): BatchPlaced | Promise<BatchPlaced> {
    const bytes = bytesOf(appends);
    if (this.#appending === undefined && bytes <= appendNowBytesMax && this.#hasRoom(bytes)) {
      try {
        return this.#appendNow(this.#current!, appends, bytes);
      } catch (error) {
        throw this.#noted(error);
      }
    }
    return this.#afterAppends(() => this.#appendLater(appends, bytes, staged));
  }

  /** Resolves when everything appended before the call is on disk; undefined when it is. One promise for all of one sync. */
  flush(): Promise<void> | undefined {
    this.#options.counts.flushes++;
    this.#pace.flushAsked();
    return this.#syncTo(this.#sequence);
  }

  /**
   * From now on appends go into a new file; the old one is sealed in the background (see sealed). Resolves with the number of
   * the file that comes next and the last sequence before it.
   */
  rotate(): Promise<{ readonly number: number; readonly sequence: number }> {
    return this.#afterAppends(async () => {
      if (this.#poison !== undefined) throw this.#poison;
      if (this.#current?.isEmpty === false) await this.#takePrepared();
      return { number: this.currentNumber, sequence: this.#sequence };
    });
  }

  /** Resolves when every file that was full or rotated away before the call is sealed; rejects when the journal is poisoned. */
  async sealed(): Promise<void> {
    await this.#sealChain;
    if (this.#poison !== undefined) throw this.#poison;
  }

  /**
   * Seals what there is as the last segment of the epoch. No append may come any more. Resolves with the last number, 0 for
   * none. Empty files stay until discardEmpty(): until the epoch is recorded as ended, a missing file would mean loss.
   */
  async close(): Promise<number> {
    this.#markTimer?.cancel();
    await this.#appending;
    this.#closed = true;
    if (this.#poison !== undefined) throw this.#poison;
    const current = this.#current;
    let last = this.currentNumber - 1;
    if (current !== undefined && !current.isEmpty) {
      this.#current = undefined;
      last = current.segment.number;
      this.#seal(current, true);
    }
    await this.sealed();
    return last;
  }

  /** After begin() failed: nothing of it stays, so that it can be done again. */
  async discardBegun(): Promise<void> {
    this.#closed = true;
    await this.discardEmpty();
  }

  /** After close(), when the end of the epoch is recorded. */
  async discardEmpty(): Promise<void> {
    assert(this.#closed, "empty files are discarded after close");
    // Taken at once: an abandon() that comes meanwhile must not let go of them a second time.
    const { current, preparing } = { current: this.#current, preparing: this.#prepared };
    this.#current = undefined;
    this.#prepared = undefined;
    if (current !== undefined) this.#options.onDiscarded(current);
    const prepared = await preparing?.catch(() => undefined);
    for (const file of [current?.file, prepared?.file]) {
      if (file === undefined) continue;
      file.close();
      await file.unlink();
    }
  }

  /** Files that are not sealed yet, oldest first. */
  liveFiles(): readonly JournalFile[] {
    return this.#current === undefined ? this.#sealing : [...this.#sealing, this.#current];
  }

  /** Lets go of the files as they are, without sealing: for a fenced or poisoned log. */
  async abandon(): Promise<void> {
    this.#markTimer?.cancel();
    await this.#appending;
    this.#closed = true;
    this.#poison ??= new AndironError("owner_changed", "this journal was given up");
    await this.#sealChain.catch(() => undefined);
    await this.#syncing?.done.catch(() => undefined);
    const { files, preparing } = { files: [...this.liveFiles()], preparing: this.#prepared };
    this.#sealing.length = 0;
    this.#current = undefined;
    this.#prepared = undefined;
    for (const file of files) {
      this.#options.onDiscarded(file);
      file.file.close();
    }
    await preparing?.then((prepared) => prepared.file.close()).catch(() => undefined);
  }

  /** In order; at once, within the call, when nothing is under way. */
  #afterAppends<T>(begin: () => Promise<T>): Promise<T> {
    const run = this.#appending === undefined ? begin() : this.#appending.then(begin);
    const ended = (): void => {
      if (this.#appending === end) this.#appending = undefined;
    };
    const end: Promise<void> = run.then(ended, ended);
    this.#appending = end;
    return run;
  }

  #appendNow(file: JournalFile, appends: readonly Append[], bytes: number): BatchPlaced {
    if (this.#poison !== undefined) throw this.#poison;
    assert(!this.#closed, "nothing is appended after close");
    return this.#appended(file, file.appendNow(appends, this.#flushedSequence), bytes);
  }

  async #appendLater(appends: readonly Append[], bytes: number, staged: StagedAppend | undefined): Promise<BatchPlaced> {
    try {
      if (this.#poison !== undefined) throw this.#poison;
      assert(!this.#closed, "nothing is appended after close");
      if (!this.#hasRoom(bytes)) await this.#takePrepared();
      const file = this.#current!;
      if (bytes <= appendNowBytesMax) return this.#appendNow(file, appends, bytes);
      return this.#appended(file, await file.append(appends, this.#flushedSequence, staged), bytes);
    } catch (error) {
      throw this.#noted(error);
    }
  }

  #hasRoom(bytes: number): boolean {
    const current = this.#current;
    return current !== undefined && (current.isEmpty || current.length + bytes <= this.#options.segmentBytes);
  }

  #appended(file: JournalFile, placed: Placed, bytes: number): BatchPlaced {
    this.#sequence = file.lastSequence;
    this.#pace.appended(bytes);
    const fillBytes = this.#pace.fillBytes(file.length - file.syncedLength);
    if (fillBytes > 0) this.#options.counts.filledBytes += file.fillAhead(fillBytes, this.#options.segmentBytes);
    const isEarly = this.#pace.isAfterEach || file.length - file.syncedLength > earlySyncBytes;
    if (isEarly && this.#syncing === undefined) {
      this.#syncTo(this.#sequence)?.catch(() => undefined);
    }
    return { file, placed };
  }

  /** An error of an append; one that poisons has done so when the next begins. */
  #noted(error: unknown): unknown {
    if (error instanceof AndironError && error.code === "journal_poisoned") this.#poison ??= error;
    return error;
  }

  /** Goes on in the next file. The one before is being sealed in the same instant: a sync in between must not miss it. */
  async #takePrepared(): Promise<void> {
    const previous = this.#current;
    const early = this.#prepared !== undefined;
    let prepared: { file: LocalFile; segment: SegmentId };
    try {
      prepared = await (this.#prepared ??= this.#prepare());
    } catch (error) {
      this.#prepared = undefined;
      // What failed when the last file was begun says nothing about now.
      if (early) return this.#takePrepared();
      throw journalError(error, `cannot create a journal file in ${this.#options.directory}`);
    }
    try {
      this.#current = new JournalFile({
        segment: prepared.segment,
        handle: this.#options.handles.handleOf(prepared.segment),
        file: prepared.file,
        salt: this.#options.random.below(2 ** 32),
        firstSequence: this.#sequence + 1,
        flushedSequence: this.#flushedSequence,
      });
    } catch (error) {
      // The file stays prepared: a number that is left out would be a missing file for recovery.
      throw journalError(error, `cannot begin ${prepared.file.path}`);
    }
    if (previous !== undefined) this.#seal(previous, false);
    this.#prepared = undefined;
    this.#options.onCreated(this.#current);
    this.#prepared = this.#prepare();
    this.#prepared.catch(() => undefined);
  }

  async #prepare(): Promise<{ file: LocalFile; segment: SegmentId }> {
    const { disk, directory, log, epoch } = this.#options;
    const segment: SegmentId = { log, epoch, number: this.#nextNumber };
    const path = `${directory}/${journalFileName(segment)}`;
    const file = createLocalFile(disk, path);
    try {
      await disk.syncDirectory(`${directory}/${log}`);
    } catch (error) {
      file.close();
      await file.unlink();
      throw error;
    }
    this.#nextNumber++;
    return { file, segment };
  }

  #seal(file: JournalFile, final: boolean): void {
    this.#sealing.push(file);
    this.#options.onFull(file);
    this.#sealChain = this.#sealChain.then(async () => {
      if (!(await this.#sealNow(file, final))) return;
      this.#sealing.shift();
      this.#options.onSealed(file);
    });
  }

  /** False when the journal is poisoned. A full disk is waited for: what the file holds is safe, and its index can come later. */
  async #sealNow(file: JournalFile, final: boolean): Promise<boolean> {
    for (;;) {
      if (this.#poison !== undefined) return false;
      try {
        await file.seal(final);
        return true;
      } catch (error) {
        const failure = journalError(error, `cannot seal ${file.file.path}`);
        if (failure.code !== "journal_full") {
          this.#poison ??= failure;
          return false;
        }
      }
      await this.#options.clock.sleep(sealRetryMs);
    }
  }

  #syncTo(sequence: number): Promise<void> | undefined {
    if (this.#poison !== undefined) return Promise.reject(this.#poison);
    if (this.#flushedSequence >= sequence) return undefined;
    const syncing = this.#syncing;
    if (syncing === undefined) {
      const [covered, done] = [this.#sequence, this.#syncOnce(this.#sequence)];
      this.#syncing = { sequence: covered, done };
      return done;
    }
    if (syncing.sequence >= sequence) return syncing.done;
    this.#nextSequence = sequence;
    this.#nextSync ??= syncing.done.then(() => {
      this.#nextSync = undefined;
      return this.#syncTo(this.#nextSequence);
    });
    return this.#nextSync;
  }

  /** Everything up to `sequence` is appended. */
  async #syncOnce(sequence: number): Promise<void> {
    const files = this.liveFiles().filter((file) => file.syncedLength < file.length);
    const lengths = files.map((file) => file.length);
    try {
      this.#options.counts.syncs += files.length;
      await (files.length === 1 ? files[0]!.file.sync() : Promise.all(files.map((file) => file.file.sync())));
    } catch (error) {
      this.#poison ??= new AndironError("journal_poisoned", "fdatasync of the journal failed: what it covered may be lost", {
        cause: error,
        hint: "check the disk of journal_path, then restart",
      });
      throw this.#poison;
    } finally {
      this.#syncing = undefined;
    }
    let syncedBytes = 0;
    files.forEach((file, i) => {
      syncedBytes += Math.max(0, lengths[i]! - file.syncedLength);
      file.syncedLength = Math.max(file.syncedLength, lengths[i]!);
    });
    this.#pace.synced(syncedBytes);
    this.#flushedSequence = Math.max(this.#flushedSequence, sequence);
    this.#scheduleMark();
  }

  #scheduleMark(): void {
    if (this.#markTimer !== undefined || this.#closed) return;
    this.#markTimer = this.#options.clock.after(markDelayMs, () => {
      this.#markTimer = undefined;
      const silent = this.#sequence === this.#flushedSequence && this.#flushedSequence > this.#markedSequence;
      if (!silent || this.#closed || this.#poison !== undefined) return;
      this.#mark().catch(() => undefined);
    });
  }

  async #mark(): Promise<void> {
    await this.append([{ kind: recordKinds.mark, firstCluster: 0, clusterCount: 0 }]);
    // The mark itself is not flushed and needs no flush of its own.
    this.#markedSequence = this.#sequence;
  }
}
