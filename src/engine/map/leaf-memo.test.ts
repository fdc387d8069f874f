// What is found is what was kept last for that leaf of that tree in that version, or nothing.

import assert from "node:assert/strict";
import { test } from "node:test";
import { seededRandom } from "../../common/random.ts";
import { LeafMemo } from "./leaf-memo.ts";

test("a leaf is found where it was kept last, of its own tree and version only", () => {
  const random = seededRandom(1);
  const memo = new LeafMemo();
  const trees = [memo.newTree(), memo.newTree(), memo.newTree()];
  const kept = new Map<string, number>();
  let found = 0;
  for (let round = 0; round < 50_000; round++) {
    const tree = trees[random.below(trees.length)]!;
    const leaf = random.below(6000);
    const version = 2 ** 32 - 2 + random.below(4);
    const name = [tree, leaf, version].join();
    if (random.below(2) === 0) {
      memo.keep(tree, leaf, version, round);
      kept.set(name, round);
      assert.equal(memo.find(tree, leaf, version), round);
    } else {
      const position = memo.find(tree, leaf, version);
      if (position < 0) continue;
      found++;
      assert.equal(position, kept.get(name));
    }
  }
  assert.ok(found > 500, `${found} found`);
});
