// Every message of the protocol, fed to its parser split at every byte, and all of them in one piece.

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { fuzzers } from "./codec.fuzz.ts";
import { command, commandFlag, errno, option, replyType } from "./constants.ts";
import { nbdLimits } from "./limits.ts";
import {
  encodeBlockSizeInfo,
  encodeExportNameReply,
  OptionParser,
  parseInfoRequest,
  parseMetaContextRequest,
  parseName,
  type ClientOption,
} from "./option-codec.ts";
import {
  encodeBlockStatus,
  encodeDone,
  encodeErrorChunk,
  encodeHole,
  encodeSimpleReply,
  writeDataChunkHeader,
} from "./reply-encoding.ts";
import { ReplyParser } from "./reply-parser.ts";
import { encodeRequest, RequestParser } from "./request-codec.ts";
import { Slab, SlabPool } from "./slab.ts";

/** The chunkings of `bytes` that a test goes through: whole, split once at every byte, and byte by byte. */
function* chunkings(bytes: Buffer): Generator<Buffer[]> {
  yield [bytes];
  for (let at = 1; at < bytes.length; at++) yield [bytes.subarray(0, at), bytes.subarray(at)];
  yield Array.from({ length: bytes.length }, (_, at) => bytes.subarray(at, at + 1));
}

function optionBytes(number: number, data: Buffer): Buffer {
  const header = Buffer.from("49484156454F5054" + "00000000" + "00000000", "hex");
  header.writeUInt32BE(number, 8);
  header.writeUInt32BE(data.length, 12);
  return Buffer.concat([header, data]);
}

function parseOptions(chunks: readonly Buffer[], optionBytesMax: number): ClientOption[] {
  const parser = new OptionParser(optionBytesMax);
  const options: ClientOption[] = [];
  for (const chunk of chunks) {
    parser.offer(chunk, 0, chunk.length);
    for (let next = parser.next(); next !== undefined; next = parser.next()) options.push(next);
  }
  return options;
}

function parseRequests(chunks: readonly Buffer[], payloadBytesMax: number): string[] {
  const pool = new SlabPool(0);
  const parser = new RequestParser(pool, payloadBytesMax);
  const seen: string[] = [];
  for (const chunk of chunks) {
    const slab = new Slab(Buffer.from(chunk)).hold();
    parser.offer(slab, 0, chunk.length);
    for (let next = parser.next(); next !== undefined; next = parser.next()) {
      const payload = next.payload?.toString("latin1") ?? "-";
      seen.push(`${next.command} ${next.flags} ${next.cookieLow} ${next.offset} ${next.length} ${payload} ${next.oversized}`);
      next.releasePayload();
    }
    slab.release();
    assert.equal(slab.users, 0, "a parsed chunk is still held");
  }
  return seen;
}

test("options are parsed the same however the stream is split", () => {
  const stream = Buffer.concat([
    Buffer.from([0, 0, 0, 3]),
    optionBytes(option.structuredReply, Buffer.alloc(0)),
    optionBytes(option.go, Buffer.from("\0\0\0\x04disk\0\0", "latin1")),
    optionBytes(77, Buffer.alloc(40, 1)),
    optionBytes(option.abort, Buffer.alloc(0)),
  ]);
  for (const chunks of chunkings(stream)) {
    const options = parseOptions(chunks, 32);
    assert.deepEqual(
      options.map((parsed) => [parsed.option, parsed.data.length, parsed.tooBig]),
      [
        [option.structuredReply, 0, false],
        [option.go, 10, false],
        [77, 0, true],
        [option.abort, 0, false],
      ],
    );
    assert.deepEqual(parseInfoRequest(options[1]!.data, nbdLimits), { exportName: "disk", wanted: [] });
  }
});

test("unknown client flags, a client without fixed newstyle and a bad option magic are violations", () => {
  for (const flags of [4, 0x8000_0003, 0, 2]) {
    const raw = Buffer.alloc(4);
    raw.writeUInt32BE(flags, 0);
    assert.throws(() => parseOptions([raw], 32), { name: "ProtocolViolation" });
  }
  assert.throws(() => parseOptions([Buffer.from([0, 0, 0, 1]), Buffer.alloc(16)], 32), { name: "ProtocolViolation" });
});

test("names, info requests and meta context requests refuse what does not add up", () => {
  assert.equal(parseName(Buffer.from("a\0b"), nbdLimits), undefined);
  assert.equal(parseName(Buffer.from([0xff, 0xfe]), nbdLimits), undefined);
  assert.equal(parseName(Buffer.alloc(4097, 97), nbdLimits), undefined);
  assert.equal(parseName(Buffer.alloc(4096, 97), nbdLimits)?.length, 4096);
  assert.equal(parseInfoRequest(Buffer.from("000000ff610000", "hex"), nbdLimits), undefined);
  assert.equal(parseInfoRequest(Buffer.from("00000001610001", "hex"), nbdLimits), undefined);
  assert.deepEqual(parseInfoRequest(Buffer.from("000000016100010003", "hex"), nbdLimits), { exportName: "a", wanted: [3] });
  const query = Buffer.from("00000001610000000100000003626173", "hex");
  assert.equal(parseMetaContextRequest(query.subarray(0, -1), nbdLimits), undefined);
  assert.deepEqual(parseMetaContextRequest(query, nbdLimits), { exportName: "a", queries: ["bas"] });
  assert.equal(parseMetaContextRequest(Buffer.from("0000000161ffffffff", "hex"), nbdLimits), undefined);
});

test("handshake replies have the layout of the protocol", () => {
  assert.equal(encodeExportNameReply(2 ** 40 + 5, 0x1234, 3).toString("hex"), "00000100000000051234");
  assert.equal(encodeExportNameReply(1, 1, 1).length, 134);
  const info = encodeBlockSizeInfo(option.go, nbdLimits).toString("hex");
  assert.equal(info, "0003e889045565a9" + "00000007" + "00000003" + "0000000e" + "0003" + "00000001" + "00001000" + "02000000");
});

test("requests are parsed the same however the stream is split", () => {
  const stream = Buffer.concat([
    encodeRequest(command.read, commandFlag.dontFragment, 1, 2 ** 40 + 7, 4096),
    encodeRequest(command.write, commandFlag.fua, 2, 512, 5),
    Buffer.from("hello"),
    encodeRequest(command.write, 0, 3, 0, 0),
    encodeRequest(command.write, 0, 4, 9, 20),
    Buffer.alloc(20, 88),
    encodeRequest(command.flush, 0, 5, 0, 0),
  ]);
  for (const chunks of chunkings(stream)) {
    assert.deepEqual(parseRequests(chunks, 16), [
      `0 4 1 ${2 ** 40 + 7} 4096 - false`,
      "1 1 2 512 5 hello false",
      "1 0 3 0 0  false",
      "1 0 4 9 20 - true",
      "3 0 5 0 0 - false",
    ]);
  }
});

test("a request without the magic is a violation", () => {
  assert.throws(() => parseRequests([Buffer.alloc(28)], 16), { name: "ProtocolViolation" });
});

test("the rest of a payload can be read straight into its own buffer", () => {
  const parser = new RequestParser(new SlabPool(0), 1000);
  const slab = new Slab(Buffer.concat([encodeRequest(command.write, 0, 1, 0, 10), Buffer.from("abc")])).hold();
  parser.offer(slab, 0, slab.buffer.length);
  assert.equal(parser.next(), undefined);
  parser.payloadRemainder()!.write("defg");
  assert.equal(parser.payloadReceived(4), undefined);
  const rest = parser.payloadRemainder()!;
  assert.equal(rest.length, 3);
  rest.write("hij");
  assert.equal(parser.payloadReceived(3)?.payload?.toString(), "abcdefghij");
  assert.equal(slab.users, 1);
});

test("replies are parsed the same however the stream is split", () => {
  const cookie = (cookieLow: number): { cookieHigh: number; cookieLow: number } => ({ cookieHigh: 0, cookieLow });
  const data = Buffer.alloc(28 + 6, "x");
  writeDataChunkHeader(data, 0, cookie(1), false, 2 ** 33, 6);
  const extents = [
    { lengthBytes: 10, allocated: true },
    { lengthBytes: 5, allocated: true },
    { lengthBytes: 7, allocated: false },
  ];
  const stream = Buffer.concat([
    ...[encodeSimpleReply(cookie(9), errno.none), Buffer.from("simple"), encodeSimpleReply(cookie(2), errno.EIO), data],
    ...[encodeHole(cookie(1), true, 2 ** 33 + 6, 10), encodeErrorChunk(cookie(3), errno.ENOSPC, "full"), encodeDone(cookie(4))],
    encodeBlockStatus(cookie(5), extents),
  ]);
  for (const chunks of chunkings(stream)) {
    const seen: string[] = [];
    const place = Buffer.alloc(6);
    const receiver = {
      placeForSimple: (id: number) => (id === 9 ? place : undefined),
      placeForChunk: (id: number, offset: number, lengthBytes: number) => {
        seen.push(`place ${id} ${offset} ${lengthBytes}`);
        return place;
      },
      simpleReply: (id: number, error: number) => seen.push(`simple ${id} ${error} ${place.toString()}`),
      dataChunk: (id: number, done: boolean) => seen.push(`data ${id} ${done} ${place.toString()}`),
      chunk: (id: number, type: number, payload: Buffer, done: boolean) => {
        seen.push(`${type} ${id} ${done} ${payload.toString("hex")}`);
      },
    };
    const parser = new ReplyParser(receiver, 1000);
    for (const chunk of chunks) parser.parse(chunk, 0, chunk.length);
    assert.deepEqual(seen, [
      "simple 9 0 simple",
      `simple 2 ${errno.EIO} simple`,
      `place 1 ${2 ** 33} 6`,
      "data 1 false xxxxxx",
      `${replyType.offsetHole} 1 true 00000002000000060000000a`,
      `${replyType.error} 3 true 0000001c000466756c6c`,
      `${replyType.none} 4 true `,
      `${replyType.blockStatus} 5 true 000000010000000f000000000000000700000003`,
    ]);
  }
});

test("any requests in any chunks come out as they went in", () => {
  const request = fc.record({ write: fc.boolean(), offset: fc.nat(), data: fc.uint8Array({ maxLength: 40 }) });
  fc.assert(
    fc.property(
      fc.array(request, { maxLength: 8 }),
      fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1 }),
      (list, cuts) => {
        const parts = list.flatMap(({ write, offset, data }, index) => {
          const header = encodeRequest(write ? command.write : command.trim, 0, index, offset, data.length);
          return write ? [header, Buffer.from(data)] : [header];
        });
        const stream = Buffer.concat(parts);
        const chunks: Buffer[] = [];
        for (let at = 0, turn = 0; at < stream.length; turn++) {
          const end = at + cuts[turn % cuts.length]!;
          chunks.push(stream.subarray(at, end));
          at = end;
        }
        assert.deepEqual(
          parseRequests(chunks, 40),
          list.map(({ write, offset, data }, index) => {
            const payload = write ? Buffer.from(data).toString("latin1") : "-";
            return `${write ? 1 : 4} 0 ${index} ${offset} ${data.length} ${payload} false`;
          }),
        );
      },
    ),
    { numRuns: 200 },
  );
});

for (const fuzzer of fuzzers) {
  test(`the fuzzer ${fuzzer.name} finds nothing in a short run`, () => fuzzer.run(123, 3000));
}
