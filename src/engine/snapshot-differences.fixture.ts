// What the engine says of two snapshots, held against plain arrays: applied to the older bytes it must give the newer ones.

import assert from "node:assert/strict";
import type { EngineRig } from "./engine-rig.fixture.ts";
import { clusterBytes } from "./limits.ts";
import type { ChangedExtent } from "./device.ts";
import { SnapshotView } from "./snapshot-view.ts";
import { SparseBytes } from "./sparse-bytes.fixture.ts";

export interface ComparedSnapshot {
  readonly id: string;
  readonly sizeBytes: number;
  readonly bytes: SparseBytes;
}

export function openSnapshot(rig: EngineRig, id: string): Promise<SnapshotView> {
  return SnapshotView.open((pool) => rig.router.contextOf(pool), rig.registry, id);
}

/** All batches, as one list; checks that they are in order and of whole clusters. */
export async function changesOf(
  newer: SnapshotView,
  older: SnapshotView | undefined,
  extentsMax: number,
): Promise<ChangedExtent[]> {
  const all: ChangedExtent[] = [];
  let end = 0;
  for (let from = 0; from < newer.sizeBytes;) {
    const { extents, nextOffset } = await newer.changesSince(older, from, extentsMax);
    assert.ok(nextOffset > from && extents.length <= extentsMax, `a batch goes on from ${from} to ${nextOffset}`);
    for (const extent of extents) {
      assert.ok(extent.offset >= Math.max(end, from) && extent.lengthBytes > 0 && extent.offset % clusterBytes === 0);
      end = extent.offset + extent.lengthBytes;
      assert.ok(end <= nextOffset && end <= newer.sizeBytes && end % clusterBytes === 0);
      all.push(extent);
    }
    from = nextOffset;
  }
  return all;
}

export async function checkDifferences(
  rig: EngineRig,
  compared: {
    readonly older: ComparedSnapshot | undefined;
    readonly newer: ComparedSnapshot;
    readonly extentsMax: number;
  },
  what: string,
): Promise<void> {
  const { older, newer, extentsMax } = compared;
  const newerView = await openSnapshot(rig, newer.id);
  const olderView = older === undefined ? undefined : await openSnapshot(rig, older.id);
  const made = older?.bytes.copy() ?? new SparseBytes();
  // What reads as zeroes on both sides of the older one's end is no difference.
  if (older !== undefined && older.sizeBytes < newer.sizeBytes) made.zero(older.sizeBytes, newer.sizeBytes - older.sizeBytes);
  for (const { offset, lengthBytes, kind } of await changesOf(newerView, olderView, extentsMax)) {
    made.zero(offset, lengthBytes);
    if (kind === "zero") continue;
    for (let at = offset; at < offset + lengthBytes; at += clusterBytes * 64) {
      const piece = Buffer.alloc(Math.min(clusterBytes * 64, offset + lengthBytes - at), 0xee);
      await newerView.read(at, piece);
      made.write(at, piece);
    }
  }
  for (const bytes of [made, newer.bytes]) {
    for (const { offset, lengthBytes } of bytes.writtenRuns()) {
      const length = Math.min(lengthBytes, newer.sizeBytes - offset);
      for (let at = offset; at < offset + length; at += clusterBytes) {
        const [found, wanted] = [made.read(at, clusterBytes), newer.bytes.read(at, clusterBytes)];
        assert.ok(found.equals(wanted), `${what}: the cluster at ${at} is ${found.toString("latin1", 0, 26)}`);
      }
    }
  }
}
