// Folding and reading back: any sequence of deltas folded into trees reads as a plain map, on disks of any size, from pages
// that were written by ancestors, dropped from memory, or never there.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import type { Random } from "../../common/random.ts";
import { seededRandom } from "../../common/random.ts";
import type { ObjectBackend } from "../backend/backend.ts";
import { openFileBackend } from "../backend/file.ts";
import type { Lineage } from "../format/page.ts";
import { diskClustersMax, KiB, pageFanout } from "../limits.ts";
import { Segments } from "../segments.ts";
import { BlockMap } from "./block-map.ts";
import { Delta } from "./delta.ts";
import { fold } from "./fold.ts";
import { Pages } from "./pages.ts";
import { Tree } from "./tree.ts";

const logs = [
  "00000000-0000-4000-8000-00000000000a",
  "00000000-0000-4000-8000-00000000000b",
  "00000000-0000-4000-8000-00000000000c",
];

async function withBackend(body: (backend: ObjectBackend) => Promise<void>): Promise<void> {
  const root = mkdtempSync(join(tmpdir(), "andiron-fold-"));
  const backend = await openFileBackend({ root });
  try {
    await body(backend);
  } finally {
    await backend.close();
    rmSync(root, { recursive: true });
  }
}

/** Clusters near the borders of pages of every level. */
function somewhere(random: Random): number {
  const span = pageFanout ** (1 + random.below(4));
  const border = random.below(4) * span;
  return Math.max(0, Math.min(diskClustersMax - 1, (random.below(6) === 0 ? diskClustersMax : border) - 3 + random.below(8)));
}

interface Place {
  readonly handle: number;
  readonly offset: number;
  readonly crc: number;
}

/** The same random change to both. */
function change(random: Random, delta: Delta, model: Map<number, Place>, handle: number): void {
  const first = somewhere(random);
  if (random.below(4) > 0) {
    for (let c = first; c < Math.min(first + 1 + random.below(5), diskClustersMax); c++) {
      const place = { handle, offset: random.below(2 ** 32), crc: random.below(2 ** 32) };
      delta.put(c, place.handle, place.offset, place.crc);
      model.set(c, place);
    }
    return;
  }
  const end = Math.min(
    diskClustersMax,
    random.below(3) === 0 ? first + 1 + random.below(90) : Math.max(first + 1, somewhere(random)),
  );
  delta.zero(first, end - first);
  for (const cluster of model.keys()) if (cluster >= first && cluster < end) model.delete(cluster);
}

async function check(map: BlockMap, model: ReadonlyMap<number, Place>, random: Random): Promise<void> {
  const looked = [...model.keys(), ...Array.from({ length: 30 }, () => somewhere(random))];
  for (const cluster of looked) {
    const places = await map.resolveLoading(cluster, 1);
    const place = model.get(cluster) ?? { handle: 0, offset: 0, crc: 0 };
    assert.equal(places.handles[0], place.handle, `cluster ${cluster}`);
    if (place.handle !== 0) assert.deepEqual([places.offsets[0], places.crcs[0]], [place.offset, place.crc]);
  }
  const sorted = [...model.keys()].sort((a, b) => a - b);
  for (const cluster of looked.slice(-12)) {
    const next = sorted.find((data) => data >= cluster) ?? diskClustersMax;
    const hole = await map.holeAfter(cluster);
    assert.ok(hole === next - cluster, `hole of ${hole} at ${cluster}, data at ${next}`);
  }
}

test(
  "trees folded from any changes read as a plain map, with a cache that holds almost nothing",
  { timeout: 60_000 },
  async () => {
    await withBackend(async (backend) => {
      let number = 0;
      for (let seed = 1; seed <= 15; seed++) {
        const random = seededRandom(seed);
        const segments = new Segments(backend, async () => 0);
        const model = new Map<number, Place>();
        let lineage: Lineage = [logs[0]!];
        const newPages = (): Pages => new Pages({ backend, handles: segments, bytesMax: 100 * KiB });
        let map = new BlockMap(new Tree(newPages(), lineage, undefined, 0), new Delta());
        for (let round = 0; round < 5; round++) {
          // Now and then a clone goes on: the lineage grows at its end.
          if (random.below(3) === 0 && lineage.length < logs.length) lineage = [...lineage, logs[lineage.length]!];
          const log = lineage.at(-1)!;
          const handle = segments.handleOf({ log, epoch: seed, number: round + 1 });
          for (let i = random.below(12); i >= 0; i--) change(random, map.active, model, handle);
          await check(map, model, random);
          const pages = newPages();
          const old = new Tree(pages, lineage, map.tree.root, round);
          const takeNumber = (): number => ++number;
          const options = {
            backend,
            pages,
            lineage,
            log,
            takeNumber,
            epoch: seed,
            onReplaced: () => undefined,
          };
          const { checkpoint, checkpointBytes } = await fold({ ...options, old, delta: map.freeze(), sequence: round + 1 });
          // As after a restart: from the footer, with an empty cache.
          const fresh = newPages();
          const footer = await fresh.loadFooter(checkpoint, checkpointBytes);
          assert.deepEqual([footer.sequence, footer.lineage], [round + 1, lineage]);
          map = new BlockMap(new Tree(fresh, lineage, footer.root, round + 1), new Delta());
          await check(map, model, random);
          assert.equal(footer.root === undefined, model.size === 0, `seed ${seed}: an empty disk has no root`);
          assert.ok(fresh.bytes <= 200 * KiB);
        }
      }
    });
  },
);

test("zeroing a whole disk of the largest size reads and writes no page", async () => {
  await withBackend(async (backend) => {
    const segments = new Segments(backend, async () => 0);
    const pages = new Pages({ backend, handles: segments, bytesMax: 1024 * KiB });
    const lineage = [logs[0]!];
    let number = 0;
    const options = {
      backend,
      pages,
      lineage,
      log: logs[0]!,
      epoch: 1,
      takeNumber: () => ++number,
      onReplaced: () => undefined,
    };
    const full = new Delta();
    const random = seededRandom(5);
    for (let i = 0; i < 200; i++)
      full.put(random.below(2 ** 32), segments.handleOf({ log: logs[0]!, epoch: 1, number: 1 }), 128, i);
    const first = await fold({ ...options, old: new Tree(pages, lineage, undefined, 0), delta: full, sequence: 1 });
    const zeroed = new Delta();
    zeroed.zero(0, diskClustersMax);
    const second = await fold({ ...options, old: first.tree, delta: zeroed, sequence: 2 });
    assert.equal(second.tree.root, undefined);
    assert.ok(second.bytesWritten < 1000, `${second.bytesWritten} bytes`);
  });
});

test("inner pages with few children take little of the cache: clusters all over a disk are found without a read", async () => {
  await withBackend(async (backend) => {
    let reads = 0;
    const counting = new Proxy(backend, {
      get(inner, name: keyof ObjectBackend) {
        if (name === "read") reads++;
        return inner[name].bind(inner);
      },
    });
    const segments = new Segments(counting, async () => 0);
    const pages = new Pages({ backend: counting, handles: segments, bytesMax: 1024 * KiB });
    const segment = { log: logs[0]!, epoch: 1, number: 1 };
    const delta = new Delta();
    const count = 80;
    for (let i = 0; i < count; i++) delta.put(i * pageFanout ** 2, segments.handleOf(segment), 128, i);
    const old = new Tree(pages, [logs[0]!], undefined, 0);
    const options = { backend: counting, pages, lineage: [logs[0]!], log: logs[0]!, epoch: 1 };
    const { tree } = await fold({ ...options, takeNumber: () => 1, onReplaced: () => undefined, old, delta, sequence: 1 });
    for (let i = 0; i < count; i++) await tree.loadLeaf(i * pageFanout);
    assert.equal(reads, 0);
  });
});

test("a page with a flipped byte, or another page in its place, is refused", async () => {
  await withBackend(async (backend) => {
    const segments = new Segments(backend, async () => 0);
    const lineage = [logs[0]!];
    const flipping = { at: -1 };
    const damaging = new Proxy(backend, {
      get(inner, name: keyof ObjectBackend) {
        if (name !== "read") return inner[name].bind(inner);
        return async (object: string, offset: number, target: Buffer): Promise<void> => {
          await inner.read(object, offset, target);
          if (flipping.at >= 0) target[flipping.at % target.length]! ^= 4;
        };
      },
    });
    const pages = new Pages({ backend, handles: segments, bytesMax: 1024 * KiB });
    const delta = new Delta();
    for (let i = 0; i < 20; i++)
      delta.put(i * 3, segments.handleOf({ log: logs[0]!, epoch: 1, number: 1 + (i % 3) }), i * 4096, i);
    const old = new Tree(pages, lineage, undefined, 0);
    const result = await fold({
      backend,
      pages,
      lineage,
      log: logs[0]!,
      epoch: 1,
      takeNumber: () => 1,
      onReplaced: () => undefined,
      old,
      delta,
      sequence: 1,
    });
    for (flipping.at = 0; flipping.at < 300; flipping.at++) {
      const fresh = new Pages({ backend: damaging, handles: segments, bytesMax: 1024 * KiB });
      await assert.rejects(new Tree(fresh, lineage, result.tree.root, 1).loadLeaf(0), { code: "map_damaged" });
      await assert.rejects(fresh.loadFooter(result.checkpoint, result.checkpointBytes), { code: "map_damaged" });
    }
  });
});
