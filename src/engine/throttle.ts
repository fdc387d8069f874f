// The limits of one vDisk: requests and bytes a second, reads, writes or both (docs/design/qos.md).
//
//     take ──every bucket has room──► goes at once
//        └──► waits in order, reads and writes apart ──► goes ──or──► cancelled (export_revoked)
//
// - A bucket is the time up to which its rate is used up; room is when that is at most the tolerance ahead of now.
// - What waits is bounded by whoever asks: an NBD connection has a limit of requests in flight.

import { AndironError } from "../common/errors.ts";
import type { Clock, Timer } from "../common/clock.ts";
import type { IoLimits, RateLimit, RequestKind } from "./control.ts";

/** Timers fire this late, and requests come in batches. */
const toleranceMs = 20;
/** A timer set for less would fire early; one for more than 31 bits can hold would fire at once, so it is set again and again. */
const timerMs = { min: 1, max: 60_000 };

const otherKind: Readonly<Record<RequestKind, RequestKind>> = { read: "write", write: "read" };

class Bucket {
  readonly limit: RateLimit;
  readonly #unitMs: number;
  readonly #toleranceMs: number;
  /** What is used up reaches to here. */
  #usedUntilMs = 0;

  constructor(limit: RateLimit, perSecond: number, tolerance: number) {
    this.limit = limit;
    this.#unitMs = 1000 / perSecond;
    this.#toleranceMs = tolerance;
  }

  waitMs(nowMs: number): number {
    return this.#usedUntilMs - this.#toleranceMs - nowMs;
  }

  take(nowMs: number, units: number): void {
    this.#usedUntilMs = Math.max(this.#usedUntilMs, nowMs) + units * this.#unitMs;
  }
}

interface Waiter {
  readonly by: object;
  readonly bytes: number;
  readonly go: () => void;
  readonly refuse: (error: AndironError) => void;
}

export class Throttle {
  readonly #clock: Clock;
  readonly #waiting: Readonly<Record<RequestKind, Waiter[]>> = { read: [], write: [] };
  #turn: RequestKind = "read";
  #buckets: Readonly<Record<RequestKind, readonly Bucket[]>> = { read: [], write: [] };
  #requestBytes = Infinity;
  #limits: string | undefined;
  #timer: Timer | undefined;

  constructor(clock: Clock, limits: IoLimits) {
    this.#clock = clock;
    this.setLimits(limits);
  }

  /** From now on. The same limits again change nothing. */
  setLimits(limits: IoLimits): void {
    const text = JSON.stringify(limits);
    if (text === this.#limits) return;
    this.#limits = text;
    const buckets = limits.rates.flatMap(bucketsOf);
    const ofKind = (kind: RequestKind): Bucket[] => buckets.filter(({ limit }) => limit.of === kind || limit.of === "total");
    this.#buckets = { read: ofKind("read"), write: ofKind("write") };
    this.#requestBytes = limits.requestBytes ?? Infinity;
    this.#pump();
  }

  /** Undefined when the request may go at once, else resolves when it may. Rejects with export_revoked when `by` is cancelled. */
  take(kind: RequestKind, bytes: number, by: object): Promise<void> | undefined {
    const { read, write } = this.#waiting;
    if (read.length + write.length === 0) {
      const nowMs = this.#clock.monotonicMs();
      if (this.#waitMs(kind, nowMs) <= 0) {
        this.#charge(kind, bytes, nowMs);
        return undefined;
      }
    }
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#waiting[kind].push({ by, bytes, go: resolve, refuse: reject });
    this.#pump();
    return promise;
  }

  /** Refuses what waits for `by`. */
  cancel(by: object): void {
    for (const waiting of Object.values(this.#waiting)) {
      for (const waiter of waiting.filter((each) => each.by === by)) {
        waiting.splice(waiting.indexOf(waiter), 1);
        waiter.refuse(new AndironError("export_revoked", "the export was revoked"));
      }
    }
    this.#pump();
  }

  /** Lets go who may, and sets the timer for the next. */
  #pump(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    const nowMs = this.#clock.monotonicMs();
    for (let kind = this.#nextKind(nowMs); kind !== undefined; kind = this.#nextKind(nowMs)) {
      const waiter = this.#waiting[kind].shift()!;
      this.#charge(kind, waiter.bytes, nowMs);
      this.#turn = otherKind[kind];
      waiter.go();
    }
    const waits = (["read", "write"] as const)
      .filter((kind) => this.#waiting[kind].length > 0)
      .map((kind) => this.#waitMs(kind, nowMs));
    if (waits.length === 0) return;
    const delayMs = Math.min(Math.max(Math.ceil(Math.min(...waits)), timerMs.min), timerMs.max);
    this.#timer = this.#clock.after(delayMs, () => this.#pump());
  }

  /** Of those that may go; where both may, they take turns. */
  #nextKind(nowMs: number): RequestKind | undefined {
    const mayGo = (kind: RequestKind): boolean => this.#waiting[kind].length > 0 && this.#waitMs(kind, nowMs) <= 0;
    return [this.#turn, otherKind[this.#turn]].find(mayGo);
  }

  #waitMs(kind: RequestKind, nowMs: number): number {
    let longest = 0;
    for (const bucket of this.#buckets[kind]) longest = Math.max(longest, bucket.waitMs(nowMs));
    return longest;
  }

  #charge(kind: RequestKind, bytes: number, nowMs: number): void {
    const requests = Math.max(1, Math.ceil(bytes / this.#requestBytes));
    for (const bucket of this.#buckets[kind]) bucket.take(nowMs, bucket.limit.unit === "bytes" ? bytes : requests);
  }
}

function bucketsOf(limit: RateLimit): Bucket[] {
  const { perSecond, burst } = limit;
  if (burst === undefined || burst.perSecond <= perSecond) return [new Bucket(limit, perSecond, toleranceMs)];
  const earnedMs = (((burst.perSecond - perSecond) * burst.seconds) / perSecond) * 1000;
  return [new Bucket(limit, perSecond, earnedMs + toleranceMs), new Bucket(limit, burst.perSecond, toleranceMs)];
}

export interface ThrottleUse {
  readonly throttle: Throttle;
  done(): void;
}

/** The throttles of a router's vDisks that are connected to. */
export class Throttles {
  readonly #clock: Clock;
  readonly #present = new Map<string, { readonly throttle: Throttle; users: number }>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** The vDisk's, with these limits from now on. It goes, and what it knew, when all who use it are done. */
  use(vdiskId: string, limits: IoLimits): ThrottleUse {
    const entry = this.#present.get(vdiskId) ?? { throttle: new Throttle(this.#clock, limits), users: 0 };
    this.#present.set(vdiskId, entry);
    entry.throttle.setLimits(limits);
    entry.users++;
    const done = (): void => {
      entry.users--;
      if (entry.users === 0) this.#present.delete(vdiskId);
    };
    return { throttle: entry.throttle, done };
  }
}
