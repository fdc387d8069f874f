// Two maps that are not in memory, compared: what differs, by few reads, and nothing kept of what it took. What random programs
// make of it is in model.test.ts, batches and trims in snapshot-view.test.ts.

import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { AndironError } from "../../common/errors.ts";
import { diskClustersMax, engineLimits, pageFanout } from "../limits.ts";
import { Delta } from "./delta.ts";
import { MapDifferences } from "./differences.ts";
import { leafOf, openWorld, sparse, type World } from "./map-world.fixture.ts";
import type { Pages } from "./pages.ts";
import type { Tree } from "./tree.ts";

interface Pair extends World {
  readonly pages: Pages;
  readonly older: Tree;
  readonly newer: Tree;
  readonly differences: MapDifferences;
}

/** The newer map has each cluster at another place, and one more in each leaf. */
async function openPair(t: TestContext): Promise<Pair> {
  const world = await openWorld(t);
  const { clusters, cold, coldTree, foldInto, handle } = world;
  const warm = cold();
  const delta = new Delta();
  for (const cluster of clusters) {
    delta.put(cluster, handle, cluster + 1, 6);
    delta.put(cluster + 2, handle, cluster + 2, 7);
  }
  const folded = await foldInto(warm.pages, warm.tree, delta);
  const { pages, tree: older } = cold();
  const newer = coldTree(pages, folded);
  const none = new Delta();
  const differences = new MapDifferences(pages, { tree: older, delta: none }, { tree: newer, delta: none }, diskClustersMax);
  Object.assign(world.reads, { count: 0, bytes: 0 });
  return { ...world, pages, older, newer, differences };
}

function areBack(pages: Pages): void {
  for (let i = 0; i < engineLimits.windowsLentMax; i++) assert.ok(pages.windows.take() !== undefined, `${i} of all are back`);
}

test("batches of what differs in each leaf of two maps take few reads", async (t) => {
  const { clusters, differences, pages, reads, older } = await openPair(t);
  const found: number[] = [];
  for (let from = 0; from < diskClustersMax;) {
    const { runs, nextCluster } = await differences.next(from, { runsMax: 5000, leavesMax: 1024 });
    for (const { firstCluster, clusterCount, kind } of runs) {
      assert.deepEqual([clusterCount, kind], [1, "data"]);
      found.push(firstCluster);
    }
    from = nextCluster;
  }
  assert.deepEqual(
    found,
    clusters.flatMap((cluster) => [cluster, cluster + 2]),
  );
  assert.ok(reads.count < sparse.leaves / 24, `${reads.count} reads for ${sparse.leaves} leaves of each`);
  assert.equal(older.leafInMemory(leafOf(clusters[3000]!)), -1, "a leaf that went by is not kept");
  areBack(pages);
});

test("what was replaced in each leaf is counted by few reads, as far as it may", async (t) => {
  const { clusters, handle, differences, pages, reads } = await openPair(t);
  let count = 0;
  const counted = (of: number): void => {
    assert.equal(of, handle);
    count++;
  };
  assert.equal(await differences.eachReplaced(sparse.leaves, counted), sparse.leaves);
  assert.equal(count, clusters.length);
  assert.ok(reads.count < sparse.leaves / 60, `${reads.count} reads for ${sparse.leaves} leaves of each`);
  count = 0;
  assert.equal(await differences.eachReplaced(sparse.leaves - 1, counted), undefined);
  assert.equal(count, clusters.length - 1);
  areBack(pages);
});

test("a page that cannot be read ends a batch, and what it took is given back", async (t) => {
  const { clusters, differences, pages, reads } = await openPair(t);
  const from = clusters[3000]!;
  // Windows have been lent by then.
  reads.spoil = () => {
    if (reads.count > 20) throw new AndironError("backend_unavailable", "gone");
  };
  await assert.rejects(differences.next(0, { runsMax: 50_000, leavesMax: 10_000 }), { code: "backend_unavailable" });
  reads.count = 0;
  await assert.rejects(
    differences.eachReplaced(10_000, () => undefined),
    { code: "backend_unavailable" },
  );
  areBack(pages);
  reads.spoil = undefined;
  const { runs } = await differences.next(from, { runsMax: 2, leavesMax: 1 });
  assert.deepEqual(
    runs.map(({ firstCluster }) => firstCluster),
    [from, from + 2],
  );
  assert.ok(from % pageFanout === 0);
});
