// What waits in the outbox, in the order in which it is to be sent: that of the transactions that wrote it. Kept by a watch; the
// messages themselves stay in the registry. It also says when the outbox is full, and raises the alarm:
//
//   below the bound ── something dropped ──► full: ERROR, each minute ── nine tenths of it ──► WARNING with the number

import type { Clock } from "../../common/clock.ts";
import type { Service } from "../../common/service.ts";
import { Follower } from "../../registry/follow.ts";
import type { Entry, Registry } from "../../registry/registry.ts";
import type { Outbox } from "./notices.ts";
import { outboxPrefix } from "./outbox-record.ts";

export interface OutboxObserver {
  /** A message was not written. */
  dropped(): void;
  /** To be logged. */
  alarm(level: "error" | "warning", text: string): void;
}

export interface OutboxViewOptions {
  readonly registry: Registry;
  readonly clock: Clock;
  readonly outboxMax: number;
  readonly observer: OutboxObserver;
  readonly onTrouble: (what: string, error: unknown) => void;
}

const alarmEveryMs = 60_000;
/** Of the bound: below it the alarm is over. */
const calmShare = 0.9;

interface Waiting {
  readonly key: string;
  readonly revision: number;
  /** When this process came to know it, for its age. */
  readonly sinceMs: number;
}

export class OutboxView implements Outbox, Service {
  readonly id = "notification-outbox";
  readonly isOn = true;
  readonly #options: OutboxViewOptions;
  readonly #follower: Follower;
  readonly #waiting = new Map<string, Waiting>();
  #isSorted = true;
  #lastRevision = 0;
  #dropped = 0;
  #alarmedAtMs = Number.NEGATIVE_INFINITY;
  #onChange: () => void = () => undefined;

  constructor(options: OutboxViewOptions) {
    this.#options = options;
    this.#follower = new Follower(options.registry, options.clock, outboxPrefix, {
      changed: (entry) => this.#add(entry),
      deleted: (key) => this.#remove(key),
      failed: (error) => options.onTrouble("following the outbox of notifications", error),
    });
  }

  start(): Promise<void> {
    return this.#follower.start();
  }

  stop(): Promise<void> {
    return this.#follower.stop();
  }

  get size(): number {
    return this.#waiting.size;
  }

  /** Of what has waited longest, as far as this process knows; 0 when nothing waits. */
  get oldestMs(): number {
    const oldest = this.first(1)[0];
    return oldest === undefined ? 0 : this.#options.clock.monotonicMs() - this.#waiting.get(oldest)!.sinceMs;
  }

  /** The keys of those that are to be sent first. */
  first(count: number): string[] {
    if (!this.#isSorted) {
      const sorted = [...this.#waiting.values()].sort((a, b) => a.revision - b.revision || (a.key < b.key ? -1 : 1));
      this.#waiting.clear();
      for (const one of sorted) this.#waiting.set(one.key, one);
      this.#isSorted = true;
    }
    const keys: string[] = [];
    for (const key of this.#waiting.keys()) {
      if (keys.length === count) break;
      keys.push(key);
    }
    return keys;
  }

  has(key: string): boolean {
    return this.#waiting.has(key);
  }

  /** Calls `listener` whenever something is there that was not. */
  onChange(listener: () => void): void {
    this.#onChange = listener;
  }

  /** What was sent and deleted, before the watch says so. */
  forget(keys: readonly string[]): void {
    for (const key of keys) this.#remove(key);
  }

  isFull(): boolean {
    return this.#waiting.size >= this.#options.outboxMax;
  }

  dropped(reason: "full" | "too large"): void {
    this.#options.observer.dropped();
    if (reason === "too large") {
      return this.#options.observer.alarm("error", "a notification is too large for the outbox: it is dropped");
    }
    this.#dropped++;
    const nowMs = this.#options.clock.monotonicMs();
    if (nowMs - this.#alarmedAtMs < alarmEveryMs) return;
    this.#alarmedAtMs = nowMs;
    const text = `the outbox of notifications is full (outbox_max = ${this.#options.outboxMax}): what happens now is not told`;
    this.#options.observer.alarm("error", text);
  }

  #add({ key, createRevision: revision }: Entry): void {
    if (this.#waiting.has(key)) return;
    // Records of one transaction come in any order.
    if (revision <= this.#lastRevision) this.#isSorted = false;
    this.#lastRevision = Math.max(this.#lastRevision, revision);
    this.#waiting.set(key, { key, revision, sinceMs: this.#options.clock.monotonicMs() });
    this.#onChange();
  }

  #remove(key: string): void {
    if (!this.#waiting.delete(key) || this.#dropped === 0) return;
    if (this.#waiting.size > this.#options.outboxMax * calmShare) return;
    const text = `the outbox of notifications takes more again; ${this.#dropped} notifications were dropped`;
    this.#dropped = 0;
    this.#alarmedAtMs = Number.NEGATIVE_INFINITY;
    this.#options.observer.alarm("warning", text);
  }
}
