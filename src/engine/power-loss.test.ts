// Power loss under a whole engine: of each journal file a random part of what was not synced is there afterwards. What a flush
// or FUA answered for must be there; of the rest each cluster is as it was at some moment since, never a mixture.

import assert from "node:assert/strict";
import { test } from "node:test";
import { seededRandom } from "../common/random.ts";
import type { EngineSettings } from "./engine-context.ts";
import { EngineRig, readRange } from "./engine-rig.fixture.ts";
import { FaultDisk } from "./fault-disk.fixture.ts";
import { clusterBytes, KiB, MiB } from "./limits.ts";

const clusters = 64;

function stamped(number: number): Buffer {
  const cluster = Buffer.alloc(clusterBytes);
  for (let at = 0; at < clusterBytes; at += 4) cluster.writeUInt32LE(number, at);
  return cluster;
}

const settings: Partial<EngineSettings> = { segmentBytes: 96 * KiB, checkpointBytes: 256 * KiB, checkpointEntries: 60 };

/** Resolves with the zeroes that were laid ahead of records. */
async function loseAndLook(losses: number, stepsMax: number, writesPerFlush: number): Promise<number> {
  let filledBytes = 0;
  const disk = new FaultDisk();
  const rig = await EngineRig.open({ disk, settings });
  try {
    const id = await rig.createDisk(4 * MiB);
    let session = await rig.open(id);
    /** Of each cluster: what is there at least, and what was written last. */
    const flushed: number[] = Array(clusters).fill(0);
    const written: number[] = Array(clusters).fill(0);
    let number = 0;
    for (let seed = 1; seed <= losses; seed++) {
      const random = seededRandom(seed);
      for (let step = random.below(stepsMax); step > 0; step--) {
        const cluster = random.below(clusters);
        const fua = random.below(12) === 0;
        await session.device.write(cluster * clusterBytes, stamped(++number), { fua });
        written[cluster] = number;
        if (fua) flushed[cluster] = number;
        if (random.below(writesPerFlush) > 0) continue;
        await session.device.flush();
        written.forEach((value, i) => (flushed[i] = value));
      }
      filledBytes += rig.router.journalCounts.filledBytes;
      await rig.crash(() => disk.losePower(random));
      session = await rig.reopen(id);
      const bytes = await readRange(session, 0, clusters * clusterBytes);
      for (let i = 0; i < clusters; i++) {
        const found = bytes.readUInt32LE(i * clusterBytes);
        const whole = bytes.subarray(i * clusterBytes, (i + 1) * clusterBytes).equals(stamped(found));
        assert.ok(whole, `seed ${seed}: cluster ${i} is torn`);
        assert.ok(
          found >= flushed[i]! && found <= written[i]!,
          `seed ${seed}: cluster ${i}: ${flushed[i]} <= ${found} <= ${written[i]}`,
        );
        // Recovery syncs before it serves: what was seen stays.
        flushed[i] = found;
        written[i] = found;
      }
    }
    return filledBytes;
  } finally {
    await rig.close();
  }
}

test("what was flushed survives power loss after power loss, and no cluster is torn", { timeout: 120_000 }, async () => {
  await loseAndLook(40, 60, 10);
});

test("so it does when flushes come so often that journal files are written over zeroes", { timeout: 120_000 }, async () => {
  assert.ok((await loseAndLook(30, 120, 2)) > MiB);
});
