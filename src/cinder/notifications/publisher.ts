// Sends what waits in the outbox: one process at a time, the one that has the publisher's record, which is bound to its lease.
//
//   waits for the lease ──► has it ── batch ──► confirmed ──► records deleted, in one transaction with the lease's record ──┐
//         ▲                   ▲  └── not confirmed ──► pause, the same again                                               │
//         └── lease lost ─────┴────────────────────────────────────────────────────────────────────────────────────────────┘
//
// - A batch has one message of each resource at most, and none whose predecessor is not confirmed: each resource's are in order.
// - Nothing is sent unless the lease is certainly held at that instant.
// - What was confirmed of a record is known here only: a record whose deletion failed comes again as a whole.

import type { Clock } from "../../common/clock.ts";
import { AndironError, errorCodeOf } from "../../common/errors.ts";
import type { Random } from "../../common/random.ts";
import type { Service } from "../../common/service.ts";
import type { LeaseHold, Registry } from "../../registry/registry.ts";
import {
  type NotificationPriority,
  type OutboxMessage,
  type OutboxRecord,
  parseOutboxRecord,
  type PublisherRecord,
  publisherKey,
} from "./outbox-record.ts";
import type { OutboxView } from "./outbox-view.ts";

export interface NotificationTransport {
  /** Resolves when all are safe with the broker; when it rejects some may be. */
  send(messages: readonly OutboxMessage[]): Promise<void>;
  stop(): Promise<void>;
}

export interface PublisherObserver {
  sent(priority: NotificationPriority): void;
  failed(): void;
  unreadable(count: number): void;
}

export interface PublisherOptions {
  readonly registry: Registry;
  readonly clock: Clock;
  readonly random: Random;
  readonly host: string;
  readonly outbox: OutboxView;
  readonly transport: NotificationTransport;
  readonly observer: PublisherObserver;
  readonly onTrouble: (what: string, error: unknown) => void;
  /** rabbit_retry_interval, rabbit_retry_backoff, rabbit_interval_max. */
  readonly pauses: { readonly firstMs: number; readonly stepMs: number; readonly maxMs: number };
}

/** The right to publish. */
interface Tenure {
  readonly hold: LeaseHold;
  readonly revision: number;
}

interface Loaded {
  readonly record: OutboxRecord;
  /** How many of its messages the broker has. */
  readonly confirmed: Set<number>;
}

interface Chosen {
  readonly key: string;
  readonly at: number;
  readonly message: OutboxMessage;
}

const leaseTtlMs = 10_000;
const lookIntervalMs = 2000;
/** Records at a time, one operation of a transaction each, and messages. */
const windowRecords = 64;
const batchMessages = 64;

export class NotificationPublisher implements Service {
  readonly id = "notification-publisher";
  readonly #options: PublisherOptions;
  readonly #loaded = new Map<string, Loaded>();
  readonly #unreadable = new Set<string>();
  #tenure: Tenure | undefined;
  #failures = 0;
  #wake: () => void = () => undefined;
  #isWoken = false;
  #running: Promise<void> = Promise.resolve();
  #isStopped = false;

  constructor(options: PublisherOptions) {
    this.#options = options;
  }

  start(): Promise<void> {
    this.#options.outbox.onChange(() => this.#wakeUp());
    this.#running = this.#run();
    return Promise.resolve();
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#wakeUp();
    await this.#options.transport.stop();
    await this.#running;
    await this.#leave();
  }

  /** Whether this process is the one that publishes. */
  get isPublishing(): boolean {
    return this.#tenure !== undefined;
  }

  async #run(): Promise<void> {
    while (!this.#isStopped) {
      try {
        const isIdle = (await this.#mayPublish()) ? !(await this.#publishBatch()) : true;
        if (isIdle) await this.#pause(lookIntervalMs);
      } catch (error) {
        if (this.#isStopped) return;
        this.#options.observer.failed();
        this.#options.onTrouble("notifications wait to be sent", error);
        const { firstMs, stepMs, maxMs } = this.#options.pauses;
        const pauseMs = Math.min(firstMs + stepMs * this.#failures++, maxMs);
        // Not cut short by what comes in meanwhile.
        await this.#pauseFor(pauseMs);
      }
    }
  }

  /** True when this process has, or just got, the right to publish. */
  async #mayPublish(): Promise<boolean> {
    const { registry, clock, random, host } = this.#options;
    if (this.#tenure?.hold.isHeld(clock.monotonicMs()) === true) return true;
    await this.#leave();
    if ((await registry.get(publisherKey)) !== undefined) return false;
    const leaseId = await registry.grantLease(leaseTtlMs);
    const record: PublisherRecord = { v: 1, id: random.uuid(), host, startedAtMs: clock.wallMs() };
    const { succeeded, revision } = await registry.transact({
      compares: [{ key: publisherKey, modRevision: 0 }],
      success: [{ kind: "put", key: publisherKey, value: JSON.stringify(record), leaseId }],
    });
    if (!succeeded) {
      await registry.revokeLease(leaseId);
      return false;
    }
    const hold = await registry.holdLease(leaseId);
    hold.onLost(() => this.#wakeUp());
    this.#tenure = { hold, revision };
    return true;
  }

  /** False when nothing waits that could be sent. */
  async #publishBatch(): Promise<boolean> {
    this.#forgetPurged();
    const keys = this.#options.outbox.first(windowRecords + this.#unreadable.size).filter((key) => !this.#unreadable.has(key));
    const window = keys.slice(0, windowRecords);
    await this.#load(window);
    const batch = this.#choose(window);
    if (batch.length > 0) {
      if (this.#tenure?.hold.isHeld(this.#options.clock.monotonicMs()) !== true) return true;
      await this.#options.transport.send(batch.map(({ message }) => message));
      for (const { key, at, message } of batch) {
        this.#loaded.get(key)?.confirmed.add(at);
        this.#options.observer.sent(message.priority);
      }
      this.#failures = 0;
    }
    const done = [...this.#loaded].filter(([, { record, confirmed }]) => confirmed.size === record.messages.length);
    await this.#delete(done.map(([key]) => key));
    return batch.length > 0 || done.length > 0;
  }

  async #load(keys: readonly string[]): Promise<void> {
    const present = new Set(keys);
    for (const key of this.#loaded.keys()) if (!present.has(key)) this.#loaded.delete(key);
    for (const key of keys) {
      if (this.#loaded.has(key)) continue;
      const entry = await this.#options.registry.get(key);
      // Purged by an operator; the watch is about to say so.
      if (entry === undefined) continue;
      try {
        this.#loaded.set(key, { record: parseOutboxRecord(key, entry.value), confirmed: new Set() });
      } catch (error) {
        this.#unreadable.add(key);
        this.#options.observer.unreadable(this.#unreadable.size);
        this.#options.onTrouble(`the notifications of ${key} can't be read: they stay where they are`, error);
      }
    }
  }

  #forgetPurged(): void {
    const sizeBefore = this.#unreadable.size;
    for (const key of this.#unreadable) if (!this.#options.outbox.has(key)) this.#unreadable.delete(key);
    if (this.#unreadable.size !== sizeBefore) this.#options.observer.unreadable(this.#unreadable.size);
  }

  #choose(keys: readonly string[]): Chosen[] {
    const batch: Chosen[] = [];
    const taken = new Set<string>();
    for (const key of keys) {
      const loaded = this.#loaded.get(key);
      for (const [at, message] of (loaded?.record.messages ?? []).entries()) {
        if (batch.length === batchMessages) return batch;
        if (loaded!.confirmed.has(at) || taken.has(message.resource)) continue;
        taken.add(message.resource);
        batch.push({ key, at, message });
      }
    }
    return batch;
  }

  async #delete(keys: readonly string[]): Promise<void> {
    const tenure = this.#tenure;
    if (keys.length === 0 || tenure === undefined) return;
    const { succeeded } = await this.#options.registry.transact({
      compares: [{ key: publisherKey, modRevision: tenure.revision }],
      success: keys.map((key) => ({ kind: "delete", key })),
    });
    if (!succeeded) {
      await this.#leave();
      throw new AndironError("owner_changed", "another process publishes the notifications now");
    }
    for (const key of keys) this.#loaded.delete(key);
    this.#options.outbox.forget(keys);
  }

  async #leave(): Promise<void> {
    const tenure = this.#tenure;
    this.#tenure = undefined;
    this.#loaded.clear();
    if (tenure === undefined) return;
    tenure.hold.release();
    await this.#options.registry.revokeLease(tenure.hold.leaseId).catch((error: unknown) => {
      // It ends by itself.
      if (errorCodeOf(error) !== "shutting_down") this.#options.onTrouble("giving back the publisher's lease", error);
    });
  }

  #wakeUp(): void {
    this.#isWoken = true;
    this.#wake();
  }

  /** Until something comes in, at most so long. */
  #pause(ms: number): Promise<void> {
    if (!this.#isWoken) return this.#pauseFor(ms, true);
    this.#isWoken = false;
    return Promise.resolve();
  }

  /** At a stop it ends at once; `isLight`: whenever it is woken. */
  async #pauseFor(ms: number, isLight = false): Promise<void> {
    if (this.#isStopped) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = this.#options.clock.after(ms, resolve);
    this.#wake = () => {
      if (isLight || this.#isStopped) resolve();
    };
    await promise;
    timer.cancel();
    this.#wake = () => undefined;
    this.#isWoken = false;
  }
}
