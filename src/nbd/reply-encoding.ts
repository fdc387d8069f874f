// The server-to-client half of the transmission phase, written: "Simple reply message", "Structured reply chunk
// message" and the chunk types. Functions that fill a given place in a buffer are for the hot path; the others return a
// whole small message.

import type { Extent } from "../engine/device.ts";
import {
  allocationContextId,
  dataChunkHeaderBytes,
  extentState,
  magic,
  replyFlagDone,
  replyType,
  simpleReplyBytes,
  structuredReplyHeaderBytes,
  type Errno,
} from "./constants.ts";

export interface Cookie {
  readonly cookieHigh: number;
  readonly cookieLow: number;
}

/** Writes the 16 bytes of a simple reply at `at`; a READ's data follows them. */
export function writeSimpleReply(target: Buffer, at: number, cookie: Cookie, error: Errno): void {
  target.writeUInt32BE(magic.simpleReply, at);
  target.writeUInt32BE(error, at + 4);
  target.writeUInt32BE(cookie.cookieHigh, at + 8);
  target.writeUInt32BE(cookie.cookieLow, at + 12);
}

function writeChunkHeader(target: Buffer, at: number, cookie: Cookie, type: number, done: boolean, length: number): void {
  target.writeUInt32BE(magic.structuredReply, at);
  target.writeUInt16BE(done ? replyFlagDone : 0, at + 4);
  target.writeUInt16BE(type, at + 6);
  target.writeUInt32BE(cookie.cookieHigh, at + 8);
  target.writeUInt32BE(cookie.cookieLow, at + 12);
  target.writeUInt32BE(length, at + 16);
}

function writeOffset(target: Buffer, at: number, offset: number): void {
  target.writeUInt32BE(Math.floor(offset / 2 ** 32), at);
  target.writeUInt32BE(offset % 2 ** 32, at + 4);
}

/** Writes the 28 bytes before the data of an OFFSET_DATA chunk of `dataBytes`. */
export function writeDataChunkHeader(
  target: Buffer,
  at: number,
  cookie: Cookie,
  done: boolean,
  offset: number,
  dataBytes: number,
): void {
  writeChunkHeader(target, at, cookie, replyType.offsetData, done, dataBytes + 8);
  writeOffset(target, at + structuredReplyHeaderBytes, offset);
}

export function encodeSimpleReply(cookie: Cookie, error: Errno): Buffer {
  const reply = Buffer.allocUnsafe(simpleReplyBytes);
  writeSimpleReply(reply, 0, cookie, error);
  return reply;
}

/** The end of a reply that had all its content before, or has none. */
export function encodeDone(cookie: Cookie): Buffer {
  const chunk = Buffer.allocUnsafe(structuredReplyHeaderBytes);
  writeChunkHeader(chunk, 0, cookie, replyType.none, true, 0);
  return chunk;
}

/** `holeBytes` zeroes at `offset`. */
export function encodeHole(cookie: Cookie, done: boolean, offset: number, holeBytes: number): Buffer {
  const chunk = Buffer.allocUnsafe(dataChunkHeaderBytes + 4);
  writeChunkHeader(chunk, 0, cookie, replyType.offsetHole, done, 12);
  writeOffset(chunk, structuredReplyHeaderBytes, offset);
  chunk.writeUInt32BE(holeBytes, dataChunkHeaderBytes);
  return chunk;
}

/** The final error chunk, with a short text for people (it is shown to guests' administrators: never a secret). */
export function encodeErrorChunk(cookie: Cookie, error: Errno, message: string): Buffer {
  const text = Buffer.from(message, "utf8").subarray(0, 256);
  const chunk = Buffer.allocUnsafe(structuredReplyHeaderBytes + 6 + text.length);
  writeChunkHeader(chunk, 0, cookie, replyType.error, true, 6 + text.length);
  chunk.writeUInt32BE(error, 20);
  chunk.writeUInt16BE(text.length, 24);
  text.copy(chunk, 26);
  return chunk;
}

/** base:allocation of consecutive extents; neighbours of the same state become one descriptor. */
export function encodeBlockStatus(cookie: Cookie, extents: readonly Extent[]): Buffer {
  const chunk = Buffer.allocUnsafe(structuredReplyHeaderBytes + 4 + extents.length * 8);
  chunk.writeUInt32BE(allocationContextId, structuredReplyHeaderBytes);
  let end = structuredReplyHeaderBytes + 4;
  let allocated: boolean | undefined;
  let lengthBytes = 0;
  for (const extent of extents) {
    if (extent.allocated === allocated) {
      lengthBytes += extent.lengthBytes;
    } else {
      allocated = extent.allocated;
      lengthBytes = extent.lengthBytes;
      end += 8;
      chunk.writeUInt32BE(allocated ? 0 : extentState.hole | extentState.zero, end - 4);
    }
    chunk.writeUInt32BE(lengthBytes, end - 8);
  }
  writeChunkHeader(chunk, 0, cookie, replyType.blockStatus, true, end - structuredReplyHeaderBytes);
  return chunk.subarray(0, end);
}
