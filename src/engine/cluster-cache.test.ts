// The cluster cache against a plain map: it may forget, it must never be wrong, and it keeps to its size.

import assert from "node:assert/strict";
import { test } from "node:test";
import { seededRandom } from "../common/random.ts";
import { ClusterCache } from "./cluster-cache.ts";
import { clusterBytes } from "./limits.ts";

test("what it gives is what was put at that place, whatever was evicted or dropped in between", () => {
  for (let seed = 1; seed <= 20; seed++) {
    const random = seededRandom(seed);
    const slots = 16 + random.below(100);
    const cache = new ClusterCache(slots * clusterBytes + 100);
    const stored = new Map<string, Buffer>();
    for (let step = 0; step < 3000; step++) {
      // Places lie as in a segment: multiples of a cluster, shifted by headers.
      const [handle, offset] = [1 + random.below(4), 184 + random.below(80) * clusterBytes];
      const key = `${handle}@${offset}`;
      const kind = random.below(20);
      if (kind < 8) {
        const source = Buffer.alloc(2 * clusterBytes, step);
        cache.add(handle, offset, source, clusterBytes);
        if (!stored.has(key) || !cache.has(handle, offset)) stored.set(key, source.subarray(clusterBytes));
        const target = Buffer.alloc(clusterBytes);
        assert.ok(cache.copyInto(handle, offset, 0, clusterBytes, target, 0), "what was just added is there");
        stored.set(key, target);
      } else if (kind < 10) {
        cache.drop(handle, offset);
        stored.delete(key);
        assert.equal(cache.has(handle, offset), false);
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
      assert.ok(cache.clusterCount <= slots);
    }
  }
});

test("adding a place again keeps what is there", () => {
  const cache = new ClusterCache(16 * clusterBytes);
  cache.add(1, 0, Buffer.alloc(clusterBytes, 1), 0);
  cache.add(1, 0, Buffer.alloc(clusterBytes, 2), 0);
  const target = Buffer.alloc(1);
  assert.ok(cache.copyInto(1, 0, 0, 1, target, 0));
  assert.equal(target[0], 1);
});

test("what is used again survives a scan that is longer than the cache", () => {
  const cache = new ClusterCache(64 * clusterBytes);
  const source = Buffer.alloc(clusterBytes);
  for (let i = 0; i < 16; i++) cache.add(1, i * clusterBytes, source, 0);
  for (let i = 0; i < 500; i++) {
    cache.copyInto(1, (i % 16) * clusterBytes, 0, 1, Buffer.alloc(1), 0);
    cache.add(2, i * clusterBytes, source, 0);
  }
  assert.equal(Array.from({ length: 16 }, (_, i) => cache.has(1, i * clusterBytes)).filter(Boolean).length, 16);
});
