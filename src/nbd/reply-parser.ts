// The server-to-client half of the transmission phase, read: simple replies and structured chunks, fed with arbitrary
// pieces of the stream.
//
//       ┌────────────────────────────────────────────┐
//       ▼                                            │
//     HEAD (16 bytes) ── simple ──► READ's data ─────┤
//       │ structured (20)                            │
//       ├── OFFSET_DATA: offset (28) ──► data ───────┤
//       └── any other ──► payload, bounded ──────────┘
//
// - Data goes straight to where the receiver says it belongs; no more than that many bytes are ever taken for it.
// - Which request a cookie means, and whether a chunk fits it, is the receiver's business; it throws ProtocolViolation.

import { magic, replyFlagDone, replyType, simpleReplyBytes, structuredReplyHeaderBytes } from "./constants.ts";
import { dataChunkHeaderBytes } from "./constants.ts";
import { ProtocolViolation } from "./protocol-violation.ts";

export interface ReplyReceiver {
  /** Where the data of a successful simple reply belongs; undefined when the request has none. */
  placeForSimple(cookie: number): Buffer | undefined;
  /** Where the data of an OFFSET_DATA chunk belongs. */
  placeForChunk(cookie: number, offset: number, lengthBytes: number): Buffer;
  /** A simple reply is whole; its data has been placed. */
  simpleReply(cookie: number, error: number): void;
  /** An OFFSET_DATA chunk is whole and placed. */
  dataChunk(cookie: number, done: boolean): void;
  /** Any other chunk. `payload` is the receiver's to keep. */
  chunk(cookie: number, type: number, payload: Buffer, done: boolean): void;
}

export class ReplyParser {
  readonly #receiver: ReplyReceiver;
  readonly #payloadBytesMax: number;
  readonly #head = Buffer.alloc(dataChunkHeaderBytes);
  #headBytes = 0;
  #neededBytes: number = simpleReplyBytes;
  #place: Buffer | undefined;
  #placedBytes = 0;

  constructor(receiver: ReplyReceiver, payloadBytesMax: number) {
    this.#receiver = receiver;
    this.#payloadBytesMax = payloadBytesMax;
  }

  /** Takes the bytes `start` to `end` of `chunk`; keeps no reference to it. Throws ProtocolViolation. */
  parse(chunk: Buffer, start: number, end: number): void {
    let at = start;
    while (at < end) {
      const place = this.#place;
      if (place !== undefined) {
        const copied = Math.min(place.length - this.#placedBytes, end - at);
        chunk.copy(place, this.#placedBytes, at, at + copied);
        at += copied;
        this.placed(copied);
        continue;
      }
      const copied = Math.min(this.#neededBytes - this.#headBytes, end - at);
      chunk.copy(this.#head, this.#headBytes, at, at + copied);
      at += copied;
      this.#headBytes += copied;
      if (this.#headBytes === this.#neededBytes) this.#step();
    }
  }

  /** Where the next bytes belong, for reading the socket straight into it. */
  remainder(): Buffer | undefined {
    return this.#place?.subarray(this.#placedBytes);
  }

  /** Says that `count` bytes have been read into remainder(). */
  placed(count: number): void {
    this.#placedBytes += count;
    if (this.#placedBytes < this.#place!.length) return;
    this.#finish(this.#place!);
  }

  get #cookie(): number {
    return this.#head.readUInt32BE(12);
  }

  get #isSimple(): boolean {
    return this.#head.readUInt32BE(0) === magic.simpleReply;
  }

  #step(): void {
    if (this.#headBytes === simpleReplyBytes) return this.#readMagic();
    const type = this.#head.readUInt16BE(6);
    const length = this.#head.readUInt32BE(16);
    if (type === replyType.offsetData) {
      if (length <= 8) throw new ProtocolViolation("data chunk without data");
      if (this.#headBytes < dataChunkHeaderBytes) this.#neededBytes = dataChunkHeaderBytes;
      else {
        const offset = this.#head.readUInt32BE(20) * 2 ** 32 + this.#head.readUInt32BE(24);
        this.#place = this.#receiver.placeForChunk(this.#cookie, offset, length - 8);
      }
      return;
    }
    if (length > this.#payloadBytesMax) throw new ProtocolViolation("chunk longer than the limit");
    const payload = Buffer.alloc(length);
    if (length === 0) this.#finish(payload);
    else this.#place = payload;
  }

  #readMagic(): void {
    if (this.#head.readUInt32BE(8) !== 0) throw new ProtocolViolation("reply to a request that was never sent");
    if (this.#isSimple) {
      const failed = this.#head.readUInt32BE(4) !== 0;
      this.#place = failed ? undefined : this.#receiver.placeForSimple(this.#cookie);
      if (this.#place === undefined) this.#finish(Buffer.alloc(0));
      return;
    }
    if (this.#head.readUInt32BE(0) !== magic.structuredReply) throw new ProtocolViolation("reply without a reply magic");
    this.#neededBytes = structuredReplyHeaderBytes;
  }

  #finish(place: Buffer): void {
    const cookie = this.#cookie;
    const isSimple = this.#isSimple;
    const done = (this.#head.readUInt16BE(4) & replyFlagDone) !== 0;
    const type = this.#head.readUInt16BE(6);
    this.#place = undefined;
    this.#placedBytes = 0;
    this.#headBytes = 0;
    this.#neededBytes = simpleReplyBytes;
    if (isSimple) this.#receiver.simpleReply(cookie, this.#head.readUInt32BE(4));
    else if (type === replyType.offsetData) this.#receiver.dataChunk(cookie, done);
    else this.#receiver.chunk(cookie, type, place, done);
  }
}
