// Sweeps: the same pages as one by one, in whatever order they are asked for, with few reads where the order is that of the map;
// and what they leave alone.

import assert from "node:assert/strict";
import { test } from "node:test";
import { AndironError } from "../../common/errors.ts";
import { seededRandom } from "../../common/random.ts";
import { engineLimits, KiB } from "../limits.ts";
import { Delta } from "./delta.ts";
import { full, leafOf, manyFolds, openWorld, sparse } from "./map-world.fixture.ts";
import { PageSweep } from "./page-sweep.ts";

const { leaves } = sparse;

test("leaves in the map's order take few reads, and few bytes that nobody wanted", async (t) => {
  const { reads, tree, clusters, cold } = await openWorld(t);
  const { pages, tree: swept } = cold();
  const sweep = new PageSweep(pages);
  const loaded: Uint32Array[] = [];
  for (const cluster of clusters) loaded.push(await swept.loadLeaf(leafOf(cluster), sweep));
  sweep.end();
  assert.ok(reads.count < leaves / 20, `${reads.count} reads for ${leaves} leaves`);
  assert.ok(reads.bytes < 200 * leaves, `${reads.bytes} bytes for ${leaves} leaves`);
  for (const [i, cluster] of clusters.entries()) assert.deepEqual(loaded[i], await tree.loadLeaf(leafOf(cluster)));
});

test("full leaves in the map's order are read as much at a time as may be", async (t) => {
  const { reads, clusters, cold } = await openWorld(t, full);
  const { pages, tree } = cold();
  const sweep = new PageSweep(pages);
  for (const cluster of clusters) await tree.loadLeaf(leafOf(cluster), sweep);
  sweep.end();
  const least = (full.leaves * 2600) / engineLimits.sweepWindowBytesMax;
  assert.ok(reads.count < 3 * least, `${reads.count} reads where ${least} bring all`);
});

test("a map of more objects than there are windows is read as it is, and all memory is back", async (t) => {
  const { tree, clusters, cold } = await openWorld(t, manyFolds);
  const { pages, tree: swept } = cold();
  const sweep = new PageSweep(pages);
  const order = clusters.map((cluster, i) => ({ cluster, fold: (i * 7) % manyFolds.folds }));
  // By turns of folds: each object's window has been another's when it is needed again.
  for (const { cluster } of order.toSorted(
    (a, b) => Math.floor(a.cluster / 2e6) - Math.floor(b.cluster / 2e6) || a.fold - b.fold,
  ))
    assert.deepEqual(await swept.loadLeaf(leafOf(cluster), sweep), await tree.loadLeaf(leafOf(cluster)));
  sweep.end();
  sweep.end();
  for (let i = 0; i < engineLimits.windowsLentMax; i++) assert.ok(pages.windows.take() !== undefined, `${i} of all are back`);
  assert.equal(pages.windows.take(), undefined);
});

test("what lies beside a page and cannot be read any more does not keep the page from being read", async (t) => {
  const { reads, clusters, cold, foldInto } = await openWorld(t);
  const { pages, tree } = cold();
  let refused = 0;
  reads.spoil = (target) => {
    if (target.length <= engineLimits.pageBytesMax / 4) return;
    refused++;
    throw new AndironError("backend_unavailable", "one of the blocks is bad");
  };
  const delta = new Delta();
  for (const cluster of clusters) delta.put(cluster + 1, 1, 128, 9);
  const folded = await foldInto(pages, tree, delta);
  assert.ok(refused > 0);
  assert.equal((await folded.loadLeaf(leafOf(clusters[77]!)))[0]! >>> 8, 2);
});

test("leaves in any order are the same as one by one, also those that are far from each other", async (t) => {
  const { tree, clusters, cold } = await openWorld(t);
  for (let seed = 1; seed <= 10; seed++) {
    const random = seededRandom(seed);
    const { pages, tree: swept } = cold();
    const sweep = new PageSweep(pages);
    for (let at = 0, i = 0; i < 500; i++) {
      // Runs in order, leaps forwards and back, and some that are nowhere.
      at = random.below(10) === 0 ? random.below(leaves) : Math.min(leaves - 1, at + random.below(40));
      const leaf = leafOf(clusters[at]!) + (random.below(5) === 0 ? 1 : 0);
      assert.deepEqual(await swept.loadLeaf(leaf, sweep), await tree.loadLeaf(leaf), `seed ${seed}, leaf ${leaf}`);
    }
    sweep.end();
  }
});

test("leaves that are all over the map are read one by one, and nothing beside them", async (t) => {
  const { reads, clusters, cold } = await openWorld(t);
  const { pages, tree: swept } = cold();
  const { tree: one } = cold();
  const sweep = new PageSweep(pages);
  for (let at = leaves - 1; at >= 0; at -= 50) {
    reads.bytes = 0;
    await one.loadLeaf(leafOf(clusters[at]!));
    const alone = reads.bytes;
    await swept.loadLeaf(leafOf(clusters[at]!), sweep);
    assert.equal(reads.bytes, 2 * alone, `leaf ${at}`);
  }
  sweep.end();
});

test("a sweep leaves in memory what is in use there, and takes from there what is", async (t) => {
  const { reads, clusters, cold } = await openWorld(t);
  const { pages, tree } = cold();
  const hot = clusters.slice(1000, 1100).map(leafOf);
  for (const leaf of hot) await tree.loadLeaf(leaf);
  const sweep = new PageSweep(pages);
  reads.count = 0;
  for (const leaf of hot) await tree.loadLeaf(leaf, sweep);
  assert.equal(reads.count, 0, "what is in memory is not read");
  const bytes = pages.bytes;
  for (const cluster of clusters) await tree.loadLeaf(leafOf(cluster), sweep);
  sweep.end();
  for (const leaf of hot) assert.ok(tree.leafInMemory(leaf) >= 0, `leaf ${leaf} was driven out`);
  assert.equal(tree.leafInMemory(leafOf(clusters[3000]!)), -1, "a leaf that went by is not kept");
  assert.ok(pages.bytes < bytes + 300 * KiB, "pages above leaves are");
});

test("windows have so much memory together and no more, and give it back", async (t) => {
  const { reads, clusters, cold } = await openWorld(t);
  const { pages, tree } = cold();
  const taken: Buffer[] = [];
  for (let memory = pages.windows.take(); memory !== undefined; memory = pages.windows.take()) taken.push(memory);
  assert.equal(taken.length, engineLimits.windowsLentMax);
  const poor = new PageSweep(pages);
  for (const cluster of clusters.slice(0, 1000)) await tree.loadLeaf(leafOf(cluster), poor);
  poor.end();
  assert.ok(reads.count >= 1000, "one by one, without memory");
  for (const memory of taken) pages.windows.give(memory);
  for (let round = 0; round < 5; round++) {
    reads.count = 0;
    const sweep = new PageSweep(pages);
    for (const cluster of clusters) await tree.loadLeaf(leafOf(cluster), sweep);
    sweep.end();
    assert.ok(reads.count < leaves / 20, `${reads.count} reads in round ${round}`);
  }
  for (let i = 0; i < engineLimits.windowsLentMax; i++) assert.ok(pages.windows.take() !== undefined, `${i} of all are back`);
});

test("a read that fails, or brings other bytes, is told of, and the next one is right", async (t) => {
  const { reads, tree, clusters, cold } = await openWorld(t);
  const { pages, tree: swept } = cold();
  const sweep = new PageSweep(pages);
  let failed = 0;
  const random = seededRandom(1);
  // Now and then back to what is in the same object, before what failed.
  for (let at = 0; at < leaves; at = Math.max(0, at + (random.below(3) === 0 ? -4 : random.below(12)))) {
    const cluster = clusters[at]!;
    const kind = random.below(4);
    if (kind === 0) {
      reads.spoil = (target) => {
        target.fill(0x66);
        throw new AndironError("backend_unavailable", "gone");
      };
    }
    if (kind === 1) reads.spoil = (target) => void target.fill(0x55);
    const [loaded] = await Promise.allSettled([swept.loadLeaf(leafOf(cluster), sweep)]);
    const isSpoilt = reads.spoil !== undefined;
    reads.spoil = undefined;
    if (loaded!.status === "fulfilled") assert.deepEqual(loaded!.value, await tree.loadLeaf(leafOf(cluster)));
    else {
      failed++;
      assert.ok(isSpoilt, "only what failed is told of");
      const { code } = loaded!.reason as AndironError;
      assert.ok(code === "backend_unavailable" || code === "map_damaged", code);
    }
  }
  sweep.end();
  assert.ok(failed > 20, `${failed} failed`);
  for (let i = 0; i < engineLimits.windowsLentMax; i++) assert.ok(pages.windows.take() !== undefined, `${i} of all are back`);
});

test("after a read that failed what was in the window before is right", async (t) => {
  const { reads, tree, clusters, cold } = await openWorld(t);
  const { pages, tree: swept } = cold();
  const sweep = new PageSweep(pages);
  const inOneObject = clusters.filter((_, i) => i % 4 === 0).map(leafOf);
  const same = async (leaf: number): Promise<void> =>
    assert.deepEqual(await swept.loadLeaf(leaf, sweep), await tree.loadLeaf(leaf));
  let failed = 0;
  for (const [i, leaf] of inOneObject.entries()) {
    reads.spoil = (target) => {
      target.fill(0x66);
      throw new AndironError("backend_unavailable", "gone");
    };
    const isRead = await swept.loadLeaf(leaf, sweep).then(
      () => true,
      () => false,
    );
    reads.spoil = undefined;
    if (!isRead && i > 0) {
      failed++;
      await same(inOneObject[i - 1]!);
    }
    await same(leaf);
  }
  sweep.end();
  assert.ok(failed > 5, `${failed} failed`);
});

test("a fold onto a map that is not in memory reads few pages at a time", async (t) => {
  const { reads, clusters, cold, foldInto } = await openWorld(t);
  const { pages, tree } = cold();
  const delta = new Delta();
  for (const cluster of clusters) delta.put(cluster + 1, 1, 128, 9);
  const folded = await foldInto(pages, tree, delta);
  assert.ok(reads.count < leaves / 20, `${reads.count} reads for ${leaves} leaves`);
  const leaf = await folded.loadLeaf(leafOf(clusters[77]!));
  assert.equal(leaf[0]! >>> 8, 2, "the old cluster and the new one");
});

test("a walk over all pages of a map that is not in memory takes few reads", async (t) => {
  const { reads, cold } = await openWorld(t);
  const { tree } = cold();
  let seen = 0;
  await tree.walk((_place, level) => {
    if (level === 0) seen++;
    return true;
  });
  assert.equal(seen, leaves);
  assert.ok(reads.count < 80, `${reads.count} reads`);
});
