// The transmission phase of one connection, without its socket: bytes come in, requests run on the device, replies go
// to the queue.
//
//     bytes ──► RequestParser ──► validateRequest ──► device ──► ReplyQueue ──► (sent)
//       ▲                                                                          │
//       └────────── receive() said false: stopped until requests and bytes ◄───────┘
//                   in flight are below their limits again (onResume)
//
// - A request is in flight from its header until the kernel has taken its reply. What is not parsed is not in flight.
// - `end()` takes no more requests; onIdle is called when the last one in flight is answered.
// - `inDevice` counts the requests that the device still works on: the session may be closed at zero only.

import { AssertionError } from "../common/assert.ts";
import { errorCodeOf } from "../common/errors.ts";
import type { BlockDevice, Extent } from "../engine/device.ts";
import { command, commandFlag, dataChunkHeaderBytes, errno, simpleReplyBytes, type Errno } from "./constants.ts";
import { errnoFor } from "./errnos.ts";
import type { NbdLimits } from "./limits.ts";
import type { Logger, NbdMetrics } from "./observer.ts";
import {
  encodeBlockStatus,
  encodeDone,
  encodeErrorChunk,
  encodeSimpleReply,
  writeDataChunkHeader,
  writeSimpleReply,
} from "./reply-encoding.ts";
import type { ReplyQueue } from "./reply-queue.ts";
import { RequestParser, type Request } from "./request-codec.ts";
import { validateRequest, type Negotiated } from "./request-validation.ts";
import { type Slab, slabOf, type SlabPool } from "./slab.ts";
import type { Share } from "./turn-shares.ts";
import type { ByteSink } from "./socket-input.ts";
import { readSparse } from "./sparse-read.ts";

export interface TransmissionOptions {
  readonly device: BlockDevice;
  readonly negotiated: Negotiated;
  readonly limits: NbdLimits;
  readonly pool: SlabPool;
  /** Of the export, in each turn of the loop. */
  readonly share: Share;
  readonly logger: Logger;
  readonly metrics: NbdMetrics;
  /** The socket may be read again. */
  readonly onResume: () => void;
  /** Nothing is in flight any more after end(). */
  readonly onIdle: () => void;
  /** After dispose(): the device has settled the last request. */
  readonly onQuiet: () => void;
  /** The connection must be cut without an answer. */
  readonly onCut: (reason: string, detail: string) => void;
}

/** Reads up to this size are made straight into the slab that small replies are sent from. */
const smallReadBytesMax = 32 * 1024;

export class Transmission implements ByteSink {
  readonly #options: TransmissionOptions;
  readonly #device: BlockDevice;
  readonly #structured: boolean;
  readonly #queue: ReplyQueue;
  readonly #parser: RequestParser;
  readonly #headBytes: number;
  #requestsInFlight = 0;
  #bytesInFlight = 0;
  #inDevice = 0;
  #awaited: { readonly settled: Promise<void>; readonly requests: Request[] } | undefined;
  #blocked = false;
  #waitsForTurn = false;
  #ended = false;
  #draining = false;
  #isDisconnected = false;
  #disposed = false;

  constructor(options: TransmissionOptions, makeQueue: (onSent: (requests: number, bytes: number) => void) => ReplyQueue) {
    this.#options = options;
    this.#device = options.device;
    this.#structured = options.negotiated.structuredReplies;
    this.#headBytes = this.#structured ? dataChunkHeaderBytes : simpleReplyBytes;
    this.#parser = new RequestParser(options.pool, options.limits.payloadBytesMax);
    this.#queue = makeQueue((requests, bytes) => this.#sent(requests, bytes));
  }

  get inDevice(): number {
    return this.#inDevice;
  }

  /** The client has asked for the end. */
  get isDisconnected(): boolean {
    return this.#isDisconnected;
  }

  get requestsInFlight(): number {
    return this.#requestsInFlight;
  }

  receive(slab: Slab, start: number, end: number): boolean {
    if (this.#ended) return false;
    this.#parser.offer(slab, start, end);
    return this.#advance();
  }

  directTarget(): Buffer | undefined {
    return this.#ended ? undefined : this.#parser.payloadRemainder();
  }

  wantedBytes(): number {
    return this.#options.share.bytesMax;
  }

  receiveDirect(count: number): boolean {
    if (this.#ended) return false;
    const request = this.#parser.payloadReceived(count);
    if (request !== undefined) this.#accept(request);
    return this.#advance();
  }

  /** Answers ESHUTDOWN to every request from now on, and ends when nothing is in flight. */
  drain(): void {
    this.#draining = true;
    if (this.#requestsInFlight === 0) this.end();
  }

  /** Takes no more requests; what is in flight is finished first. */
  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#parser.dispose();
    if (this.#requestsInFlight === 0) this.#options.onIdle();
  }

  /** The socket is gone: drops what is queued. Requests inside the device go on, unanswered. */
  dispose(): void {
    if (this.#disposed) return;
    this.#options.share.done();
    this.#disposed = true;
    this.#ended = true;
    this.#parser.dispose();
    this.#queue.dispose();
  }

  /** Runs what has been received, as far as the limits allow. False when reading has to stop. */
  #advance(): boolean {
    const { requestsInFlightMax, bytesInFlightMax } = this.#options.limits;
    while (!this.#ended) {
      this.#blocked = this.#requestsInFlight >= requestsInFlightMax || this.#bytesInFlight >= bytesInFlightMax;
      if (this.#blocked || !this.#mayBegin()) return false;
      const request = this.#parser.next();
      if (request === undefined) return true;
      this.#accept(request);
    }
    return false;
  }

  /** False when the export's share of this turn is used up; goes on in the next. */
  #mayBegin(): boolean {
    const { share } = this.#options;
    if (share.mayBegin) return true;
    if (!this.#waitsForTurn) {
      this.#waitsForTurn = true;
      share.whenNext(() => {
        this.#waitsForTurn = false;
        if (!this.#ended) this.#resume();
      });
    }
    return false;
  }

  #sent(requests: number, bytes: number): void {
    this.#requestsInFlight -= requests;
    this.#bytesInFlight -= bytes;
    if (this.#requestsInFlight === 0 && this.#draining) this.end();
    else if (this.#requestsInFlight === 0 && this.#ended) this.#options.onIdle();
    else if (this.#blocked) this.#resume();
  }

  #resume(): void {
    try {
      if (this.#advance()) this.#options.onResume();
    } catch (error) {
      if (error instanceof AssertionError) throw error;
      this.#options.onCut("protocol", String(error));
    }
  }

  #accept(request: Request): void {
    if (request.command === command.disconnect) {
      request.releasePayload();
      this.#isDisconnected = true;
      return this.end();
    }
    this.#requestsInFlight += 1;
    this.#bytesInFlight += costOf(request);
    this.#options.share.spend(turnCostOf(request, this.#options.limits));
    const refusal = this.#draining
      ? errno.ESHUTDOWN
      : validateRequest(request, this.#device, this.#options.negotiated, this.#options.limits.payloadBytesMax);
    if (refusal !== errno.none) return this.#refuse(request, refusal, "refused");
    if (request.length === 0 && request.command !== command.flush) return this.#succeed(request);
    if (request.command === command.read && !this.#queue.hasRoom) this.#queue.whenRoom(() => this.#start(request));
    else this.#start(request);
  }

  #start(request: Request): void {
    if (this.#disposed) return;
    try {
      this.#run(request);
    } catch (error) {
      this.#fail(request, error);
    }
  }

  #run(request: Request): void {
    const { offset, length } = request;
    const fua = (request.flags & commandFlag.fua) !== 0;
    switch (request.command) {
      case command.read:
        return this.#read(request);
      case command.write:
        return this.#await(request, this.#device.write(offset, request.payload!, { fua }));
      case command.flush:
        return this.#await(request, this.#device.flush());
      case command.trim:
        return this.#await(request, this.#device.trim(offset, length, { fua }));
      case command.writeZeroes: {
        const noHole = (request.flags & commandFlag.noHole) !== 0;
        return this.#await(request, this.#device.writeZeroes(offset, length, { fua, noHole }));
      }
      case command.cache:
        return this.#await(request, this.#device.cache(offset, length));
      default:
        return this.#blockStatus(request);
    }
  }

  #leaveDevice(): void {
    this.#inDevice -= 1;
    if (this.#inDevice === 0 && this.#disposed) this.#options.onQuiet();
  }

  /** What the device answers by one promise, such as writes that it has gathered, waits for it together. */
  #await(request: Request, settled: Promise<void>): void {
    this.#inDevice += 1;
    if (this.#awaited?.settled === settled) return void this.#awaited.requests.push(request);
    const awaited = { settled, requests: [request] };
    this.#awaited = awaited;
    settled.then(
      () => {
        if (this.#awaited === awaited) this.#awaited = undefined;
        for (const each of awaited.requests) {
          this.#leaveDevice();
          this.#succeed(each);
        }
      },
      (error: unknown) => {
        if (this.#awaited === awaited) this.#awaited = undefined;
        for (const each of awaited.requests) {
          this.#leaveDevice();
          this.#fail(each, error);
        }
      },
    );
  }

  #read(request: Request): void {
    const { offset, length } = request;
    if (length > smallReadBytesMax && length <= this.#options.limits.readChunkBytesMax && this.#readLent(request)) return;
    const fragmentable = this.#structured && (request.flags & commandFlag.dontFragment) === 0;
    if (fragmentable && length >= this.#options.limits.sparseReadBytesMin) {
      return this.#answerFrom(request, readSparse(request, this.#device, this.#options, this.#queue));
    }
    if (length > smallReadBytesMax) return this.#readLarge(request);
    const totalBytes = this.#headBytes + length;
    const at = this.#queue.begin(totalBytes);
    const settled = this.#device.read(offset, this.#queue.buffer.subarray(at + this.#headBytes, at + totalBytes));
    if (settled === undefined) {
      this.#writeReadHead(this.#queue.buffer, at, request);
      this.#queue.commit(totalBytes);
      return this.#answered(request, errno.none);
    }
    const slab = this.#queue.detach(totalBytes);
    this.#inDevice += 1;
    settled.then(
      () => {
        this.#leaveDevice();
        this.#writeReadHead(slab.buffer, at, request);
        this.#queue.pushLate(slab, at, at + totalBytes);
        this.#answered(request, errno.none);
      },
      (error: unknown) => {
        this.#leaveDevice();
        slab.release();
        this.#fail(request, error);
      },
    );
  }

  /** What all lies in the device's memory is sent from there, as one piece of data. False when it does not. */
  #readLent(request: Request): boolean {
    const lent = this.#device.lend?.(request.offset, request.length);
    if (lent === undefined) return false;
    this.#queueReadHead(request);
    for (const piece of lent) this.#queue.push(slabOf(piece), 0, piece.bytes.length);
    this.#answered(request, errno.none);
    return true;
  }

  #readLarge(request: Request): void {
    const slab = this.#options.pool.take(request.length);
    const answer = (): void => {
      this.#queueReadHead(request);
      this.#queue.push(slab, 0, request.length);
      this.#answered(request, errno.none);
    };
    const settled = this.#device.read(request.offset, slab.buffer.subarray(0, request.length));
    if (settled === undefined) return answer();
    this.#inDevice += 1;
    settled.then(
      () => {
        this.#leaveDevice();
        answer();
      },
      (error: unknown) => {
        this.#leaveDevice();
        slab.release();
        this.#fail(request, error);
      },
    );
  }

  /** Waits for `settled`, which has queued the whole reply when it resolves. */
  #answerFrom(request: Request, settled: Promise<void>): void {
    this.#inDevice += 1;
    settled.then(
      () => {
        this.#leaveDevice();
        this.#answered(request, errno.none);
      },
      (error: unknown) => {
        this.#leaveDevice();
        this.#fail(request, error);
      },
    );
  }

  #blockStatus(request: Request): void {
    const one = (request.flags & commandFlag.requestOne) !== 0;
    const countMax = one ? 1 : this.#options.limits.blockStatusExtentsMax;
    const found = this.#device.extents(request.offset, request.length, countMax);
    const reply = (extents: Extent[]): void => this.#queue.append(encodeBlockStatus(request, extents));
    if (found instanceof Promise) return this.#answerFrom(request, found.then(reply));
    reply(found);
    this.#answered(request, errno.none);
  }

  #queueReadHead(request: Request): void {
    const at = this.#queue.begin(this.#headBytes);
    this.#writeReadHead(this.#queue.buffer, at, request);
    this.#queue.commit(this.#headBytes);
  }

  #writeReadHead(target: Buffer, at: number, request: Request): void {
    if (this.#structured) writeDataChunkHeader(target, at, request, true, request.offset, request.length);
    else writeSimpleReply(target, at, request, errno.none);
  }

  #succeed(request: Request): void {
    if (this.#structured && request.command === command.read) this.#queue.append(encodeDone(request));
    else {
      const at = this.#queue.begin(simpleReplyBytes);
      writeSimpleReply(this.#queue.buffer, at, request, errno.none);
      this.#queue.commit(simpleReplyBytes);
    }
    this.#answered(request, errno.none);
  }

  #refuse(request: Request, error: Errno, message: string): void {
    const reply = this.#structured ? encodeErrorChunk(request, error, message) : encodeSimpleReply(request, error);
    this.#queue.append(reply);
    this.#answered(request, error);
  }

  #answered(request: Request, error: Errno): void {
    request.releasePayload();
    this.#queue.answered(costOf(request));
    this.#options.metrics.replied(request.command, request.length, error);
  }

  /** The edge: an error of the device is logged here and becomes an errno, or ends the connection. */
  #fail(request: Request, error: unknown): void {
    if (error instanceof AssertionError) throw error;
    const answer = errnoFor(error);
    const code = errorCodeOf(error);
    const fields = { code, command: request.command, offset: request.offset, length: request.length, error: String(error) };
    if (code === "internal") this.#options.logger.error("NBD request failed", fields);
    else this.#options.logger.warning("NBD request failed", fields);
    if (answer !== "cut") return this.#refuse(request, answer, code);
    request.releasePayload();
    this.#options.onCut("fenced", code);
  }
}

/** Bytes of payload that a request keeps in memory, in whichever direction. */
function costOf(request: Request): number {
  return request.command === command.write || request.command === command.read ? request.length : 0;
}

/** Of a turn of the loop. What changes the disk is received, checksummed and appended: it takes about twice as long as a read. */
function turnCostOf(request: Request, { requestCostBytesMin }: NbdLimits): number {
  const bytes = Math.max(costOf(request), requestCostBytesMin);
  return request.command === command.read ? bytes : 2 * bytes;
}
