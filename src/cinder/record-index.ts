// Every record of the API in memory, always catching up with the registry; all reads are served from here.
//
// - It loads by range, then follows the watch from the revision of the first page; what both bring is sorted out by
//   modRevision. When the watch breaks (compacted history, registry away) it loads anew and swaps at once: no reader ever
//   sees half of it.
// - fresh() resolves when the index shows everything that was committed before it was called, by any process: it asks for
//   the revision of the marker key (record-store.ts) and waits for that. Concurrent callers share one question.
//   So two API processes behind a balancer never show a client the past.

import { AndironError } from "../common/errors.ts";
import type { Clock } from "../common/clock.ts";
import type { Entry, Registry, Watch, WatchBatch } from "../registry/registry.ts";
import { Collection, ListedCollection, SharedTexts } from "./collection.ts";
import type { QuotaRecord, QuotaUsage, ServiceRecord } from "./model.ts";
import * as records from "./records.ts";

export type ReadableRegistry = Pick<Registry, "get" | "range" | "watch">;

export interface RecordIndexOptions {
  readonly registry: ReadableRegistry;
  readonly clock: Clock;
  readonly readWaitMs: number;
  /** Told of each failure that the index recovers from by itself. */
  readonly onTrouble: (what: string, error: unknown) => void;
}

interface Waiter {
  readonly revision: number;
  readonly resolve: () => void;
}

const retryDelayMs = 250;

export class RecordIndex {
  readonly #texts = new SharedTexts();
  readonly volumes = new ListedCollection(records.volumeKind, this.#texts);
  readonly snapshots = new ListedCollection(records.snapshotKind, this.#texts);
  readonly attachments = new ListedCollection(records.attachmentKind, this.#texts);
  readonly messages = new ListedCollection(records.messageKind, this.#texts);
  readonly transfers = new ListedCollection(records.transferKind, this.#texts);
  readonly backups = new ListedCollection(records.backupKind, this.#texts);
  readonly groups = new ListedCollection(records.groupKind, this.#texts);
  readonly groupSnapshots = new ListedCollection(records.groupSnapshotKind, this.#texts);
  readonly qosSpecs = new Collection(records.qosKind, this.#texts);
  readonly groupTypes = new Collection(records.groupTypeKind, this.#texts);
  readonly defaultTypes = new Collection(records.defaultTypeKind, this.#texts);
  readonly types = new Collection(records.typeKind, this.#texts);
  readonly quotas = new Collection<QuotaRecord>(records.quotaKind, this.#texts);
  readonly quotaClasses = new Collection<QuotaRecord>(records.quotaClassKind, this.#texts);
  readonly quotaUsages = new Collection<QuotaUsage>(records.quotaUsageKind, this.#texts);
  readonly services = new Collection<ServiceRecord>(records.serviceKind, this.#texts);
  readonly imageCache = new Collection(records.imageCacheKind, this.#texts);
  readonly jobs = new Collection(records.jobKind, this.#texts);
  readonly jobRunners = new Collection(records.jobRunnerKind, this.#texts);

  readonly #options: RecordIndexOptions;
  readonly #listed = [
    this.volumes,
    this.snapshots,
    this.attachments,
    this.messages,
    this.transfers,
    this.backups,
    this.groups,
    this.groupSnapshots,
  ];
  readonly #plain = [
    this.types,
    this.qosSpecs,
    this.groupTypes,
    this.defaultTypes,
    this.quotas,
    this.quotaClasses,
    this.quotaUsages,
    this.services,
    this.imageCache,
    this.jobs,
    this.jobRunners,
  ];
  #applied = 0;
  #waiters: Waiter[] = [];
  #watch: Watch | undefined;
  #stopped = false;
  #following: Promise<void> | undefined;
  #running: Promise<void> = Promise.resolve();
  #queued: Promise<void> | undefined;

  constructor(options: RecordIndexOptions) {
    this.#options = options;
  }

  /** Resolves when everything is loaded; rejects when the registry can't be read now. */
  async start(): Promise<void> {
    const watch = await this.#load();
    this.#following = this.#follow(watch);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#watch?.close();
    await this.#following;
  }

  /** See the head of the file. Rejects with registry_unavailable when that takes longer than readWaitMs. */
  fresh(): Promise<void> {
    if (this.#queued !== undefined) return this.#queued;
    const next = this.#running
      .catch(() => undefined)
      .then(() => {
        this.#queued = undefined;
        this.#running = this.#catchUp();
        return this.#running;
      });
    this.#queued = next;
    return next;
  }

  async #catchUp(): Promise<void> {
    const marker = await this.#options.registry.get(records.markerKey);
    const revision = marker?.modRevision ?? 0;
    if (this.#applied >= revision) return;
    await new Promise<void>((resolve, reject) => {
      const timer = this.#options.clock.after(this.#options.readWaitMs, () => {
        this.#waiters = this.#waiters.filter((waiter) => waiter !== mine);
        reject(new AndironError("registry_unavailable", "the records in memory do not catch up with the registry"));
      });
      const mine: Waiter = {
        revision,
        resolve: () => {
          timer.cancel();
          resolve();
        },
      };
      this.#waiters.push(mine);
    });
  }

  async #follow(first: Watch): Promise<void> {
    let watch: Watch | undefined = first;
    while (!this.#stopped) {
      try {
        watch ??= await this.#load();
        if (this.#stopped) watch.close();
        for await (const batch of watch) this.#apply(batch);
        if (!this.#stopped) this.#options.onTrouble("the watch of the API's records ended", undefined);
      } catch (error) {
        if (!this.#stopped) this.#options.onTrouble("the API's records are read anew", error);
      }
      watch = undefined;
      if (!this.#stopped) await this.#options.clock.sleep(retryDelayMs);
    }
  }

  async #load(): Promise<Watch> {
    const entries: Entry[] = [];
    let revision: number | undefined;
    let after: string | undefined;
    for (;;) {
      const prefix = records.rootPrefix;
      const page = await this.#options.registry.range(after === undefined ? { prefix } : { prefix, after });
      revision ??= page.revision;
      for (const entry of page.entries) entries.push(entry);
      after = page.entries.at(-1)?.key;
      if (!page.more || after === undefined) break;
    }
    const watch = this.#options.registry.watch({ prefix: records.rootPrefix, fromRevision: revision + 1 });
    this.#watch = watch;
    for (const collection of this.#plain) collection.clear();
    for (const collection of this.#listed) {
      collection.clear();
      collection.loading = true;
    }
    for (const entry of entries) this.#put(entry);
    for (const collection of this.#listed) collection.loading = false;
    this.#advance(revision);
    return watch;
  }

  #apply(batch: WatchBatch): void {
    for (const event of batch.events) {
      if (event.entry !== undefined) this.#put(event.entry);
      else this.#collection(event.key)?.delete(event.key, batch.revision);
    }
    this.#advance(batch.revision);
  }

  #put(entry: Entry): void {
    try {
      this.#collection(entry.key)?.put(entry.key, entry.value, entry.modRevision);
    } catch (error) {
      // One damaged record must not hide all the others; whoever asks for it by a transaction gets the error.
      this.#options.onTrouble(`the record ${entry.key} is left out`, error);
    }
  }

  #collection(key: string): Pick<Collection<{ readonly v: 1 }>, "put" | "delete"> | undefined {
    return (
      this.#listed.find((collection) => key.startsWith(collection.kind.prefix)) ??
      this.#plain.find((collection) => key.startsWith(collection.kind.prefix))
    );
  }

  #advance(revision: number): void {
    this.#applied = revision;
    const reached = this.#waiters.filter((waiter) => waiter.revision <= revision);
    if (reached.length === 0) return;
    this.#waiters = this.#waiters.filter((waiter) => waiter.revision > revision);
    for (const waiter of reached) waiter.resolve();
  }
}
