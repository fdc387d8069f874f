// A handle on the embedded registry: checks requests, passes them to the server, and pairs answers with them.
//
// - What waits for an answer is bounded in number and bytes; beyond that a request is refused with registry_unavailable.
// - When the server dies unasked, everything that waits and everything later rejects with registry_unavailable, and all
//   holds are lost. Open a new handle then: nothing acknowledged is lost.
// - After close() every call rejects with shutting_down.

import { AndironError } from "../../common/errors.ts";
import type { Random } from "../../common/random.ts";
import { registryLimits } from "../registry.ts";
import type {
  Entry,
  LeaseHold,
  RangeRequest,
  RangeResult,
  Registry,
  Transaction,
  TransactionResult,
  Watch,
  WatchRequest,
} from "../registry.ts";
import { checkKey, checkRange, checkRevision, checkTransaction, checkTtl, checkWatch } from "../request-check.ts";
import { SharedLeaseHold } from "./lease-hold.ts";
import { fromWire } from "./protocol.ts";
import type { Link, LinkListener, Question, Reply, Request } from "./protocol.ts";
import { WatchStream } from "./watch-stream.ts";

interface Pending {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: AndironError) => void;
  readonly sizeBytes: number;
}

export class SqliteRegistry implements Registry {
  readonly #random: Random;
  readonly #link: Link;
  readonly #pending = new Map<number, Pending>();
  readonly #streams = new Map<number, WatchStream>();
  readonly #holds = new Map<number, SharedLeaseHold>();
  #outbox: Request[] = [];
  #nextId = 1;
  #pendingBytes = 0;
  #failure: AndironError | undefined;
  #closing: Promise<void> | undefined;

  /** `connect` makes the link to a running server; the handle is its listener. */
  constructor(random: Random, connect: (listener: LinkListener) => Link) {
    this.#random = random;
    this.#link = connect({ onReplies: (replies) => this.#accept(replies), onFailure: (error) => this.#fail(error) });
  }

  async get(key: string): Promise<Entry | undefined> {
    checkKey(key);
    return (await this.#ask({ kind: "get", key })) as Entry | undefined;
  }

  async range(request: RangeRequest): Promise<RangeResult> {
    checkRange(request);
    return (await this.#ask({ kind: "range", request })) as RangeResult;
  }

  async transact(transaction: Transaction): Promise<TransactionResult> {
    const sizeBytes = checkTransaction(transaction);
    return (await this.#ask({ kind: "transact", transaction }, sizeBytes)) as TransactionResult;
  }

  async revision(): Promise<number> {
    return (await this.#ask({ kind: "revision" })) as number;
  }

  async grantLease(ttlMs: number): Promise<string> {
    checkTtl(ttlMs);
    const leaseId = this.#random.uuid();
    await this.#ask({ kind: "grant", leaseId, ttlMs });
    return leaseId;
  }

  async keepLeaseAlive(leaseId: string): Promise<void> {
    await this.#ask({ kind: "renew", leaseId });
  }

  async revokeLease(leaseId: string): Promise<void> {
    for (const hold of this.#holds.values()) if (hold.leaseId === leaseId) hold.release();
    await this.#ask({ kind: "revoke", leaseId });
  }

  async compact(revision: number): Promise<void> {
    checkRevision(revision);
    await this.#ask({ kind: "compact", revision });
  }

  async holdLease(leaseId: string): Promise<LeaseHold> {
    const holdId = this.#nextId++;
    const until = new Float64Array(new SharedArrayBuffer(Float64Array.BYTES_PER_ELEMENT));
    const hold = new SharedLeaseHold(leaseId, until, () => {
      this.#holds.delete(holdId);
      this.#post({ kind: "release", holdId });
    });
    this.#holds.set(holdId, hold);
    try {
      await this.#ask({ kind: "hold", leaseId, holdId, until });
    } catch (error) {
      this.#holds.delete(holdId);
      throw error;
    }
    return hold;
  }

  watch(request: WatchRequest): Watch {
    checkWatch(request);
    this.#checkOpen();
    if (this.#streams.size >= registryLimits.watchesMax) {
      throw new AndironError("limit_exceeded", `a registry handle has at most ${registryLimits.watchesMax} watches`);
    }
    const watchId = this.#nextId++;
    const stream = new WatchStream({
      onTaken: (batches, sizeBytes) => this.#post({ kind: "taken", watchId, batches, sizeBytes }),
      onClosed: () => {
        this.#streams.delete(watchId);
        this.#post({ kind: "unwatch", watchId });
      },
    });
    this.#streams.set(watchId, stream);
    this.#post({ kind: "watch", watchId, request });
    return stream;
  }

  close(): Promise<void> {
    this.#closing ??= this.#end();
    return this.#closing;
  }

  async #end(): Promise<void> {
    for (const stream of this.#streams.values()) stream.close();
    for (const hold of this.#holds.values()) hold.release();
    if (this.#failure === undefined) {
      const closed = this.#ask({ kind: "close" });
      this.#failure = new AndironError("shutting_down", "the registry handle has been closed");
      await closed.catch(() => undefined);
    }
    await this.#link.end();
  }

  #checkOpen(): void {
    if (this.#failure === undefined) return;
    throw new AndironError(this.#failure.code, this.#failure.message, { cause: this.#failure });
  }

  #ask(question: Question, sizeBytes = 0): Promise<unknown> {
    return new Promise((resolve, reject) => {
      this.#checkOpen();
      const full = this.#pending.size >= registryLimits.pendingTransactionsMax;
      if (full || this.#pendingBytes + sizeBytes > registryLimits.pendingBytesMax) {
        throw new AndironError("registry_unavailable", "too many requests wait for the registry", { hint: "is its disk slow?" });
      }
      const id = this.#nextId++;
      this.#pending.set(id, { resolve, reject, sizeBytes });
      this.#pendingBytes += sizeBytes;
      this.#post({ ...question, id });
    });
  }

  /** Sends at the end of this turn of the event loop, together with what else is asked in it. */
  #post(request: Request): void {
    this.#outbox.push(request);
    if (this.#outbox.length > 1) return;
    queueMicrotask(() => {
      const requests = this.#outbox;
      this.#outbox = [];
      this.#link.send(requests);
    });
  }

  #accept(replies: readonly Reply[]): void {
    for (const reply of replies) {
      switch (reply.kind) {
        case "done":
          this.#settle(reply.id)?.resolve(reply.value);
          break;
        case "failed":
          this.#settle(reply.id)?.reject(fromWire(reply.error));
          break;
        case "changes":
          this.#streams.get(reply.watchId)?.push(reply.batch, reply.sizeBytes);
          break;
        case "watch-failed":
          this.#streams.get(reply.watchId)?.fail(fromWire(reply.error));
          this.#streams.delete(reply.watchId);
          break;
        case "hold-lost":
          this.#holds.get(reply.holdId)?.end("lost");
          this.#holds.delete(reply.holdId);
          break;
      }
    }
  }

  #settle(id: number): Pending | undefined {
    const pending = this.#pending.get(id);
    if (pending === undefined) return undefined;
    this.#pending.delete(id);
    this.#pendingBytes -= pending.sizeBytes;
    return pending;
  }

  #fail(error: AndironError): void {
    this.#failure ??= error;
    for (const id of [...this.#pending.keys()]) this.#settle(id)?.reject(error);
    for (const stream of this.#streams.values()) stream.fail(error);
    this.#streams.clear();
    for (const hold of this.#holds.values()) hold.end("lost");
    this.#holds.clear();
  }
}
