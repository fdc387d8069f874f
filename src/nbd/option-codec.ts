// The server's side of the handshake over bytes alone ("Newstyle negotiation", "Fixed newstyle negotiation"): the
// greeting, the parser of client flags and options, and the replies to them.
//
//     FLAGS ──► HEADER ──► DATA ──► (option) ──► HEADER ...
//                  └─────► SKIP ──► (option, tooBig) ──► HEADER ...
//
// What an option may contain is decided here (parse functions: undefined means malformed); what it means is not.

import {
  allocationContext,
  allocationContextId,
  clientFlagsBytes,
  exportNamePaddingBytes,
  greetingBytes,
  handshakeFlag,
  infoType,
  magic,
  optionHeaderBytes,
  optionReply,
  optionReplyHeaderBytes,
} from "./constants.ts";
import { ByteReader } from "./byte-reader.ts";
import type { NbdLimits } from "./limits.ts";
import { ProtocolViolation } from "./protocol-violation.ts";

export interface ClientOption {
  readonly option: number;
  readonly data: Buffer;
  /** The data was longer than the limit and has been dropped. */
  readonly tooBig: boolean;
}

export class OptionParser {
  readonly #reader = new ByteReader();
  readonly #optionBytesMax: number;
  #flags: number | undefined;
  #header: { option: number; length: number } | undefined;
  #skipBytes = 0;

  constructor(optionBytesMax: number) {
    this.#optionBytesMax = optionBytesMax;
  }

  /** The client flags, once the first option has been given out. */
  get clientFlags(): number {
    return this.#flags ?? 0;
  }

  /** Bytes offered and not parsed, and where they begin in the offered buffer. */
  get remainingBytes(): number {
    return this.#reader.remainingBytes;
  }

  get position(): number {
    return this.#reader.position;
  }

  offer(chunk: Buffer, start: number, end: number): void {
    this.#reader.offer(chunk, start, end);
  }

  /** The next whole option, or undefined when more bytes are needed. Throws ProtocolViolation on nonsense. */
  next(): ClientOption | undefined {
    if (this.#flags === undefined && !this.#takeFlags()) return undefined;
    this.#header ??= this.#takeHeader();
    if (this.#header === undefined) return undefined;
    const { option, length } = this.#header;
    const tooBig = length > this.#optionBytesMax;
    const data = tooBig ? this.#skipData() : this.#reader.take(length);
    if (data === undefined) return undefined;
    this.#header = undefined;
    return { option, data, tooBig };
  }

  #takeFlags(): boolean {
    const raw = this.#reader.take(clientFlagsBytes);
    if (raw === undefined) return false;
    const flags = raw.readUInt32BE(0);
    if ((flags & ~(handshakeFlag.fixedNewstyle | handshakeFlag.noZeroes)) !== 0) {
      throw new ProtocolViolation("unknown client flags");
    }
    if ((flags & handshakeFlag.fixedNewstyle) === 0) throw new ProtocolViolation("the client does not speak fixed newstyle");
    this.#flags = flags;
    return true;
  }

  #takeHeader(): { option: number; length: number } | undefined {
    const raw = this.#reader.take(optionHeaderBytes);
    if (raw === undefined) return undefined;
    if (raw.readUInt32BE(0) !== magic.optionHigh || raw.readUInt32BE(4) !== magic.optionLow) {
      throw new ProtocolViolation("option without the option magic");
    }
    const length = raw.readUInt32BE(12);
    this.#skipBytes = length;
    return { option: raw.readUInt32BE(8), length };
  }

  #skipData(): Buffer | undefined {
    this.#skipBytes -= this.#reader.skip(this.#skipBytes);
    return this.#skipBytes === 0 ? Buffer.alloc(0) : undefined;
  }
}

/** What the server says first. */
export function encodeGreeting(): Buffer {
  const greeting = Buffer.alloc(greetingBytes);
  greeting.writeUInt32BE(magic.nbdMagicHigh, 0);
  greeting.writeUInt32BE(magic.nbdMagicLow, 4);
  greeting.writeUInt32BE(magic.optionHigh, 8);
  greeting.writeUInt32BE(magic.optionLow, 12);
  greeting.writeUInt16BE(handshakeFlag.fixedNewstyle | handshakeFlag.noZeroes, 16);
  return greeting;
}

export function encodeOptionReply(option: number, type: number, data: Buffer | string = ""): Buffer {
  const payload = typeof data === "string" ? Buffer.from(data, "utf8") : data;
  const reply = Buffer.alloc(optionReplyHeaderBytes + payload.length);
  reply.writeUInt32BE(magic.optionReplyHigh, 0);
  reply.writeUInt32BE(magic.optionReplyLow, 4);
  reply.writeUInt32BE(option, 8);
  reply.writeUInt32BE(type, 12);
  reply.writeUInt32BE(payload.length, 16);
  payload.copy(reply, optionReplyHeaderBytes);
  return reply;
}

/** Size in bytes and transmission flags, as EXPORT_NAME is answered and as INFO_EXPORT contains. */
export function encodeSizeAndFlags(sizeBytes: number, flags: number): Buffer {
  const body = Buffer.alloc(10);
  body.writeUInt32BE(Math.floor(sizeBytes / 2 ** 32), 0);
  body.writeUInt32BE(sizeBytes % 2 ** 32, 4);
  body.writeUInt16BE(flags, 8);
  return body;
}

/** The whole answer to EXPORT_NAME. */
export function encodeExportNameReply(sizeBytes: number, flags: number, clientFlags: number): Buffer {
  const padding = (clientFlags & handshakeFlag.noZeroes) === 0 ? exportNamePaddingBytes : 0;
  return Buffer.concat([encodeSizeAndFlags(sizeBytes, flags), Buffer.alloc(padding)]);
}

/** One NBD_REP_INFO. */
export function encodeInfo(option: number, type: number, body: Buffer | string): Buffer {
  const payload = Buffer.from(typeof body === "string" ? body : body);
  const head = Buffer.alloc(2);
  head.writeUInt16BE(type, 0);
  return encodeOptionReply(option, optionReply.info, Buffer.concat([head, payload]));
}

/** INFO_BLOCK_SIZE: any alignment is served, whole clusters of 4 KiB are served best. */
export function encodeBlockSizeInfo(option: number, limits: NbdLimits): Buffer {
  const body = Buffer.alloc(12);
  body.writeUInt32BE(1, 0);
  body.writeUInt32BE(4096, 4);
  body.writeUInt32BE(limits.payloadBytesMax, 8);
  return encodeInfo(option, infoType.blockSize, body);
}

/** REP_META_CONTEXT for base:allocation; `id` is 0 in answers to LIST. */
export function encodeMetaContext(option: number, selected: boolean): Buffer {
  const head = Buffer.alloc(4);
  head.writeUInt32BE(selected ? allocationContextId : 0, 0);
  return encodeOptionReply(option, optionReply.metaContext, Buffer.concat([head, Buffer.from(allocationContext)]));
}

const utf8 = new TextDecoder("utf-8", { fatal: true });

/** A name as the protocol wants strings: UTF-8, no NUL, at most 4096 bytes. Undefined when it is not. */
export function parseName(raw: Buffer, limits: NbdLimits): string | undefined {
  if (raw.length > limits.nameBytesMax || raw.includes(0)) return undefined;
  try {
    return utf8.decode(raw);
  } catch {
    return undefined;
  }
}

export interface InfoRequest {
  readonly exportName: string;
  readonly wanted: readonly number[];
}

/** Data of INFO and GO: name length, name, count, that many 16 bit types, and nothing behind them. */
export function parseInfoRequest(data: Buffer, limits: NbdLimits): InfoRequest | undefined {
  if (data.length < 6) return undefined;
  const nameBytes = data.readUInt32BE(0);
  if (nameBytes > data.length - 6) return undefined;
  const exportName = parseName(data.subarray(4, 4 + nameBytes), limits);
  const count = data.readUInt16BE(4 + nameBytes);
  if (exportName === undefined || count > limits.optionItemsMax) return undefined;
  if (data.length !== 6 + nameBytes + count * 2) return undefined;
  const wanted = Array.from({ length: count }, (_, index) => data.readUInt16BE(6 + nameBytes + index * 2));
  return { exportName, wanted };
}

export interface MetaContextRequest {
  readonly exportName: string;
  readonly queries: readonly string[];
}

/** Data of LIST_META_CONTEXT and SET_META_CONTEXT: name length, name, count, that many queries with their lengths. */
export function parseMetaContextRequest(data: Buffer, limits: NbdLimits): MetaContextRequest | undefined {
  if (data.length < 8) return undefined;
  const nameBytes = data.readUInt32BE(0);
  if (nameBytes > data.length - 8) return undefined;
  const exportName = parseName(data.subarray(4, 4 + nameBytes), limits);
  const count = data.readUInt32BE(4 + nameBytes);
  if (exportName === undefined || count > limits.optionItemsMax) return undefined;
  const queries: string[] = [];
  let at = 8 + nameBytes;
  for (let index = 0; index < count; index++) {
    if (at + 4 > data.length) return undefined;
    const queryBytes = data.readUInt32BE(at);
    if (queryBytes > data.length - at - 4) return undefined;
    const query = parseName(data.subarray(at + 4, at + 4 + queryBytes), limits);
    if (query === undefined) return undefined;
    queries.push(query);
    at += 4 + queryBytes;
  }
  return at === data.length ? { exportName, queries } : undefined;
}
