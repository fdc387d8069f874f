// Where clusters lie in a compacted segment, and which of that is kept in memory.

import assert from "node:assert/strict";
import { test } from "node:test";
import type { EncodedIndex, IndexEntry } from "./format/segment.ts";
import { encodeIndex, recordKinds } from "./format/segment.ts";
import { clusterBytes } from "./limits.ts";
import { Translation, Translations } from "./translation.ts";

const firstSequence = 7;

/** Of data entries [original, present, clusters], with offsets in clusters; a record of zeroes lies before each. */
function indexOf(...entries: readonly (readonly [original: number, present: number, clusters: number])[]): EncodedIndex {
  const all = entries.flatMap(([original, present, clusterCount], i): IndexEntry[] => {
    const shared = { sequence: firstSequence + i, firstCluster: 100 * i, clusterCount };
    const offsets = { originalOffset: original * clusterBytes, presentOffset: present * clusterBytes };
    return [
      { kind: recordKinds.zero, ...shared, originalOffset: 0, presentOffset: 0, clusterCrcs: new Uint32Array(0) },
      { kind: recordKinds.data, ...shared, ...offsets, clusterCrcs: new Uint32Array(clusterCount) },
    ];
  });
  return { bytes: encodeIndex(all, firstSequence), entryCount: all.length, firstSequence };
}

/** In clusters. */
function at(translation: Translation, original: number): readonly [present: number | undefined, clusters: number] {
  const { presentOffset, bytes } = translation.at(original * clusterBytes);
  return [presentOffset === undefined ? undefined : presentOffset / clusterBytes, bytes / clusterBytes];
}

test("an original offset is found in its entry, between two, before the first and after the last", () => {
  for (const entries of [
    [
      [2, 1, 3],
      [8, 4, 1],
      [9, 5, 2],
    ] as const,
    [
      [9, 5, 2],
      [2, 1, 3],
      [8, 4, 1],
    ] as const, // whatever their order
  ]) {
    const translation = new Translation(indexOf(...entries));
    const found = [0, 2, 4, 5, 7.5, 8, 9.5, 11].map((original) => at(translation, original));
    assert.deepEqual(found, [
      [undefined, 2],
      [1, 3],
      [3, 1],
      [undefined, 3],
      [undefined, 0.5],
      [4, 1],
      [5.5, 1.5],
      [undefined, Infinity],
    ]);
  }
  assert.deepEqual(at(new Translation(indexOf()), 3), [undefined, Infinity]);
});

test("who asks while it is being loaded waits for the same load, and who asks for another generation does not", async () => {
  const translations = new Translations(100_000);
  const loads: number[] = [];
  const of = (generation: number): Promise<Translation> =>
    translations.of(1, generation, async () => {
      loads.push(generation);
      return new Translation(indexOf([0, generation, 1]));
    });
  const [first, again, other] = await Promise.all([of(1), of(1), of(2)]);
  assert.equal(first, again);
  assert.equal(at(other, 0)[0], 2);
  assert.deepEqual([loads, await of(2)], [[1, 2], other]);
});

test("the least recently used go when there are too many, and a load that failed is done again", async () => {
  const one = new Translation(indexOf([0, 0, 1]));
  const translations = new Translations(2 * one.bytes);
  const loads: number[] = [];
  const of = (handle: number): Promise<Translation> =>
    translations.of(handle, 1, async () => {
      loads.push(handle);
      return new Translation(indexOf([0, handle, 1]));
    });
  for (const handle of [1, 2, 1, 3, 1, 3, 2]) await of(handle);
  assert.deepEqual(loads, [1, 2, 3, 2]);
  await assert.rejects(
    translations.of(9, 1, () => Promise.reject(new Error("no backend"))),
    /no backend/,
  );
  await of(9);
  assert.equal(loads.at(-1), 9);
});
