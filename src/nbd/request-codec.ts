// The client-to-server half of the transmission phase ("Request message"), parsed and built over bytes alone.
//
//        offer() ──► HEADER ──► next() gives a request
//                     │  ▲
//      WRITE of at    │  │ whole: next() gives the request
//      most the limit ▼  │
//                   PAYLOAD          a longer WRITE: next() gives it at once, `oversized`,
//                                    and SKIP drops its payload before the next HEADER
//
// - A payload that lies whole in the offered chunk is passed as a part of it, and the slab is held for the request; the
//   receiver releases it when the device has settled. Any other payload gets a buffer of its own, held likewise.
// - While a payload is incomplete, payloadRemainder() is where the socket may be read into without any copy.
// - Nothing is validated here but the magic: see request-validation.ts.

import { assert } from "../common/assert.ts";
import { command, magic, requestHeaderBytes } from "./constants.ts";
import { ProtocolViolation } from "./protocol-violation.ts";
import type { Slab, SlabPool } from "./slab.ts";

export class Request {
  readonly flags: number;
  readonly command: number;
  readonly cookieHigh: number;
  readonly cookieLow: number;
  /** Bytes; beyond 2^53 rounded, which is beyond the end of any device. */
  readonly offset: number;
  readonly length: number;
  /** A WRITE longer than the limit: its payload was dropped. */
  readonly oversized: boolean;
  /** Data of a WRITE, and the slab it lies in: held for this request. */
  payload: Buffer | undefined = undefined;
  slab: Slab | undefined = undefined;

  constructor(buffer: Buffer, at: number, payloadBytesMax: number) {
    this.flags = buffer.readUInt16BE(at + 4);
    this.command = buffer.readUInt16BE(at + 6);
    this.cookieHigh = buffer.readUInt32BE(at + 8);
    this.cookieLow = buffer.readUInt32BE(at + 12);
    this.offset = buffer.readUInt32BE(at + 16) * 2 ** 32 + buffer.readUInt32BE(at + 20);
    this.length = buffer.readUInt32BE(at + 24);
    this.oversized = this.command === command.write && this.length > payloadBytesMax;
  }

  /** Ends this request's hold on its payload. */
  releasePayload(): void {
    this.slab?.release();
    this.slab = undefined;
    this.payload = undefined;
  }
}

export class RequestParser {
  readonly #pool: SlabPool;
  readonly #payloadBytesMax: number;
  readonly #header = Buffer.alloc(requestHeaderBytes);
  #headerBytes = 0;
  #slab: Slab | undefined;
  #position = 0;
  #end = 0;
  #pending: Request | undefined;
  #payloadBytes = 0;
  #skipBytes = 0;

  constructor(pool: SlabPool, payloadBytesMax: number) {
    this.#pool = pool;
    this.#payloadBytesMax = payloadBytesMax;
  }

  /** True when everything offered has been parsed. */
  get starved(): boolean {
    return this.#position === this.#end;
  }

  /** Gives the next bytes; all of the last ones must have been parsed. The slab is held until they are. */
  offer(slab: Slab, start: number, end: number): void {
    assert(this.starved, "a chunk was offered before the last one was parsed");
    if (start === end) return;
    this.#slab = slab.hold();
    this.#position = start;
    this.#end = end;
  }

  /** The next whole request, or undefined when more bytes are needed. Throws ProtocolViolation on a bad magic. */
  next(): Request | undefined {
    while (!this.starved) {
      if (this.#skipBytes > 0) this.#skip();
      else {
        const request = this.#pending === undefined ? this.#takeHeader() : this.#takePayload(this.#pending);
        if (request !== undefined) {
          this.#dropUsedSlab();
          return request;
        }
      }
    }
    this.#dropUsedSlab();
    return undefined;
  }

  /** The part of an incomplete payload that is still to come, for reading straight into it. */
  payloadRemainder(): Buffer | undefined {
    if (this.#pending?.payload === undefined || !this.starved) return undefined;
    return this.#pending.payload.subarray(this.#payloadBytes);
  }

  /** Says that `count` bytes were read into payloadRemainder(); gives the request when that made it whole. */
  payloadReceived(count: number): Request | undefined {
    const request = this.#pending;
    assert(request?.payload !== undefined, "payload was received outside of a payload");
    this.#payloadBytes += count;
    assert(this.#payloadBytes <= request.payload.length, "more payload was received than asked for");
    return this.#payloadBytes === request.length ? this.#finishPayload(request) : undefined;
  }

  /**
   * Lets go of what was begun; the parser is of no further use. The slab of an incomplete payload is left to the garbage
   * collector, not to its pool: the socket may still read into it.
   */
  dispose(): void {
    this.#pending = undefined;
    this.#skipBytes = 0;
    this.#position = this.#end;
    this.#dropUsedSlab();
  }

  #dropUsedSlab(): void {
    if (!this.starved || this.#slab === undefined) return;
    this.#slab.release();
    this.#slab = undefined;
  }

  #skip(): void {
    const skipped = Math.min(this.#skipBytes, this.#end - this.#position);
    this.#position += skipped;
    this.#skipBytes -= skipped;
  }

  #takeHeader(): Request | undefined {
    const slab = this.#slab!;
    const available = this.#end - this.#position;
    if (this.#headerBytes === 0 && available >= requestHeaderBytes) {
      const at = this.#position;
      this.#position += requestHeaderBytes;
      return this.#begin(slab.buffer, at);
    }
    const copied = Math.min(requestHeaderBytes - this.#headerBytes, available);
    slab.buffer.copy(this.#header, this.#headerBytes, this.#position, this.#position + copied);
    this.#position += copied;
    this.#headerBytes += copied;
    if (this.#headerBytes < requestHeaderBytes) return undefined;
    this.#headerBytes = 0;
    return this.#begin(this.#header, 0);
  }

  #begin(buffer: Buffer, at: number): Request | undefined {
    if (buffer.readUInt32BE(at) !== magic.request) throw new ProtocolViolation("request without the request magic");
    const request = new Request(buffer, at, this.#payloadBytesMax);
    if (request.command !== command.write) return request;
    if (request.oversized) {
      this.#skipBytes = request.length;
      return request;
    }
    const slab = this.#slab!;
    if (this.#end - this.#position >= request.length) {
      request.slab = slab.hold();
      request.payload = slab.buffer.subarray(this.#position, this.#position + request.length);
      this.#position += request.length;
      return request;
    }
    request.slab = this.#pool.take(request.length);
    request.payload = request.slab.buffer.subarray(0, request.length);
    this.#pending = request;
    this.#payloadBytes = 0;
    return undefined;
  }

  #takePayload(request: Request): Request | undefined {
    const copied = Math.min(request.length - this.#payloadBytes, this.#end - this.#position);
    this.#slab!.buffer.copy(request.payload!, this.#payloadBytes, this.#position, this.#position + copied);
    this.#position += copied;
    this.#payloadBytes += copied;
    return this.#payloadBytes === request.length ? this.#finishPayload(request) : undefined;
  }

  #finishPayload(request: Request): Request {
    this.#pending = undefined;
    this.#payloadBytes = 0;
    return request;
  }
}

/** A request header; the caller sends the data of a WRITE behind it. `offset` in bytes, below 2^53. */
export function encodeRequest(command: number, flags: number, cookie: number, offset: number, length: number): Buffer {
  const header = Buffer.allocUnsafe(requestHeaderBytes);
  header.writeUInt32BE(magic.request, 0);
  header.writeUInt16BE(flags, 4);
  header.writeUInt16BE(command, 6);
  header.writeUInt32BE(0, 8);
  header.writeUInt32BE(cookie, 12);
  header.writeUInt32BE(Math.floor(offset / 2 ** 32), 16);
  header.writeUInt32BE(offset % 2 ** 32, 20);
  header.writeUInt32BE(length, 24);
  return header;
}
