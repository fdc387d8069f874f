// What a process knows of the engine's records by following them: sums of a pool, living routers, what has just settled.
// Hints and sums only: decisions are made on records read in a transaction.

import type { Clock, Timer } from "../common/clock.ts";
import { Follower } from "../registry/follow.ts";
import type { Entry, Registry } from "../registry/registry.ts";
import type { RecordState, Settled } from "./control.ts";
import type { EngineLog } from "./engine-context.ts";
import type { RouterRecord, SnapshotRecord, VdiskRecord } from "./records.ts";
import { keys, parseRecord } from "./records.ts";

interface FollowOptions {
  readonly registry: Registry;
  readonly clock: Clock;
  readonly log: EngineLog;
}

export class RecordFollowers {
  readonly #options: FollowOptions;
  readonly #followers: Follower[];
  readonly #vdisks = new Map<string, { readonly pool: string; readonly sizeBytes: number }>();
  readonly #routers = new Map<string, RouterRecord>();
  readonly #pending = new Set<string>();
  readonly #usage = new Map<string, { provisionedBytes: number; vdiskCount: number }>();
  readonly #listeners = new Set<(settled: Settled) => void>();
  readonly #waiters = new Map<string, Set<() => void>>();

  constructor(options: FollowOptions) {
    this.#options = options;
    this.#followers = [
      this.#follower(
        keys.vdisks,
        (entry) => this.#vdiskChanged(entry),
        (key) => this.#vdiskDeleted(key),
      ),
      this.#follower(
        keys.snapshots,
        (entry) => this.#snapshotChanged(entry),
        (key) => this.#pending.delete(key),
      ),
      this.#follower(
        keys.routers,
        (entry) => this.#routers.set(entry.key, parseRecord<RouterRecord>(entry.key, entry.value)),
        (key) => this.#routers.delete(key),
      ),
      this.#follower(
        keys.exports,
        (entry) => this.#wake(entry.key),
        (key) => this.#wake(key),
      ),
    ];
  }

  async start(): Promise<void> {
    for (const follower of this.#followers) await follower.start();
  }

  async stop(): Promise<void> {
    await Promise.all(this.#followers.map((follower) => follower.stop()));
  }

  poolUsage(pool: string): { readonly provisionedBytes: number; readonly vdiskCount: number } {
    return this.#usage.get(pool) ?? { provisionedBytes: 0, vdiskCount: 0 };
  }

  routers(): readonly RouterRecord[] {
    return [...this.#routers.values()];
  }

  onSettled(listener: (settled: Settled) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Resolves when the export's record changes, or after `timeoutMs`. */
  changeOf(key: string, timeoutMs: number): Promise<void> {
    return new Promise((resolve) => {
      const waiters = this.#waiters.get(key) ?? new Set();
      this.#waiters.set(key, waiters);
      const wake = (): void => {
        timer.cancel();
        waiters.delete(wake);
        if (waiters.size === 0) this.#waiters.delete(key);
        resolve();
      };
      waiters.add(wake);
      const timer: Timer = this.#options.clock.after(timeoutMs, wake);
    });
  }

  #follower(prefix: string, changed: (entry: Entry) => void, deleted: (key: string) => void): Follower {
    const failed = (error: unknown): void => this.#options.log.warning(`following ${prefix} was interrupted`, { error });
    return new Follower(this.#options.registry, this.#options.clock, prefix, { changed, deleted, failed });
  }

  #vdiskChanged(entry: Entry): void {
    const { id, pool, sizeBytes, state, message } = parseRecord<VdiskRecord>(entry.key, entry.value);
    this.#account(entry.key, { pool, sizeBytes });
    this.#settle(entry.key, "vdisk", id, state, message);
  }

  #vdiskDeleted(key: string): void {
    this.#account(key, undefined);
    this.#pending.delete(key);
  }

  #account(key: string, now: { readonly pool: string; readonly sizeBytes: number } | undefined): void {
    const before = this.#vdisks.get(key);
    if (before !== undefined) this.#add(before.pool, -before.sizeBytes, -1);
    if (now === undefined) this.#vdisks.delete(key);
    else {
      this.#vdisks.set(key, now);
      this.#add(now.pool, now.sizeBytes, 1);
    }
  }

  #add(pool: string, bytes: number, count: number): void {
    const usage = this.#usage.get(pool) ?? { provisionedBytes: 0, vdiskCount: 0 };
    usage.provisionedBytes += bytes;
    usage.vdiskCount += count;
    this.#usage.set(pool, usage);
  }

  #snapshotChanged(entry: Entry): void {
    const { id, state, message } = parseRecord<SnapshotRecord>(entry.key, entry.value);
    this.#settle(entry.key, "snapshot", id, state, message);
  }

  #settle(key: string, kind: Settled["kind"], id: string, state: RecordState, message: string | undefined): void {
    if (state === "pending") {
      this.#pending.add(key);
      return;
    }
    if (!this.#pending.delete(key)) return;
    const settled: Settled = message === undefined ? { kind, id, state } : { kind, id, state, message };
    for (const listener of this.#listeners) listener(settled);
  }

  #wake(key: string): void {
    for (const wake of [...(this.#waiters.get(key) ?? [])]) wake();
  }
}
