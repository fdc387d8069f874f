// The index that grows word by word is the one that is encoded at once.

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { IndexWriter } from "./index-writer.ts";
import type { IndexEntry } from "./segment.ts";
import { encodeIndex, recordKinds } from "./segment.ts";

const u32 = fc.integer({ min: 0, max: 2 ** 32 - 1 });

const entries: fc.Arbitrary<IndexEntry[]> = fc
  .array(
    fc.record({ isData: fc.boolean(), firstCluster: u32, crcs: fc.array(u32, { minLength: 1, maxLength: 300 }), offset: u32 }),
    { maxLength: 40 },
  )
  .map((list) =>
    list.map(({ isData, firstCluster, crcs, offset }, i) => ({
      kind: isData ? recordKinds.data : recordKinds.zero,
      sequence: 2 ** 40 + i * 3,
      firstCluster,
      clusterCount: crcs.length,
      originalOffset: offset,
      presentOffset: offset,
      clusterCrcs: Uint32Array.from(isData ? crcs : []),
    })),
  );

test("what is added word by word is the index of all entries, at every moment", () => {
  fc.assert(
    fc.property(entries, fc.nat(5), (list, pad) => {
      const writer = new IndexWriter(2 ** 40);
      let dataClusters = 0;
      for (const [i, entry] of list.entries()) {
        const { kind, sequence, firstCluster, clusterCount, originalOffset, clusterCrcs } = entry;
        const among = Uint32Array.from([...Array<number>(pad).fill(7), ...clusterCrcs, 8]);
        writer.add(kind, sequence, firstCluster, clusterCount, originalOffset, among, pad, clusterCrcs.length);
        dataClusters += clusterCrcs.length;
        assert.equal(writer.entryCount, i + 1);
      }
      assert.equal(writer.dataClusters, dataClusters);
      assert.deepEqual(writer.bytes(), encodeIndex(list, 2 ** 40));
      assert.deepEqual(writer.entries(), list);
    }),
    { numRuns: 100 },
  );
});

test("the bytes that were taken stay when entries are added", () => {
  const writer = new IndexWriter(1);
  const crcs = Uint32Array.of(5);
  writer.add(recordKinds.data, 1, 2, 1, 128, crcs, 0, 1);
  const taken = writer.bytes();
  const copy = Buffer.from(taken);
  for (let i = 2; i < 3000; i++) writer.add(recordKinds.data, i, i, 1, i * 4096, crcs, 0, 1);
  assert.deepEqual(taken, copy);
});
