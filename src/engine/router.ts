// A Storage Router: owns logs, serves exports of them, carries out wishes. One for a process; several pools.
//
// - Its identity lives in its state directory (whose lock proves that an earlier process of the same router is dead), so after
//   a restart it claims its own logs at once, at the next epoch.
// - A log that nobody uses and no export needs is drained and given back: then clones, snapshots and deletes need no router.
// - What is found owned by this router at start (a crash) is recovered and drained in the background.

import { dirname } from "node:path";
import { AndironError } from "../common/errors.ts";
import type { Clock } from "../common/clock.ts";
import type { Random } from "../common/random.ts";
import type { Service } from "../common/service.ts";
import { Follower } from "../registry/follow.ts";
import type { Entry, Registry } from "../registry/registry.ts";
import type { ObjectBackend } from "./backend/backend.ts";
import { Cleaner } from "./cleaner/cleaner.ts";
import { CleanerHints } from "./cleaner/hints.ts";
import type { ClusterCache } from "./cache/cluster-cache.ts";
import { ContentCache } from "./cache/content-cache.ts";
import { PlaceCache } from "./cache/place-cache.ts";
import type { SnapshotDirectory, SnapshotReader } from "./device.ts";
import type { EngineLog, EngineSettings, GuestWork, PoolContext } from "./engine-context.ts";
import type { DiskMoves } from "./device.ts";
import { RouterDiskMove } from "./disk-move.ts";
import { Exports } from "./exports.ts";
import type { JournalCounts } from "./journal/journal-counts.ts";
import { newJournalCounts } from "./journal/journal-counts.ts";
import { removeLeftovers } from "./journal/leftovers.ts";
import type { LiveCuts } from "./live-cuts.ts";
import type { LocalDisk } from "./local-disk.ts";
import { readWhole, systemCodeOf } from "./local-disk.ts";
import { Pages } from "./map/pages.ts";
import type { SegmentId } from "./names.ts";
import { OpenLogs } from "./open-logs.ts";
import type { ExportRecord, LogRecord, RelocationRecord, RouterRecord, VdiskRecord } from "./records.ts";
import { keys, parseRecord } from "./records.ts";
import { RouterLease } from "./router-lease.ts";
import { newHandleTable, Segments } from "./segments.ts";
import { AheadBudget } from "./vdisk/read-ahead.ts";
import { JournalBudget } from "./vdisk/journal-budget.ts";
import type { OpenLog } from "./vdisk/open-log.ts";
import { readLog } from "./view.ts";
import { openSnapshotReader } from "./snapshot-view.ts";
import { Wishes } from "./wishes.ts";

export interface RouterOptions {
  readonly registry: Registry;
  readonly backends: ReadonlyMap<string, ObjectBackend>;
  readonly settings: EngineSettings;
  readonly clock: Clock;
  /** Processor time of this thread. */
  readonly threadMs: () => number;
  readonly random: Random;
  readonly log: EngineLog;
  readonly host: string;
  readonly disk: LocalDisk;
  readonly stateDirectory: string;
  readonly journalDirectory: string;
  /** Where clients reach the NBD server; asked when the router registers. */
  readonly nbdAddress: () => { readonly hosts: readonly string[]; readonly port: number };
  /** How long stop() may drain before it leaves the rest to the next start; 0: no limit. */
  readonly drainMsMax: number;
}

const releaseSweepMs = 2000;
/** A disk whose syncs take longer must not hold up who else waits for the transaction. */
const cutMsMax = 100;

export class StorageRouter implements Service, SnapshotDirectory, LiveCuts {
  readonly id = "storage-router";
  readonly #options: RouterOptions;
  readonly #contexts = new Map<string, PoolContext>();
  readonly #lease: RouterLease;
  readonly openLogs: OpenLogs;
  readonly exports: Exports;
  readonly budget: JournalBudget;
  readonly journalCounts: JournalCounts = newJournalCounts();
  readonly cache: ClusterCache;
  readonly ahead: AheadBudget;
  readonly #guests: GuestWork;
  #wishes: Wishes | undefined;
  #followers: Follower[] = [];
  readonly #cleaners = new Map<string, Cleaner>();
  #routerId = "";
  #journalId = "";
  #stopped = false;

  constructor(options: RouterOptions) {
    this.#options = options;
    this.budget = new JournalBudget(options.settings.journalBytesMax, options.clock);
    this.cache = options.settings.cacheDedupe
      ? new ContentCache(options.settings.cacheBytes)
      : new PlaceCache(options.settings.cacheBytes);
    this.#guests = { bytes: 0, threadMs: options.threadMs };
    this.ahead = new AheadBudget(options.settings.cacheBytes, options.settings.readAheadBytes);
    this.openLogs = new OpenLogs(async (logId) => this.contextOf((await readLog(options.registry, logId)).pool), {
      mayRelease: (logId) => this.#mayRelease(logId),
      beforeRelease: (log) => this.#beforeRelease(log),
    });
    this.exports = new Exports({ ...options, openLogs: this.openLogs });
    const { registry, clock, log, settings } = options;
    const startedAtMs = clock.wallMs();
    const describe = (): Omit<RouterRecord, "v" | "reportedAtMs"> => {
      const { hosts, port } = options.nbdAddress();
      return {
        id: this.#routerId,
        host: options.host,
        pools: [...options.backends.keys()],
        nbdHosts: hosts,
        nbdPort: port,
        startedAtMs,
      };
    };
    this.#lease = new RouterLease({
      registry,
      clock,
      log,
      leaseTtlMs: settings.leaseTtlMs,
      describe,
      onLost: () => this.#letGoOfAll(),
    });
  }

  get routerId(): string {
    return this.#routerId;
  }

  /** The shared parts of a vPool; throws when this router does not serve it. */
  contextOf(pool: string): PoolContext {
    const context = this.#contexts.get(pool);
    if (context === undefined) throw new AndironError("invalid_request", `this router does not serve vPool ${pool}`);
    return context;
  }

  /** Of the vPools that this router serves; owns nothing. */
  openSnapshot(id: string, sinceId: string | null): Promise<SnapshotReader> {
    return openSnapshotReader((pool) => this.contextOf(pool), this.#options.registry, id, sinceId);
  }

  async cutOf({ id, owner, epoch }: LogRecord): Promise<number | undefined> {
    const log = owner === this.#routerId ? this.openLogs.find(id) : undefined;
    if (log === undefined || log.epoch !== epoch || log.movedTo !== undefined) return undefined;
    const cut = log.sequence;
    const flushed = log.flush().then(
      () => cut,
      () => undefined,
    );
    return Promise.race([flushed, this.#options.clock.sleep(cutMsMax).then(() => undefined)]);
  }

  /** By vPool; after start(). */
  get cleaners(): ReadonlyMap<string, Cleaner> {
    return this.#cleaners;
  }

  /** Disks that move to another log while they are used. */
  readonly moves: DiskMoves = {
    begin: (vdiskId, copyId) =>
      RouterDiskMove.begin(
        {
          ...this.#options,
          router: this.#routerId,
          openLogs: this.openLogs,
          moved: (id, from, to) => this.exports.moved(id, from, to),
        },
        vdiskId,
        copyId,
      ),
  };

  async start(): Promise<void> {
    const { registry, clock, random, log, settings, disk, stateDirectory, journalDirectory, backends } = this.#options;
    await disk.makeDirectory(journalDirectory);
    await disk.syncDirectory(dirname(journalDirectory));
    this.#routerId = await identityIn(disk, stateDirectory, "router-id", random);
    this.#journalId = await identityIn(disk, journalDirectory, "journal-id", random);
    const handles = newHandleTable();
    for (const [pool, backend] of backends) {
      const generationOf = async (segment: SegmentId): Promise<number> => {
        const entry = await registry.get(keys.relocation(segment));
        return entry === undefined ? 0 : parseRecord<RelocationRecord>(entry.key, entry.value).generation;
      };
      const segments = new Segments(backend, generationOf, (segment) => this.openLogs.liveSegment(segment), handles);
      const pages = new Pages({ backend, handles: segments, bytesMax: Math.floor(settings.mapCacheBytes / backends.size) });
      const hints = new CleanerHints();
      const shared = {
        live: this.openLogs,
        budget: this.budget,
        journalCounts: this.journalCounts,
        ahead: this.ahead,
        hints,
        guests: this.#guests,
        settings,
        clock,
        random,
        log,
        disk,
        journalDirectory,
      };
      const identity = { router: this.#routerId, journalId: this.#journalId, assertLease: () => this.#lease.assertHeld() };
      this.#contexts.set(pool, { pool, registry, backend, pages, segments, cache: this.cache, ...shared, ...identity });
    }
    await this.#removeLeftovers();
    this.#wishes = new Wishes({ registry, clock, random, log, router: this.#routerId, openLogs: this.openLogs });
    await this.#lease.register();
    this.#followers = [
      this.#follow(keys.wishes, (entry) => this.#wishes!.seen(entry)),
      this.#follow(keys.exports, (entry) => this.#exportSeen(entry)),
    ];
    for (const follower of this.#followers) await follower.start();
    for (const context of this.#contexts.values()) {
      const cleaner = new Cleaner(context);
      this.#cleaners.set(context.pool, cleaner);
      await cleaner.start();
    }
    void this.#recoverOwned();
    this.#sweepLater();
  }

  /** Gives all disks back, but for those that are not drained in drainMsMax, or when `hurry` resolves. */
  async stop(hurry?: Promise<unknown>): Promise<void> {
    if (this.#stopped) return;
    this.#stopped = true;
    await Promise.all(this.#followers.map((follower) => follower.stop()));
    await Promise.all([...this.#cleaners.values()].map((cleaner) => cleaner.stop()));
    await this.#wishes?.stop();
    await this.openLogs.stop(this.#options.clock, this.#options.drainMsMax, hurry);
    await this.#lease.stop();
  }

  #follow(prefix: string, changed: (entry: Entry) => void): Follower {
    const failed = (error: unknown): void => this.#options.log.warning(`following ${prefix} was interrupted`, { error });
    return new Follower(this.#options.registry, this.#options.clock, prefix, { changed, deleted: () => undefined, failed });
  }

  #exportSeen(entry: Entry): void {
    if (this.#stopped) return;
    const record = parseRecord<ExportRecord>(entry.key, entry.value);
    if (record.state !== "revoked" || record.router !== this.#routerId) return;
    this.exports.revoked(record).catch((error: unknown) => {
      this.#options.log.warning(`cannot confirm that export ${record.id} is gone`, { error });
      this.#options.clock.after(releaseSweepMs, () => this.#exportSeen(entry));
    });
  }

  async #mayRelease(logId: string): Promise<boolean> {
    if (this.#stopped) return true;
    const log = await readLog(this.#options.registry, logId);
    if (log.vdisk === null) return true;
    const entry = await this.#options.registry.get(keys.vdisk(log.vdisk));
    return entry === undefined || parseRecord<VdiskRecord>(entry.key, entry.value).exports.length === 0;
  }

  /** Wishes that came while the log was drained are carried out before it is given back. */
  async #beforeRelease(log: OpenLog): Promise<boolean> {
    const { entries } = await this.#options.registry.range({ prefix: keys.wishesOf(log.id), limit: 1 });
    for (const entry of entries) this.#wishes?.seen(entry);
    return entries.length === 0;
  }

  async #removeLeftovers(): Promise<void> {
    const { log } = this.#options;
    try {
      const removed = await removeLeftovers(this.#options);
      if (removed > 0) log.info(`removed ${removed} journal files of disks that had been given back`, {});
    } catch (error) {
      log.warning("cannot look for journal files that are not needed", { error });
    }
  }

  async #recoverOwned(): Promise<void> {
    try {
      for (let after: string | undefined; !this.#stopped;) {
        const page = await this.#options.registry.range(
          after === undefined ? { prefix: keys.logs } : { prefix: keys.logs, after },
        );
        for (const entry of page.entries) await this.#recover(entry);
        after = page.entries.at(-1)?.key;
        if (!page.more || after === undefined) return;
      }
    } catch (error) {
      if (!this.#stopped) this.#options.log.error("looking for disks to recover failed", { error });
    }
  }

  /** If the log is ours. One that cannot be recovered, or whose record cannot be read, does not keep others from it. */
  async #recover({ key, value }: Entry): Promise<void> {
    try {
      const log = parseRecord<LogRecord>(key, value);
      if (log.owner !== this.#routerId || this.openLogs.isOpen(log.id)) return;
      const use = await this.openLogs.use(log.id);
      this.#options.log.info(`recovered log ${log.id} at epoch ${use.log.epoch}, last record ${use.log.sequence}`, {});
      use.done();
    } catch (error) {
      if (!this.#stopped) this.#options.log.error(`cannot recover log ${key.slice(keys.logs.length)}`, { error });
    }
  }

  /** Gives back what was kept open by an export that is gone, or by a drain that failed. */
  #sweepLater(): void {
    this.#options.clock.after(releaseSweepMs, () => {
      if (this.#stopped) return;
      this.openLogs
        .reclaimAbandoned()
        .catch((error: unknown) => this.#options.log.warning("cannot claim a given up log anew", { error }));
      for (const log of this.openLogs.logs()) {
        this.openLogs
          .release(log.id)
          .catch((error: unknown) => this.#options.log.warning(`cannot give back log ${log.id}`, { error }));
      }
      this.#sweepLater();
    });
  }

  async #letGoOfAll(): Promise<void> {
    this.exports.cutAll();
    await this.openLogs.abandonAll(new AndironError("lease_lost", "the router lost its lease"));
  }
}

/** A UUID kept in a file, made at the first start. */
async function identityIn(disk: LocalDisk, directory: string, name: string, random: Random): Promise<string> {
  const path = `${directory}/${name}`;
  const known = await readWhole(disk, path).catch((error: unknown) => {
    if (systemCodeOf(error) === "ENOENT") return undefined;
    throw new AndironError("config_invalid", `cannot read ${path}`, { cause: error });
  });
  const text = known?.toString("utf8").trim() ?? "";
  if (text !== "") return text;
  const fresh = random.uuid();
  const file = disk.open(`${path}.new`, "replace");
  try {
    await file.write([Buffer.from(`${fresh}\n`)], 0);
    await file.sync();
  } finally {
    await file.close();
  }
  await disk.rename(`${path}.new`, path);
  await disk.syncDirectory(directory);
  return fresh;
}
