// The server that owns a database connection: it answers reads at once, gathers writes into groups, and looks after
// watches, leases and the changes of other processes. One for each handle, in the handle's worker thread.
//
//   write arrives ─► queue ─(turn ends)─► tryBegin ─locked─► again in a millisecond, until lockTimeoutMs
//                                            │
//                                            ▼
//                    apply all that wait, each by itself ─► COMMIT (one fsync) ─► answers, then changes to watches
//
// - An answer to a write leaves after the COMMIT, never before. If the COMMIT fails the whole group fails.
// - Reads are answered between groups, so they see all of what was acknowledged and nothing else.
// - When other processes write too, a pause of about a millisecond after each group lets them have the lock.
// - A tick (look-pace.ts) looks for foreign commits, due renewals and expired leases. It reads shared memory only, and
//   comes by tickMs after the leases known when it was planned want it.

import { AssertionError } from "../../common/assert.ts";
import type { Clock, Timer } from "../../common/clock.ts";
import { AndironError } from "../../common/errors.ts";
import { Holds } from "./holds.ts";
import { LookPace } from "./look-pace.ts";
import type { Renewal } from "./lease-table.ts";
import { toWire } from "./protocol.ts";
import type { Question, Reply, Request, WireError } from "./protocol.ts";
import { asRegistryError, isFsyncFailure, openDatabase } from "./schema.ts";
import { Store } from "./store.ts";
import { Watches } from "./watches.ts";

export interface ServerOptions {
  readonly path: string;
  readonly bootId: string;
  readonly lockTimeoutMs: number;
  /** False for a store that no power loss concerns (simulation): commits then wait for no disk. */
  readonly durable?: boolean;
  /** How often to look for what other processes did, where nothing tells of it; see look-pace.ts. */
  readonly tickMs: number;
  readonly historyRevisionsMax: number;
  readonly historyBytesMax: number;
}

const groupWritesMax = 1000;
const sharingMs = 100; // how long after a foreign commit to leave pauses for other processes

/** One write of a group: done within the transaction, answered after its COMMIT. */
interface Write {
  readonly perform: () => unknown;
  readonly answer: (value: unknown) => void;
  readonly fail: (error: AndironError) => void;
  /** True when the time of the next expiry has to be looked up afterwards. */
  readonly changesLeases?: true;
}

export class StoreServer {
  readonly #options: ServerOptions;
  readonly #clock: Clock;
  readonly #store: Store;
  readonly #send: (replies: Reply[]) => void;
  readonly #watches: Watches;
  readonly #holds: Holds;
  readonly #pace: LookPace;
  #replies: Reply[] = [];
  #queue: Write[] = [];
  #groupPlanned = false;
  #lockWantedSinceMs: number | undefined;
  #dataVersion: number;
  #foreignCommitMs = -Infinity;
  #nextExpiryMs: number;
  #tick: Timer | undefined;
  #poisoned: AndironError | undefined;
  #closing: number | undefined;
  #closed = false;

  private constructor(store: Store, options: ServerOptions, clock: Clock, send: (replies: Reply[]) => void) {
    this.#store = store;
    this.#options = options;
    this.#clock = clock;
    this.#send = send;
    const reply = (reply: Reply): void => void this.#replies.push(reply);
    this.#watches = new Watches(store, reply);
    this.#holds = new Holds(reply);
    this.#pace = new LookPace(options.tickMs);
    this.#dataVersion = store.dataVersion();
    this.#nextExpiryMs = store.nextExpiryMs();
    this.#planTick();
  }

  /** Opens or creates the database. Throws registry_damaged, registry_too_new, registry_unavailable. */
  static async open(options: ServerOptions, clock: Clock, send: (replies: Reply[]) => void): Promise<StoreServer> {
    const { path, bootId } = options;
    const database = await openDatabase(path, clock, options.lockTimeoutMs, options.durable);
    try {
      const history = { revisionsMax: options.historyRevisionsMax, bytesMax: options.historyBytesMax };
      return new StoreServer(new Store(database, { path, bootId, clock, history }), options, clock, send);
    } catch (error) {
      database.close();
      throw asRegistryError(error, path);
    }
  }

  receive(requests: readonly Request[]): void {
    for (const request of requests) this.#accept(request);
    this.#deliver();
  }

  /** Whether alert() is called whenever somebody has written to the file. */
  isTold(told: boolean): void {
    this.#pace.isTold = told;
    this.#planTick();
  }

  /** Somebody wrote to the file: look more closely, unless it was ourselves. */
  alert(): void {
    if (this.#pace.written(this.#clock.monotonicMs())) this.#planTick();
  }

  #accept(request: Request): void {
    if (this.#closed) return;
    switch (request.kind) {
      case "release":
        return this.#holds.release(request.holdId);
      case "watch":
        return this.#openWatch(request.watchId, () => this.#watches.open(request.watchId, request.request));
      case "taken":
        return this.#watches.taken(request.watchId, request.batches, request.sizeBytes);
      case "unwatch":
        return this.#watches.close(request.watchId);
      case "get":
        return this.#read(request.id, () => this.#store.get(request.key));
      case "range":
        return this.#read(request.id, () => this.#store.range(request.request));
      case "revision":
        return this.#read(request.id, () => this.#store.revision());
      case "close":
        this.#closing = request.id;
        return this.#planGroup();
      default:
        return this.#enqueue(this.#writeOf(request));
    }
  }

  #openWatch(watchId: number, open: () => void): void {
    try {
      open();
    } catch (error) {
      this.#watches.close(watchId);
      this.#replies.push({ kind: "watch-failed", watchId, error: this.#wireOf(error) });
    }
  }

  #read(id: number, read: () => unknown): void {
    try {
      this.#replies.push({ kind: "done", id, value: read() });
    } catch (error) {
      this.#replies.push({ kind: "failed", id, error: this.#wireOf(error) });
    }
  }

  #writeOf(request: Question & { readonly id: number }): Write {
    const { id } = request;
    const answer = (value: unknown): void => void this.#replies.push({ kind: "done", id, value });
    const fail = (error: AndironError): void => void this.#replies.push({ kind: "failed", id, error: toWire(error) });
    const store = this.#store;
    switch (request.kind) {
      case "transact":
        return { perform: () => store.transact(request.transaction), answer, fail };
      case "grant":
        return { perform: () => store.grantLease(request.leaseId, request.ttlMs), answer, fail, changesLeases: true };
      case "renew":
        return { perform: () => void store.renewLease(request.leaseId), answer, fail, changesLeases: true };
      case "revoke":
        return { perform: () => store.endLease(request.leaseId), answer, fail, changesLeases: true };
      case "hold": {
        const { holdId, leaseId, until } = request;
        const hold = (renewal: unknown): void => {
          this.#holds.add(holdId, leaseId, until, renewal as Renewal);
          answer(undefined);
        };
        return { perform: () => store.renewLease(leaseId), answer: hold, fail, changesLeases: true };
      }
      case "compact":
        return { perform: () => store.compact(request.revision), answer, fail };
      default:
        throw new TypeError(`not a write: ${request.kind}`);
    }
  }

  #enqueue(write: Write): void {
    this.#queue.push(write);
    this.#planGroup();
  }

  /** At the end of this turn, so that everything that arrived together goes together. */
  #planGroup(): void {
    if (this.#groupPlanned) return;
    this.#groupPlanned = true;
    const nowMs = this.#clock.monotonicMs();
    if (nowMs - this.#foreignCommitMs < sharingMs) this.#clock.after(1, () => this.#runGroup());
    else setImmediate(() => this.#runGroup());
  }

  #runGroup(): void {
    this.#groupPlanned = false;
    if (this.#closed) return;
    if (this.#queue.length > 0) this.#commitGroup();
    if (this.#queue.length > 0 && !this.#groupPlanned) this.#planGroup();
    if (this.#queue.length === 0 && this.#closing !== undefined) return this.#close(this.#closing);
    this.#deliver();
  }

  #commitGroup(): void {
    try {
      if (this.#poisoned !== undefined) throw this.#poisoned;
      if (!this.#store.tryBegin()) return this.#waitForLock();
      this.#lockWantedSinceMs = undefined;
      const group = this.#queue.slice(0, groupWritesMax);
      const finish = group.map((write) => this.#perform(write));
      this.#store.commit();
      this.#pace.committed(this.#clock.monotonicMs());
      this.#queue = this.#queue.slice(group.length);
      for (const tell of finish) tell();
      if (group.some((write) => write.changesLeases)) this.#nextExpiryMs = this.#store.nextExpiryMs();
    } catch (error) {
      if (error instanceof AssertionError) throw error;
      this.#failGroup(error);
    }
  }

  /** Does one write; returns what to say once the group is durable. */
  #perform(write: Write): () => void {
    try {
      const value = write.perform();
      return () => write.answer(value);
    } catch (error) {
      if (!(error instanceof AndironError)) throw error;
      return () => write.fail(error);
    }
  }

  #failGroup(error: unknown): void {
    const failure = asRegistryError(error, this.#options.path);
    if (isFsyncFailure(error)) this.#poisoned = failure;
    const writes = this.#queue;
    this.#queue = [];
    this.#lockWantedSinceMs = undefined;
    try {
      this.#store.rollback();
    } catch (rollbackError) {
      this.#poisoned = asRegistryError(rollbackError, this.#options.path);
    }
    for (const write of writes) write.fail(failure);
  }

  #waitForLock(): void {
    const nowMs = this.#clock.monotonicMs();
    this.#foreignCommitMs = nowMs;
    this.#lockWantedSinceMs ??= nowMs;
    const waitedMs = nowMs - this.#lockWantedSinceMs;
    if (waitedMs < this.#options.lockTimeoutMs) return this.#planGroup();
    this.#failGroup(
      new AndironError("registry_unavailable", `another process has locked the registry for ${Math.round(waitedMs)} ms`),
    );
  }

  #deliver(): void {
    try {
      if (this.#watches.deliver()) setImmediate(() => void (this.#closed || this.#deliver()));
    } catch {
      this.alert(); // the file cannot be read now: the next tick tries again, and reads tell their callers
    }
    if (this.#replies.length === 0) return;
    const replies = this.#replies;
    this.#replies = [];
    this.#send(replies);
  }

  #planTick(): void {
    this.#tick?.cancel();
    if (this.#closed) return;
    const nowMs = this.#clock.monotonicMs();
    const leasesMs = Math.max(this.#options.tickMs, Math.min(this.#nextExpiryMs, this.#holds.nextMs()) - nowMs);
    const delayMs = Math.min(this.#pace.delayMs(nowMs), leasesMs);
    this.#tick = this.#clock.after(delayMs, () => {
      this.#look();
      this.#planTick();
    });
  }

  #look(): void {
    const nowMs = this.#clock.monotonicMs();
    try {
      const dataVersion = this.#store.dataVersion();
      if (dataVersion !== this.#dataVersion) {
        this.#dataVersion = dataVersion;
        this.#foreignCommitMs = nowMs;
        this.#nextExpiryMs = this.#store.nextExpiryMs();
      }
    } catch {
      return; // looked at again with the next tick
    }
    for (const { holdId, leaseId } of this.#holds.takeDue(nowMs)) this.#enqueue(this.#renewalOf(holdId, leaseId));
    if (nowMs >= this.#nextExpiryMs) {
      this.#nextExpiryMs = Infinity;
      this.#enqueue(this.#expiry());
    }
    this.#deliver();
  }

  #expiry(): Write {
    return {
      perform: () => this.#store.endExpiredLeases(),
      answer: () => undefined,
      fail: () => void (this.#nextExpiryMs = 0),
      changesLeases: true,
    };
  }

  #renewalOf(holdId: number, leaseId: string): Write {
    return {
      perform: () => this.#store.renewLease(leaseId),
      answer: (renewal) => this.#holds.renewed(holdId, renewal as Renewal),
      fail: (error) => {
        if (error.code === "lease_lost") this.#holds.lose(holdId);
        else this.#holds.notRenewed(holdId, this.#clock.monotonicMs());
      },
      changesLeases: true,
    };
  }

  #close(id: number): void {
    this.#closed = true;
    this.#tick?.cancel();
    this.#store.close();
    this.#send([...this.#replies, { kind: "done", id, value: undefined }]);
  }

  #wireOf(error: unknown): WireError {
    return toWire(asRegistryError(error, this.#options.path));
  }
}
