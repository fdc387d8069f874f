// Maps of thousands of leaves on a real backend whose reads are counted and may be spoilt, for tests of what reads them cold.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import type { ObjectBackend } from "../backend/backend.ts";
import { openFileBackend } from "../backend/file.ts";
import { MiB, pageFanout } from "../limits.ts";
import { Segments } from "../segments.ts";
import { Delta } from "./delta.ts";
import { fold } from "./fold.ts";
import { Pages } from "./pages.ts";
import { Tree } from "./tree.ts";

const log = "00000000-0000-4000-8000-00000000000a";
const lineage = [log];

/** What the map is like. */
interface Shape {
  readonly leaves: number;
  readonly clustersInLeaf: number;
  readonly folds: number;
}

export const sparse: Shape = { leaves: 6000, clustersInLeaf: 1, folds: 4 };
export const full: Shape = { leaves: 600, clustersInLeaf: pageFanout, folds: 2 };
export const manyFolds: Shape = { leaves: 8000, clustersInLeaf: 1, folds: 80 };

/** What is read of a backend, and what becomes of it. */
interface Reads {
  count: number;
  bytes: number;
  spoil: ((target: Buffer, object: string, offset: number) => void) | undefined;
}

export interface World {
  readonly reads: Reads;
  readonly tree: Tree;
  /** One cluster in each leaf, of several folds: neighbours are in different objects. */
  readonly clusters: readonly number[];
  /** Of the segment that all of them are in. */
  readonly handle: number;
  /** Nothing is in memory. */
  cold(): { readonly pages: Pages; readonly tree: Tree };
  /** A tree that was folded, in memory of which nothing is. */
  coldTree(pages: Pages, tree: Tree): Tree;
  foldInto(pages: Pages, old: Tree, delta: Delta): Promise<Tree>;
}

export async function openWorld(t: TestContext, shape = sparse): Promise<World> {
  const root = mkdtempSync(join(tmpdir(), "andiron-sweep-"));
  const files = await openFileBackend({ root });
  t.after(async () => {
    await files.close();
    rmSync(root, { recursive: true });
  });
  const reads: Reads = { count: 0, bytes: 0, spoil: undefined };
  const backend = new Proxy(files, {
    get(inner, name: keyof ObjectBackend) {
      if (name !== "read") return inner[name].bind(inner);
      return async (object: string, offset: number, target: Buffer): Promise<void> => {
        reads.count++;
        reads.bytes += target.length;
        await inner.read(object, offset, target);
        reads.spoil?.(target, object, offset);
      };
    },
  });
  const segments = new Segments(backend, async () => 0);
  let number = 0;
  const foldInto = async (pages: Pages, old: Tree, delta: Delta): Promise<Tree> => {
    const takeNumber = (): number => ++number;
    const options = { backend, pages, old, delta, lineage, log, epoch: 1, takeNumber, onReplaced: () => undefined };
    return (await fold({ ...options, sequence: old.sequence + 1 })).tree;
  };
  const open = (): Pages => new Pages({ backend, handles: segments, bytesMax: MiB });
  const pages = open();
  const handle = segments.handleOf({ log, epoch: 1, number: 1 });
  const clusters = Array.from({ length: shape.leaves }, (_, leaf) => leaf * 3 * pageFanout);
  let tree = new Tree(pages, lineage, undefined, 0);
  for (let part = 0; part < shape.folds; part++) {
    const delta = new Delta();
    for (const cluster of clusters.filter((_, i) => (i * 7) % shape.folds === part)) {
      for (let i = 0; i < shape.clustersInLeaf; i++) delta.put(cluster + i, handle, cluster, 5);
    }
    tree = await foldInto(pages, tree, delta);
  }
  const coldTree = (fresh: Pages, of: Tree): Tree => new Tree(fresh, lineage, of.root, of.sequence);
  const cold = (): { pages: Pages; tree: Tree } => {
    const fresh = open();
    return { pages: fresh, tree: coldTree(fresh, tree) };
  };
  Object.assign(reads, { count: 0, bytes: 0 });
  return { reads, tree, clusters, handle, cold, coldTree, foldInto };
}

export const leafOf = (cluster: number): number => Math.floor(cluster / pageFanout);
