// A snapshot for somebody who reads it in this process without owning anything: its bytes, and how it differs from another one.
//
// - As long as the snapshot's record is there its cut is pinned: what is read here stays, whatever the disk, the cleaner or a
//   crash does meanwhile. Deleting the snapshot while it is read makes reads fail, never lie.
// - It has a small cache of its own: a copy of a whole disk does not drive out what guests use.

import { AndironError } from "../common/errors.ts";
import { PlaceCache } from "./cache/place-cache.ts";
import type { ChangeBatch, SnapshotReader } from "./device.ts";
import type { PoolContext } from "./engine-context.ts";
import { clusterBytes, MiB } from "./limits.ts";
import { BlockMap } from "./map/block-map.ts";
import { Delta } from "./map/delta.ts";
import { MapDifferences, type MapSide } from "./map/differences.ts";
import type { Pages } from "./map/pages.ts";
import { Tree } from "./map/tree.ts";
import { keys, parseRecord, type SnapshotRecord } from "./records.ts";
import { Reader } from "./vdisk/reader.ts";
import { openView } from "./view.ts";

/** Leaves (each a MiB of the disk) that one batch looks at. */
const leavesMax = 1024;
const cacheBytes = MiB;

type ViewContext = Pick<PoolContext, "pool" | "registry" | "pages" | "segments" | "live">;

export class SnapshotView {
  readonly pool: string;
  readonly sizeBytes: number;
  readonly #side: MapSide;
  readonly #empty: MapSide;
  readonly #pages: Pages;
  readonly #reader: Reader;

  private constructor(record: SnapshotRecord, context: ViewContext, side: MapSide, empty: MapSide) {
    this.pool = record.pool;
    this.sizeBytes = record.sizeBytes;
    this.#side = side;
    this.#empty = empty;
    this.#pages = context.pages;
    this.#reader = new Reader(new BlockMap(side.tree, side.delta), context.segments, new PlaceCache(cacheBytes));
  }

  /** Rejects with snapshot_not_found, vdisk_busy (it is pending), and what opening a disk rejects with. */
  static async open(
    contextOf: (pool: string) => ViewContext,
    registry: ViewContext["registry"],
    id: string,
  ): Promise<SnapshotView> {
    const entry = await registry.get(keys.snapshot(id));
    if (entry === undefined) throw new AndironError("snapshot_not_found", `snapshot ${id} does not exist`);
    const record = parseRecord<SnapshotRecord>(entry.key, entry.value);
    if (record.state !== "ready") throw new AndironError("vdisk_busy", `snapshot ${id} is ${record.state}`);
    const context = contextOf(record.pool);
    const empty = { tree: new Tree(context.pages, [], undefined, 0), delta: new Delta() };
    const side = record.view === null ? empty : await openView(context, record.view);
    return new SnapshotView(record, context, side, empty);
  }

  /** Fills `target`. Every cluster is checked against its checksum. */
  async read(offset: number, target: Buffer): Promise<void> {
    if (offset < 0 || offset + target.length > this.sizeBytes) {
      throw new AndironError("out_of_range", `${target.length} bytes at ${offset} are not inside a disk of ${this.sizeBytes}`);
    }
    await this.#reader.read(offset, target);
  }

  /**
   * What is here and was not, or was different, in `older` (undefined: a disk of zeroes), from byte `from` (whole clusters) on,
   * at most `extentsMax` of them. A batch may be empty and not the last. Behind the older one's end it read as zeroes.
   */
  async changesSince(older: SnapshotView | undefined, from: number, extentsMax: number): Promise<ChangeBatch> {
    if (older !== undefined && older.pool !== this.pool) {
      throw new AndironError("invalid_request", `snapshots of the vPools ${older.pool} and ${this.pool} can't be compared`);
    }
    const endCluster = this.sizeBytes / clusterBytes;
    const differences = new MapDifferences(this.#pages, older === undefined ? this.#empty : older.#side, this.#side, endCluster);
    const { runs, nextCluster } = await differences.next(from / clusterBytes, { runsMax: extentsMax, leavesMax });
    const extents = runs.map(({ firstCluster, clusterCount, kind }) => ({
      offset: firstCluster * clusterBytes,
      lengthBytes: clusterCount * clusterBytes,
      kind,
    }));
    return { extents, nextOffset: nextCluster * clusterBytes };
  }
}

/** `id` beside `sinceId` (null: a disk of zeroes), for somebody who knows no engine. */
export async function openSnapshotReader(
  contextOf: (pool: string) => ViewContext,
  registry: ViewContext["registry"],
  id: string,
  sinceId: string | null,
): Promise<SnapshotReader> {
  const view = await SnapshotView.open(contextOf, registry, id);
  const older = sinceId === null ? undefined : await SnapshotView.open(contextOf, registry, sinceId);
  return {
    sizeBytes: view.sizeBytes,
    read: (offset, target) => view.read(offset, target),
    changes: (from, extentsMax) => view.changesSince(older, from, extentsMax),
  };
}
