// The client's side of the handshake ("Fixed newstyle negotiation"): greeting, TLS when wanted, structured replies,
// base:allocation, GO. A server that does not know the optional ones is served without; one without fixed newstyle or
// GO is refused.
//
// - With TLS wanted, nothing but STARTTLS is said in the clear, and a server that declines it is refused.
// - Every answer is bounded in size and in number.

import { AndironError } from "../common/errors.ts";
import { ByteReader } from "./byte-reader.ts";
import {
  allocationContext,
  greetingBytes,
  handshakeFlag,
  infoType,
  magic,
  option,
  optionHeaderBytes,
  optionReply,
  optionReplyErrorBit,
  optionReplyHeaderBytes,
  transmissionFlag,
} from "./constants.ts";
import type { ClientLimits } from "./limits.ts";
import { ProtocolViolation } from "./protocol-violation.ts";
import type { Slab } from "./slab.ts";

export interface ExportInfo {
  readonly sizeBytes: number;
  /** transmissionFlag bits. */
  readonly flags: number;
  readonly payloadBytesMax: number;
  readonly structuredReplies: boolean;
  /** The id of base:allocation, when it was selected. */
  readonly allocationContextId: number | undefined;
}

/** Turns what a socket receives into reads of a given count, one at a time. */
export class HandshakeStream {
  readonly #reader = new ByteReader();
  readonly #resume: () => void;
  #slab: Slab | undefined;
  #waiting: { count: number; resolve(bytes: Buffer): void; reject(error: Error): void } | undefined;
  #failure: Error | undefined;

  constructor(resume: () => void) {
    this.#resume = resume;
  }

  /** As ByteSink.receive: false while bytes are left that nobody has asked for. */
  receive(slab: Slab, start: number, end: number): boolean {
    this.#slab = slab.hold();
    this.#reader.offer(slab.buffer, start, end);
    return this.#pump();
  }

  /** The next `count` bytes. Rejects when the connection fails first. */
  read(count: number): Promise<Buffer> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
    this.#waiting = { count, resolve, reject };
    const stopped = this.#slab !== undefined;
    if (this.#pump() && stopped) this.#resume();
    return promise;
  }

  fail(error: Error): void {
    this.#failure = error;
    this.#waiting?.reject(error);
    this.#waiting = undefined;
  }

  #pump(): boolean {
    if (this.#waiting !== undefined) {
      const bytes = this.#reader.take(this.#waiting.count);
      if (bytes !== undefined) {
        const waiting = this.#waiting;
        this.#waiting = undefined;
        waiting.resolve(bytes);
      }
    }
    if (this.#reader.remainingBytes > 0) return false;
    this.#slab?.release();
    this.#slab = undefined;
    return true;
  }
}

interface OptionReply {
  readonly type: number;
  readonly data: Buffer;
}

function encodeOption(number: number, data: Buffer): Buffer {
  const header = Buffer.alloc(optionHeaderBytes);
  header.writeUInt32BE(magic.optionHigh, 0);
  header.writeUInt32BE(magic.optionLow, 4);
  header.writeUInt32BE(number, 8);
  header.writeUInt32BE(data.length, 12);
  return Buffer.concat([header, data]);
}

/** A string with its 32 bit length. */
function encodeString(text: string): Buffer {
  const bytes = Buffer.from(text, "utf8");
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.length, 0);
  return Buffer.concat([length, bytes]);
}

export class ClientHandshake {
  readonly #stream: HandshakeStream;
  readonly #write: (bytes: Buffer) => void;
  readonly #limits: ClientLimits;

  constructor(stream: HandshakeStream, write: (bytes: Buffer) => void, limits: ClientLimits) {
    this.#stream = stream;
    this.#write = write;
    this.#limits = limits;
  }

  /** Reads the greeting and answers it. */
  async greet(): Promise<void> {
    const greeting = await this.#stream.read(greetingBytes);
    const known =
      greeting.readUInt32BE(0) === magic.nbdMagicHigh &&
      greeting.readUInt32BE(4) === magic.nbdMagicLow &&
      greeting.readUInt32BE(8) === magic.optionHigh &&
      greeting.readUInt32BE(12) === magic.optionLow;
    const flags = greeting.readUInt16BE(16);
    if (!known || (flags & handshakeFlag.fixedNewstyle) === 0) {
      throw new ProtocolViolation("the server does not speak fixed newstyle NBD");
    }
    const answer = Buffer.alloc(4);
    answer.writeUInt32BE(flags & (handshakeFlag.fixedNewstyle | handshakeFlag.noZeroes), 0);
    this.#write(answer);
  }

  /** Asks for TLS; the caller upgrades the socket when this resolves. */
  async askForTls(): Promise<void> {
    const final = (await this.#ask(option.startTls, Buffer.alloc(0))).at(-1);
    if (final?.type === optionReply.ack) return;
    throw new AndironError("owner_unreachable", "the NBD server declines TLS");
  }

  /** Negotiates everything else and enters the transmission phase. Throws export_not_found for an unknown name. */
  async go(exportName: string): Promise<ExportInfo> {
    const structuredReplies = (await this.#ask(option.structuredReply, Buffer.alloc(0))).at(-1)?.type === optionReply.ack;
    const allocationContextId = structuredReplies ? await this.#selectAllocation(exportName) : undefined;
    const wanted = Buffer.alloc(4);
    wanted.writeUInt16BE(1, 0);
    wanted.writeUInt16BE(infoType.blockSize, 2);
    const replies = await this.#ask(option.go, Buffer.concat([encodeString(exportName), wanted]));
    const final = replies.at(-1)!;
    if (final.type === optionReply.errorUnknown) throw new AndironError("export_not_found", "the server has no such export");
    if (final.type === optionReply.errorShutdown) throw new AndironError("shutting_down", "the server is shutting down");
    if (final.type !== optionReply.ack) {
      throw new AndironError("owner_unreachable", `the server refuses the export (reply ${final.type.toString(16)})`);
    }
    return { ...readInfo(replies), structuredReplies, allocationContextId };
  }

  async #selectAllocation(exportName: string): Promise<number | undefined> {
    const count = Buffer.alloc(4);
    count.writeUInt32BE(1, 0);
    const data = Buffer.concat([encodeString(exportName), count, encodeString(allocationContext)]);
    const replies = await this.#ask(option.setMetaContext, data);
    if (replies.at(-1)!.type !== optionReply.ack) return undefined;
    const context = replies.find((reply) => reply.type === optionReply.metaContext && reply.data.length >= 4);
    return context?.data.readUInt32BE(0);
  }

  /** Sends an option; resolves with its replies, the final one (ACK or an error) last. */
  async #ask(number: number, data: Buffer): Promise<OptionReply[]> {
    this.#write(encodeOption(number, data));
    const replies: OptionReply[] = [];
    while (replies.length < this.#limits.optionRepliesMax) {
      const header = await this.#stream.read(optionReplyHeaderBytes);
      const length = header.readUInt32BE(16);
      const fits =
        header.readUInt32BE(0) === magic.optionReplyHigh &&
        header.readUInt32BE(4) === magic.optionReplyLow &&
        header.readUInt32BE(8) === number &&
        length <= this.#limits.optionReplyBytesMax;
      if (!fits) throw new ProtocolViolation("a reply that does not belong to the option");
      const reply = { type: header.readUInt32BE(12), data: await this.#stream.read(length) };
      replies.push(reply);
      if (reply.type === optionReply.ack || reply.type >= optionReplyErrorBit) return replies;
    }
    throw new ProtocolViolation("endless replies to one option");
  }
}

const defaultPayloadBytesMax = 32 * 1024 * 1024;

function readInfo(replies: readonly OptionReply[]): Pick<ExportInfo, "sizeBytes" | "flags" | "payloadBytesMax"> {
  let found: { sizeBytes: number; flags: number } | undefined;
  let payloadBytesMax = defaultPayloadBytesMax;
  for (const { type, data } of replies) {
    if (type !== optionReply.info || data.length < 2) continue;
    const kind = data.readUInt16BE(0);
    if (kind === infoType.export && data.length === 12) {
      found = { sizeBytes: data.readUInt32BE(2) * 2 ** 32 + data.readUInt32BE(6), flags: data.readUInt16BE(10) };
    }
    if (kind === infoType.blockSize && data.length === 14) {
      payloadBytesMax = Math.min(payloadBytesMax, data.readUInt32BE(10));
    }
  }
  if (found === undefined || (found.flags & transmissionFlag.hasFlags) === 0 || !Number.isSafeInteger(found.sizeBytes)) {
    throw new ProtocolViolation("the server entered transmission without saying what it exports");
  }
  return { ...found, payloadBytesMax };
}
