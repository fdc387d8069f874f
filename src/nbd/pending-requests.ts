// What an NBD client has asked and not been answered: finds the request that a reply belongs to, checks that the reply
// fits it, and lets waiting callers in when there is room.
//
// - A cookie is used by one request at a time. A reply with any other cookie breaks the protocol.
// - A structured READ succeeds only when its chunks lie within the request and together have its length.
// - The first error chunk of a reply decides; the caller is told at the end of the reply.

import { AndironError } from "../common/errors.ts";
import type { Extent } from "../engine/device.ts";
import { command, extentState, replyType, replyTypeErrorBit } from "./constants.ts";
import { errorForErrno } from "./errnos.ts";
import type { ClientLimits } from "./limits.ts";
import { ProtocolViolation } from "./protocol-violation.ts";
import type { ReplyReceiver } from "./reply-parser.ts";

interface Pending {
  readonly command: number;
  readonly offset: number;
  readonly lengthBytes: number;
  readonly carriedBytes: number;
  readonly target: Buffer | undefined;
  readonly extents: Extent[] | undefined;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
  coveredBytes: number;
  error: number;
}

interface Waiting {
  readonly bytes: number;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

export class PendingRequests implements ReplyReceiver {
  structuredReplies = false;
  allocationContextId: number | undefined;
  readonly #limits: ClientLimits;
  readonly #byCookie = new Map<number, Pending>();
  readonly #waiting: Waiting[] = [];
  /** Let in by waitForRoom(), and not added yet. */
  #admitted = 0;
  #bytes = 0;
  #nextCookie = 1;
  #idle: PromiseWithResolvers<void> | undefined;

  constructor(limits: ClientLimits) {
    this.#limits = limits;
  }

  hasRoom(bytes: number): boolean {
    return this.#waiting.length === 0 && this.#fits(bytes);
  }

  /** Resolves when there is room, kept until enter(): a request that carries `bytes` may be added. */
  async waitForRoom(bytes: number): Promise<void> {
    if (this.#waiting.length >= this.#limits.waitingMax) {
      throw new AndironError("limit_exceeded", "too many requests wait for the NBD connection");
    }
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#waiting.push({ bytes, resolve, reject });
    await promise;
  }

  /** Gives up the room that waitForRoom() kept; add() follows. */
  enter(bytes: number): void {
    this.#admitted -= 1;
    this.#bytes -= bytes;
  }

  add(
    type: number,
    offset: number,
    lengthBytes: number,
    carriedBytes: number,
    target: Buffer | undefined,
    extents: Extent[] | undefined,
  ): { cookie: number; promise: Promise<void> } {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    while (this.#byCookie.has(this.#nextCookie)) this.#nextCookie = (this.#nextCookie + 1) >>> 0;
    const cookie = this.#nextCookie;
    this.#nextCookie = (cookie + 1) >>> 0;
    this.#bytes += carriedBytes;
    const what = { command: type, offset, lengthBytes, carriedBytes, target, extents };
    this.#byCookie.set(cookie, { ...what, resolve, reject, coveredBytes: 0, error: 0 });
    return { cookie, promise };
  }

  /** Resolves when nothing is unanswered or waiting. */
  async idle(): Promise<void> {
    if (this.#byCookie.size === 0 && this.#waiting.length === 0 && this.#admitted === 0) return;
    this.#idle ??= Promise.withResolvers<void>();
    await this.#idle.promise;
  }

  failAll(error: Error): void {
    for (const pending of this.#byCookie.values()) pending.reject(error);
    for (const waiting of this.#waiting) waiting.reject(error);
    this.#byCookie.clear();
    this.#waiting.length = 0;
    this.#idle?.resolve();
  }

  placeForSimple(cookie: number): Buffer | undefined {
    const pending = this.#find(cookie);
    if (pending.command !== command.read) return undefined;
    if (this.structuredReplies) throw new ProtocolViolation("simple reply to a READ with structured replies");
    return pending.lengthBytes === 0 ? undefined : pending.target;
  }

  placeForChunk(cookie: number, offset: number, lengthBytes: number): Buffer {
    const pending = this.#find(cookie);
    return this.#cover(pending, offset, lengthBytes);
  }

  simpleReply(cookie: number, error: number): void {
    const pending = this.#find(cookie);
    if (pending.command === command.read) {
      if (this.structuredReplies) throw new ProtocolViolation("simple reply to a READ with structured replies");
      pending.coveredBytes = pending.lengthBytes;
    }
    pending.error = error;
    this.#finish(cookie, pending);
  }

  dataChunk(cookie: number, done: boolean): void {
    if (done) this.#finish(cookie, this.#find(cookie));
  }

  chunk(cookie: number, type: number, payload: Buffer, done: boolean): void {
    const pending = this.#find(cookie);
    if (type >= replyTypeErrorBit) {
      if (payload.length < 6) throw new ProtocolViolation("short error chunk");
      if (pending.error === 0) pending.error = payload.readUInt32BE(0);
      if (pending.error === 0) throw new ProtocolViolation("error chunk without an error");
    } else if (type === replyType.offsetHole) {
      if (payload.length !== 12) throw new ProtocolViolation("hole chunk of a wrong length");
      const offset = payload.readUInt32BE(0) * 2 ** 32 + payload.readUInt32BE(4);
      this.#cover(pending, offset, payload.readUInt32BE(8)).fill(0);
    } else if (type === replyType.blockStatus) {
      this.#readExtents(pending, payload);
    } else if (type !== replyType.none || payload.length > 0 || !done) {
      throw new ProtocolViolation("unknown chunk type");
    }
    if (done) this.#finish(cookie, pending);
  }

  #find(cookie: number): Pending {
    const pending = this.#byCookie.get(cookie);
    if (pending === undefined) throw new ProtocolViolation("reply to a request that was never sent");
    return pending;
  }

  #cover(pending: Pending, offset: number, lengthBytes: number): Buffer {
    const start = offset - pending.offset;
    pending.coveredBytes += lengthBytes;
    const fits = start >= 0 && start + lengthBytes <= pending.lengthBytes && pending.coveredBytes <= pending.lengthBytes;
    if (pending.target === undefined || !fits || lengthBytes === 0) throw new ProtocolViolation("chunk outside of its request");
    return pending.target.subarray(start, start + lengthBytes);
  }

  #readExtents(pending: Pending, payload: Buffer): void {
    const fits = payload.length >= 12 && payload.length % 8 === 4 && pending.extents?.length === 0;
    if (!fits || payload.readUInt32BE(0) !== this.allocationContextId) throw new ProtocolViolation("unasked block status");
    for (let at = 4; at < payload.length; at += 8) {
      const left = pending.lengthBytes - pending.coveredBytes;
      const lengthBytes = Math.min(payload.readUInt32BE(at), left);
      if (lengthBytes === 0) break;
      pending.coveredBytes += lengthBytes;
      pending.extents!.push({ lengthBytes, allocated: (payload.readUInt32BE(at + 4) & extentState.zero) === 0 });
    }
  }

  #finish(cookie: number, pending: Pending): void {
    this.#byCookie.delete(cookie);
    this.#bytes -= pending.carriedBytes;
    if (pending.error !== 0) pending.reject(errorForErrno(pending.error, `command ${pending.command}`));
    else if (pending.command === command.read && pending.coveredBytes !== pending.lengthBytes) {
      pending.reject(new AndironError("nbd_protocol", "the server sent less than was read"));
    } else if (pending.extents?.length === 0) pending.reject(new AndironError("nbd_protocol", "block status without an extent"));
    else pending.resolve();
    this.#admit();
    if (this.#byCookie.size === 0 && this.#waiting.length === 0 && this.#admitted === 0) this.#idle?.resolve();
  }

  #fits(bytes: number): boolean {
    const requests = this.#byCookie.size + this.#admitted;
    if (requests === 0) return true;
    return requests < this.#limits.requestsInFlightMax && this.#bytes + bytes <= this.#limits.bytesInFlightMax;
  }

  #admit(): void {
    for (let next = this.#waiting[0]; next !== undefined && this.#fits(next.bytes); next = this.#waiting[0]) {
      this.#waiting.shift();
      this.#admitted += 1;
      this.#bytes += next.bytes;
      next.resolve();
    }
  }
}
