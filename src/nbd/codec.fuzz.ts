// Fuzzers of the NBD codec: mutated and random streams in random chunks. What must hold whatever comes in: a parser
// either gives messages or throws ProtocolViolation, gives the same messages for the same bytes however they are cut,
// and holds nothing once it has parsed everything.

import { assert } from "../common/assert.ts";
import { seededRandom, type Random } from "../common/random.ts";
import { clientLimits, nbdLimits } from "./limits.ts";
import { OptionParser, parseInfoRequest, parseMetaContextRequest, parseName } from "./option-codec.ts";
import { PendingRequests } from "./pending-requests.ts";
import { ProtocolViolation } from "./protocol-violation.ts";
import { encodeErrorChunk, encodeHole, encodeSimpleReply, writeDataChunkHeader } from "./reply-encoding.ts";
import { ReplyParser } from "./reply-parser.ts";
import { encodeRequest, RequestParser } from "./request-codec.ts";
import { Slab, SlabPool } from "./slab.ts";

export interface Fuzzer {
  readonly name: string;
  /** Runs `iterations` inputs made from `seed`; rejects with the input that broke a rule. */
  run(seed: number, iterations: number): Promise<void>;
}

function mutate(random: Random, bytes: Buffer): Buffer {
  for (let count = random.below(4); count > 0 && bytes.length > 0; count--) bytes[random.below(bytes.length)] = random.below(256);
  return random.below(4) === 0 ? bytes.subarray(0, random.below(bytes.length + 1)) : bytes;
}

function cut(random: Random, bytes: Buffer): Buffer[] {
  const chunks: Buffer[] = [];
  for (let at = 0; at < bytes.length;) {
    const end = at + 1 + random.below(random.below(2) === 0 ? 4 : 100);
    chunks.push(bytes.subarray(at, end));
    at = end;
  }
  return chunks;
}

/** What `parse` notes about the chunks, ending in "violation" when it throws one. */
function transcript(parse: (chunks: readonly Buffer[], note: (line: string) => void) => void, chunks: readonly Buffer[]): string {
  const lines: string[] = [];
  try {
    parse(chunks, (line) => lines.push(line));
  } catch (error) {
    if (!(error instanceof ProtocolViolation)) throw error;
    lines.push("violation");
  }
  return lines.join("\n");
}

function fuzzer(
  name: string,
  make: (random: Random) => Buffer,
  parse: (chunks: readonly Buffer[], note: (line: string) => void) => void,
): Fuzzer {
  return {
    name,
    async run(seed, iterations) {
      const random = seededRandom(seed);
      for (let iteration = 0; iteration < iterations; iteration++) {
        const bytes = mutate(random, make(random));
        const whole = transcript(parse, bytes.length === 0 ? [] : [bytes]);
        const split = transcript(parse, cut(random, bytes));
        assert(whole === split, () => `${name}, seed ${seed}, iteration ${iteration}: ${bytes.toString("hex")}`);
        if (iteration % 1000 === 999) await new Promise(setImmediate);
      }
    },
  };
}

function makeOptions(random: Random): Buffer {
  const parts: Buffer[] = [Buffer.from([0, 0, 0, random.below(16) === 0 ? random.below(256) : 3])];
  for (let count = random.below(5); count > 0; count--) {
    const data = random.bytes(random.below(40));
    const header = Buffer.from("49484156454F50540000000000000000", "hex");
    header.writeUInt32BE(random.below(14), 8);
    header.writeUInt32BE(data.length, 12);
    parts.push(header, data);
  }
  return Buffer.concat(parts);
}

function parseOptions(chunks: readonly Buffer[], note: (line: string) => void): void {
  const parser = new OptionParser(24);
  for (const chunk of chunks) {
    parser.offer(chunk, 0, chunk.length);
    for (let next = parser.next(); next !== undefined; next = parser.next()) {
      const { data } = next;
      const info = JSON.stringify([parseInfoRequest(data, nbdLimits), parseMetaContextRequest(data, nbdLimits)]);
      note(`${next.option} ${data.toString("hex")} ${next.tooBig} ${parseName(data, nbdLimits)} ${info}`);
    }
  }
}

function makeRequests(random: Random): Buffer {
  const parts: Buffer[] = [];
  for (let count = random.below(6); count > 0; count--) {
    const type = random.below(9);
    const length = random.below(60);
    parts.push(encodeRequest(type, random.below(32), random.below(2 ** 32), random.below(2 ** 32) * 2048, length));
    if (type === 1) parts.push(random.bytes(length));
  }
  return Buffer.concat(parts);
}

function parseRequests(chunks: readonly Buffer[], note: (line: string) => void): void {
  const parser = new RequestParser(new SlabPool(0), 50);
  for (const chunk of chunks) {
    const slab = new Slab(Buffer.from(chunk)).hold();
    parser.offer(slab, 0, chunk.length);
    for (let next = parser.next(); next !== undefined; next = parser.next()) {
      const { command, flags, cookieHigh, cookieLow, offset, length, oversized } = next;
      note([command, flags, cookieHigh, cookieLow, offset, length, oversized, next.payload?.toString("hex")].join(" "));
      next.releasePayload();
    }
    slab.release();
    assert(slab.users === 0, "a parsed chunk is still held");
  }
}

function makeReplies(random: Random): Buffer {
  const parts: Buffer[] = [];
  for (let count = random.below(6); count > 0; count--) {
    const cookie = { cookieHigh: 0, cookieLow: 1 + random.below(4) };
    const done = random.below(2) === 0;
    const data = Buffer.alloc(28 + 1 + random.below(32));
    writeDataChunkHeader(data, 0, cookie, done, 4096 + random.below(32), data.length - 28);
    const hole = encodeHole(cookie, done, 4096 + random.below(32), 1 + random.below(32));
    parts.push([data, hole, encodeSimpleReply(cookie, 0), encodeErrorChunk(cookie, 5, "broken")][random.below(4)]!);
  }
  return Buffer.concat(parts);
}

function parseReplies(chunks: readonly Buffer[], note: (line: string) => void): void {
  const pending = new PendingRequests(clientLimits);
  pending.structuredReplies = true;
  const target = Buffer.alloc(64);
  const forget = (): void => {};
  for (let count = 0; count < 3; count++) pending.add(0, 4096, 64, 64, target, undefined).promise.catch(forget);
  pending.add(3, 0, 0, 0, undefined, undefined).promise.catch(forget);
  const parser = new ReplyParser(pending, 4096);
  try {
    for (const chunk of chunks) parser.parse(chunk, 0, chunk.length);
  } finally {
    note(target.toString("hex"));
  }
}

export const fuzzers: readonly Fuzzer[] = [
  fuzzer("nbd-options", makeOptions, parseOptions),
  fuzzer("nbd-requests", makeRequests, parseRequests),
  fuzzer("nbd-replies", makeReplies, parseReplies),
];
