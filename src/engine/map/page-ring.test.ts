// Pages in one array: what is found is what was added, the oldest go first, what is used again stays, and room is bounded.

import assert from "node:assert/strict";
import { test } from "node:test";
import { seededRandom, type Random } from "../../common/random.ts";
import { entryAt, lengthOf, nextPresent, PageDraft, pageWordsMax } from "../format/page-words.ts";
import { KiB, pageFanout } from "../limits.ts";
import { PageRing } from "./page-ring.ts";

const bytesMax = 64 * KiB;

/** A leaf, mostly of few clusters. */
function randomLeaf(random: Random): Uint32Array {
  const draft = new PageDraft(0);
  draft.begin(undefined);
  for (let count = random.below(8) === 0 ? pageFanout : 1 + random.below(6); count > 0; count--)
    draft.setCluster(random.below(pageFanout), 1 + random.below(1000), random.below(2 ** 32), random.below(2 ** 32));
  return draft.pack()!.slice();
}

test("what is found is what was added, whatever came and went meanwhile, within the bytes", () => {
  for (let seed = 1; seed <= 20; seed++) {
    const random = seededRandom(seed);
    const ring = new PageRing(bytesMax);
    const added = new Map<number, Uint32Array>();
    let found = 0;
    for (let round = 0; round < 4000; round++) {
      const key = random.below(1500);
      const name = [key % 3, key % 7, key * 58] as const;
      const at = ring.find(...name);
      if (at >= 0) {
        found++;
        assert.equal(lengthOf(ring.words, at), added.get(key)!.length);
        assert.deepEqual(ring.words.slice(at, at + added.get(key)!.length), added.get(key));
      } else {
        const page = randomLeaf(random);
        added.set(key, page);
        ring.add(...name, page);
        assert.ok(ring.find(...name) >= 0, "what was just added is there");
      }
      assert.ok(ring.bytes <= bytesMax);
    }
    assert.ok(found > 200, `${found} found`);
  }
});

test("a page that is used again and again stays while others pass through", () => {
  const random = seededRandom(1);
  const ring = new PageRing(bytesMax);
  ring.add(1, 1, 1, randomLeaf(random));
  for (let number = 2; number < 5000; number++) {
    assert.ok(ring.find(1, 1, 1) >= 0, `gone after ${number}`);
    ring.add(1, number, 0, randomLeaf(random));
  }
  assert.equal(ring.find(1, 2, 0), -1);
});

test("a position is another one only with another version", () => {
  const random = seededRandom(2);
  const ring = new PageRing(bytesMax);
  ring.add(1, 1, 1, randomLeaf(random));
  const first = { at: ring.find(1, 1, 1), version: ring.version };
  for (let number = 2; number < 3000; number++) {
    ring.add(1, number, 0, randomLeaf(random));
    const now = { at: ring.find(1, 1, 1), version: ring.version };
    if (now.at !== first.at) assert.notEqual(now.version, first.version);
  }
});

test("a page has the entries that were put into it, in order, and the largest fits", () => {
  const random = seededRandom(3);
  const draft = new PageDraft(1);
  for (let round = 0; round < 300; round++) {
    draft.begin(undefined);
    const model = new Map<number, number>();
    for (let count = random.below(round === 0 ? 5000 : 400); count > 0; count--) {
      const index = random.below(pageFanout);
      if (random.below(4) === 0) {
        draft.clear(index);
        model.delete(index);
      } else {
        draft.setChild(index, { origin: index, number: count, offset: 1, length: 2, crc: 3 });
        model.set(index, count);
      }
    }
    const page = draft.pack()?.slice();
    assert.equal(page === undefined, model.size === 0);
    if (page === undefined) continue;
    assert.ok(page.length <= pageWordsMax);
    draft.begin(page);
    assert.deepEqual(draft.pack(), page);
    const present = [...model.keys()].sort((a, b) => a - b);
    let next = nextPresent(page, 0, 0);
    for (let index = 0; index < pageFanout; index++) {
      const at = entryAt(page, 0, index);
      assert.equal(at < 0 ? undefined : page[at + 1], model.get(index));
      if (index === next) next = nextPresent(page, 0, index + 1);
    }
    assert.equal(next, pageFanout);
    assert.equal(nextPresent(page, 0, 0), present[0]);
  }
});
