// Follows the records below a prefix: all of them once, then every change, for ever, across lost history.
//
//     load (range, paged) ──► watch from there on ──► watch_compacted or registry away: load again
//
// - A follower sees every record's latest state; states in between may be skipped when history was lost.
// - Loading again reports the keys that vanished meanwhile as deleted.

import type { Clock } from "../common/clock.ts";
import { errorCodeOf } from "../common/errors.ts";
import type { Entry, Registry, Watch } from "./registry.ts";

export interface FollowListener {
  changed(entry: Entry): void;
  deleted(key: string): void;
  /** Something went wrong; following goes on. */
  failed(error: unknown): void;
}

const retryMs = 200;

export class Follower {
  readonly #registry: Registry;
  readonly #clock: Clock;
  readonly #prefix: string;
  readonly #listener: FollowListener;
  readonly #keys = new Set<string>();
  #watch: Watch | undefined;
  #stopped = false;
  #running: Promise<void> = Promise.resolve();

  constructor(registry: Registry, clock: Clock, prefix: string, listener: FollowListener) {
    this.#registry = registry;
    this.#clock = clock;
    this.#prefix = prefix;
    this.#listener = listener;
  }

  /** Resolves when everything that was there has been reported. */
  async start(): Promise<void> {
    const revision = await this.#load();
    this.#running = this.#follow(revision);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#watch?.close();
    await this.#running;
  }

  async #load(): Promise<number> {
    const seen = new Set<string>();
    let revision: number | undefined;
    for (let after: string | undefined; ;) {
      const page = await this.#registry.range(after === undefined ? { prefix: this.#prefix } : { prefix: this.#prefix, after });
      revision ??= page.revision;
      for (const entry of page.entries) {
        seen.add(entry.key);
        this.#keys.add(entry.key);
        this.#tell(() => this.#listener.changed(entry));
      }
      after = page.entries.at(-1)?.key;
      if (!page.more || after === undefined) break;
    }
    for (const key of this.#keys) {
      if (seen.has(key)) continue;
      this.#keys.delete(key);
      this.#tell(() => this.#listener.deleted(key));
    }
    return revision;
  }

  /** One record that the listener cannot take does not keep the others from it. */
  #tell(call: () => void): void {
    try {
      call();
    } catch (error) {
      this.#listener.failed(error);
    }
  }

  async #follow(startRevision: number): Promise<void> {
    let revision = startRevision;
    while (!this.#stopped) {
      try {
        this.#watch = this.#registry.watch({ prefix: this.#prefix, fromRevision: revision + 1 });
        for await (const batch of this.#watch) {
          for (const event of batch.events) {
            const { key, entry } = event;
            if (entry === undefined) this.#keys.delete(key);
            else this.#keys.add(key);
            this.#tell(() => (entry === undefined ? this.#listener.deleted(key) : this.#listener.changed(entry)));
          }
          revision = batch.revision;
        }
        if (!this.#stopped) await this.#clock.sleep(retryMs);
      } catch (error) {
        if (this.#stopped) return;
        if (errorCodeOf(error) !== "watch_compacted") this.#listener.failed(error);
        await this.#clock.sleep(retryMs);
        revision = await this.#load().catch(() => revision);
      }
    }
  }
}
