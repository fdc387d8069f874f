// Segment bytes: what is written is read, and no truncation or flipped byte passes for something else.

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { AndironError } from "../../common/errors.ts";
import type { IndexEntry, RecordFields, SegmentFooter, SegmentHeader } from "./segment.ts";
import * as format from "./segment.ts";

const u32 = fc.integer({ min: 0, max: 2 ** 32 - 1 });
const sequence = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER });
const plain = { noNullPrototype: true } as const;
const segment = fc.record({ log: fc.uuid(), number: u32, epoch: u32 }, plain);
const headers: fc.Arbitrary<SegmentHeader> = fc.record(
  { segment, salt: u32, firstSequence: sequence, generation: u32, flushedSequence: sequence },
  plain,
);
const footers: fc.Arbitrary<SegmentFooter> = fc.record(
  {
    salt: u32,
    headerCrc: u32,
    final: fc.boolean(),
    indexOffset: u32,
    indexBytes: u32,
    indexCrc: u32,
    entryCount: u32,
    dataClusters: u32,
    lastSequence: sequence,
  },
  plain,
);
const records = fc.record({
  fields: fc.record({ salt: u32, epoch: u32, sequence, flushedSequence: sequence, firstCluster: u32, previousCrc: u32 }),
  kind: fc.constantFrom(...Object.values(format.recordKinds)),
  clusterCount: fc.integer({ min: 1, max: 9 }),
  crcs: fc.array(u32, { minLength: 9, maxLength: 9 }),
});

/** Undefined, or an error that says so: either is noticed. */
function decodeQuietly<T>(decode: () => T): T | undefined {
  try {
    return decode();
  } catch (error) {
    assert.ok(error instanceof AndironError, String(error));
    return undefined;
  }
}

/** Each truncation and each byte with a bit flipped. */
function* damaged(bytes: Buffer): Generator<Buffer> {
  for (let length = 0; length < bytes.length; length++) yield bytes.subarray(0, length);
  for (let i = 0; i < bytes.length; i++) {
    const copy = Buffer.from(bytes);
    copy[i] = copy[i]! ^ (1 << (i & 7));
    yield copy;
  }
}

test("headers and footers come back as they were, and damaged ones not at all", () => {
  fc.assert(
    fc.property(headers, footers, (header, footer) => {
      const headBytes = format.encodeHeader(header);
      const { crc, ...decoded } = format.decodeHeader(headBytes)!;
      assert.deepEqual(decoded, header);
      assert.equal(crc, headBytes.readUInt32LE(headBytes.length - 4));
      for (const bytes of damaged(headBytes))
        assert.equal(
          decodeQuietly(() => format.decodeHeader(bytes)),
          undefined,
        );
      const footBytes = format.encodeFooter(footer);
      assert.deepEqual(format.decodeFooter(footBytes), footer);
      for (const bytes of damaged(footBytes))
        assert.equal(
          decodeQuietly(() => format.decodeFooter(bytes)),
          undefined,
        );
    }),
    { numRuns: 40 },
  );
});

test("records come back as they were, and damaged ones not at all", () => {
  fc.assert(
    fc.property(records, fc.nat(50), ({ fields, kind, clusterCount, crcs }, offset) => {
      const clusterCrcs = kind === format.recordKinds.data ? Uint32Array.from(crcs.slice(0, clusterCount)) : new Uint32Array(0);
      const bytes = Buffer.alloc(offset + format.recordPrefixBytes(clusterCrcs.length));
      const all: RecordFields = { ...fields, kind, clusterCount };
      const among = Uint32Array.from([1, 2, ...clusterCrcs, 3]);
      const crc = format.encodeRecord(bytes, offset, all, among, 2, clusterCrcs.length);
      const { salt, epoch: _epoch, ...rest } = all;
      assert.deepEqual(format.decodeRecord(bytes, offset, salt), { ...rest, crc, clusterCrcs });
      assert.equal(format.decodeRecord(bytes, offset, (salt + 1) % 2 ** 32), undefined, "of another use of the file");
      for (const copy of damaged(bytes.subarray(offset))) assert.equal(format.decodeRecord(copy, 0, salt), undefined);
    }),
    { numRuns: 100 },
  );
});

test("an index comes back as it was, and a truncated or lengthened one is refused", () => {
  const entries: fc.Arbitrary<IndexEntry[]> = fc.array(
    fc
      .record({
        relative: fc.nat(1000),
        kind: fc.constantFrom(1 as const, 2 as const),
        firstCluster: u32,
        count: fc.integer({ min: 1, max: 5 }),
        offset: u32,
      })
      .map((entry) => ({
        kind: entry.kind,
        sequence: 77 + entry.relative,
        firstCluster: entry.firstCluster,
        clusterCount: entry.count,
        originalOffset: entry.offset,
        presentOffset: (entry.offset + 9) % 2 ** 32,
        clusterCrcs: new Uint32Array(entry.kind === format.recordKinds.data ? entry.count : 0).fill(entry.offset),
      })),
    { maxLength: 10 },
  );
  fc.assert(
    fc.property(entries, (list) => {
      const bytes = format.encodeIndex(list, 77);
      assert.deepEqual(format.decodeIndex(bytes, list.length, 77), list);
      for (let length = 0; length < bytes.length; length++) {
        assert.throws(() => format.decodeIndex(bytes.subarray(0, length), list.length, 77), { code: "segment_damaged" });
      }
      assert.throws(() => format.decodeIndex(Buffer.concat([bytes, Buffer.alloc(1)]), list.length, 77), {
        code: "segment_damaged",
      });
      assert.throws(() => format.decodeIndex(bytes, list.length + 1, 77), { code: "segment_damaged" });
    }),
    { numRuns: 60 },
  );
});
