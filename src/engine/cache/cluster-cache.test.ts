// The contract of cluster caches against a plain map, for both of them; and what keeping equal clusters once is worth.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { crc32 } from "../../common/crc32.ts";
import { seededRandom } from "../../common/random.ts";
import { clusterBytes } from "../limits.ts";
import type { LentBytes } from "../device.ts";
import type { ClusterCache } from "./cluster-cache.ts";
import { ContentCache } from "./content-cache.ts";
import { PlaceCache } from "./place-cache.ts";

function add(cache: ClusterCache, handle: number, offset: number, source: Buffer, sourceOffset: number): void {
  const crc = crc32(source.subarray(sourceOffset, sourceOffset + clusterBytes));
  cache.add(handle, offset, source, sourceOffset, crc);
}

function describeClusterCache(label: string, placesPerSlot: number, open: (bytesMax: number) => ClusterCache): void {
  describe(`cluster cache ${label}`, () => {
    test("what it gives is what was put at that place, whatever was evicted in between", () => {
      for (let seed = 1; seed <= 20; seed++) {
        const random = seededRandom(seed);
        const slots = 16 + random.below(100);
        const cache = open(slots * clusterBytes + 100);
        const stored = new Map<string, Buffer>();
        for (let step = 0; step < 3000; step++) {
          // Places lie as in a segment: multiples of a cluster, shifted by headers.
          const [handle, offset] = [1 + random.below(4), 184 + random.below(80) * clusterBytes];
          const key = `${handle}@${offset}`;
          const kind = random.below(20);
          if (kind < 8) {
            const source = Buffer.alloc(2 * clusterBytes, step);
            add(cache, handle, offset, source, clusterBytes);
            if (!stored.has(key) || !cache.has(handle, offset)) stored.set(key, source.subarray(clusterBytes));
            const target = Buffer.alloc(clusterBytes);
            assert.ok(cache.copyInto(handle, offset, 0, clusterBytes, target, 0), "what was just added is there");
            stored.set(key, target);
          } else {
            const target = Buffer.alloc(20, 0xee);
            const from = random.below(clusterBytes - 10);
            const there = cache.has(handle, offset);
            assert.equal(cache.copyInto(handle, offset, from, 10, target, 5), there);
            if (there)
              assert.ok(
                stored
                  .get(key)!
                  .subarray(from, from + 10)
                  .equals(target.subarray(5, 15)),
              );
            else
              assert.ok(
                target.every((byte) => byte === 0xee),
                "a miss leaves the target alone",
              );
          }
          assert.ok(cache.clusterCount <= slots * placesPerSlot);
        }
      }
    });

    test("adding a place again keeps what is there", () => {
      const cache = open(16 * clusterBytes);
      add(cache, 1, 0, Buffer.alloc(clusterBytes, 1), 0);
      add(cache, 1, 0, Buffer.alloc(clusterBytes, 2), 0);
      const target = Buffer.alloc(1);
      assert.ok(cache.copyInto(1, 0, 0, 1, target, 0));
      assert.equal(target[0], 1);
    });

    test("what is used again survives a scan that is longer than the cache", () => {
      const cache = open(64 * clusterBytes);
      const source = Buffer.alloc(clusterBytes);
      for (let i = 0; i < 16; i++) add(cache, 1, i * clusterBytes, source, 0);
      for (let i = 0; i < 500; i++) {
        cache.copyInto(1, (i % 16) * clusterBytes, 0, 1, Buffer.alloc(1), 0);
        add(cache, 2, i * clusterBytes, source, 0);
      }
      assert.equal(Array.from({ length: 16 }, (_, i) => cache.has(1, i * clusterBytes)).filter(Boolean).length, 16);
    });

    test("a run of clusters is copied as far as it lies together, and never beyond what is here", () => {
      for (let seed = 1; seed <= 5; seed++) {
        const random = seededRandom(seed);
        const cache = open((16 + random.below(48)) * clusterBytes);
        for (let step = 0; step < 1500; step++) {
          const count = 1 + random.below(12);
          const handles = new Uint32Array(count);
          const offsets = new Uint32Array(count);
          const [handle, first] = [1 + random.below(2), random.below(30)];
          for (let i = 0; i < count; i++) {
            handles[i] = random.below(8) === 0 ? 0 : handle;
            offsets[i] = (first + i) * clusterBytes;
          }
          handles[0] = handle;
          if (random.below(2) === 0) {
            const source = Buffer.alloc(clusterBytes);
            for (let i = 0; i < count; i++) {
              if (handles[i] === 0) continue;
              source.fill(handle * 100 + first + i);
              add(cache, handle, offsets[i]!, source, 0);
            }
            continue;
          }
          const [from, to] = [0, 1 + random.below(count)];
          const target = Buffer.alloc(count * clusterBytes, 0xee);
          const copied = cache.copyRun(handles, offsets, from, to, target, 0);
          assert.equal(copied > 0, cache.has(handle, offsets[0]!));
          assert.ok(copied <= to);
          for (let i = 0; i < count; i++) {
            const expected = i < copied ? (handle * 100 + first + i) & 0xff : 0xee;
            assert.ok(target.subarray(i * clusterBytes, (i + 1) * clusterBytes).every((byte) => byte === expected));
            if (i < copied) assert.notEqual(handles[i], 0);
          }
        }
      }
    });

    test("clusters that were put one after the other are copied in one run", () => {
      const cache = open(64 * clusterBytes);
      const handles = new Uint32Array(32).fill(7);
      const offsets = Uint32Array.from(handles, (_, i) => 184 + i * clusterBytes);
      for (let i = 0; i < 32; i++) add(cache, 7, offsets[i]!, Buffer.alloc(clusterBytes, i), 0);
      assert.equal(cache.copyRun(handles, offsets, 0, 32, Buffer.alloc(32 * clusterBytes), 0), 32);
      assert.equal(cache.hits, 32);
    });
  });
}

describe("clusters that are lent", () => {
  const slots = 64;
  const handles = new Uint32Array(slots).fill(7);
  const offsetsFrom = (first: number): Uint32Array => Uint32Array.from(handles, (_, i) => 184 + (first + i) * clusterBytes);
  const bytesOf = (from: number, to: number): Buffer =>
    Buffer.concat(Array.from({ length: to - from }, (_, i) => Buffer.alloc(clusterBytes, from + i)));
  const joined = (lent: readonly LentBytes[]): Buffer => Buffer.concat(lent.map(({ bytes }) => bytes));

  function filled(): PlaceCache {
    const cache = new PlaceCache(slots * clusterBytes);
    for (const [i, offset] of offsetsFrom(0).entries()) add(cache, 7, offset, Buffer.alloc(clusterBytes, i), 0);
    return cache;
  }

  function pass(cache: PlaceCache, handle: number): void {
    for (let i = 0; i < 3 * slots; i++) add(cache, handle, i * clusterBytes, Buffer.alloc(clusterBytes, 0xee), 0);
  }

  test("stay as they are while the cache is filled anew, and go when they were given back", () => {
    const cache = filled();
    const [first, second] = [cache.lend(handles, offsetsFrom(3), 8, 8)!, cache.lend(handles, offsetsFrom(5), 2, 2)!];
    pass(cache, 8);
    assert.ok(joined(first).equals(bytesOf(3, 11)));
    for (const each of first) each.giveBack();
    pass(cache, 9);
    assert.ok(joined(second).equals(bytesOf(5, 7)), "lent twice, given back once");
    assert.equal(cache.has(7, offsetsFrom(3)[0]!), false);
    for (const each of second) each.giveBack();
    pass(cache, 10);
    assert.equal(cache.has(7, offsetsFrom(5)[0]!), false);
    assert.equal(cache.clusterCount, slots);
  });

  test("are all that was asked for, in pieces that are worth it, and a quarter of the cache at most", () => {
    const cache = filled();
    const jump = offsetsFrom(0);
    jump.copyWithin(4, 20);
    assert.equal(cache.lend(handles, jump, 12, 5), undefined, "the first piece is too short");
    const lent = cache.lend(handles, jump, 12, 4)!;
    assert.deepEqual(
      lent.map(({ bytes }) => bytes.length / clusterBytes),
      [4, 8],
    );
    assert.ok(joined(lent).equals(Buffer.concat([bytesOf(0, 4), bytesOf(20, 28)])));
    assert.equal(cache.hits, 12);
    assert.equal(cache.lend(handles, offsetsFrom(40), 5, 1), undefined, "seventeen of 64");
    for (const each of lent) each.giveBack();
    assert.equal(cache.lend(handles, offsetsFrom(56), 9, 1), undefined, "one is not here");
    assert.equal(joined(cache.lend(handles, offsetsFrom(60), 4, 8)!).length, 4 * clusterBytes);
  });

  test("are used once when they are lent, and not at all when they are not", () => {
    const cache = new PlaceCache(slots * clusterBytes);
    for (let i = 0; i < 16; i++) cache.add(7, offsetsFrom(0)[i]!, Buffer.alloc(clusterBytes, i), 0, 0, true);
    const partly = offsetsFrom(0);
    partly.copyWithin(8, 40);
    assert.equal(cache.lend(handles, partly, 16, 8), undefined);
    assert.equal(cache.hits, 0);
    for (const each of cache.lend(handles, offsetsFrom(0), 8, 8)!) each.giveBack();
    assert.equal(cache.hits, 8);
    // What was read ahead has had its first use: a scan takes its place. The others wait for theirs.
    pass(cache, 8);
    assert.equal(cache.has(7, offsetsFrom(0)[0]!), false);
  });
});

describeClusterCache("by place", 1, (bytesMax) => new PlaceCache(bytesMax));
describeClusterCache("by content", 2, (bytesMax) => new ContentCache(bytesMax));

describe("equal clusters", () => {
  test("are there at twice as many places as there are slots, and take one", () => {
    const cache = new ContentCache(16 * clusterBytes);
    const same = Buffer.alloc(clusterBytes, 1);
    for (let i = 0; i < 17; i++) add(cache, 1, i * clusterBytes, same, 0);
    // Fifteen others, each of its own: all fit beside the one that the seventeen share.
    for (let i = 0; i < 15; i++) add(cache, 2, i * clusterBytes, Buffer.alloc(clusterBytes, 10 + i), 0);
    assert.equal(cache.clusterCount, 32);
    for (let i = 0; i < 17; i++) assert.ok(cache.has(1, i * clusterBytes));
    for (let i = 0; i < 15; i++) {
      const target = Buffer.alloc(1);
      assert.ok(cache.copyInto(2, i * clusterBytes, 0, 1, target, 0));
      assert.equal(target[0], 10 + i);
    }
  });

  test("with the same checksum and other bytes are never taken for one another", () => {
    const cache = new ContentCache(16 * clusterBytes);
    cache.add(1, 0, Buffer.alloc(clusterBytes, 1), 0, 77);
    cache.add(1, clusterBytes, Buffer.alloc(clusterBytes, 2), 0, 77);
    const target = Buffer.alloc(1);
    assert.equal(cache.copyInto(1, clusterBytes, 0, 1, target, 0), false);
    assert.ok(cache.copyInto(1, 0, 0, 1, target, 0));
    assert.equal(target[0], 1);
  });

  test("content goes with its last place, and its slot is used again", () => {
    const cache = new ContentCache(16 * clusterBytes);
    for (let i = 0; i < 500; i++) {
      add(cache, 1, i * clusterBytes, Buffer.alloc(clusterBytes, `content ${i >> 1}`), 0);
      const target = Buffer.alloc(clusterBytes);
      assert.ok(cache.copyInto(1, i * clusterBytes, 0, clusterBytes, target, 0));
      assert.ok(target.equals(Buffer.alloc(clusterBytes, `content ${i >> 1}`)));
      assert.ok(cache.clusterCount <= 32);
    }
  });
});
