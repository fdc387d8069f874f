// How long the event loop keeps everybody waiting, at worst, while all goes on at once: a random mix on one disk, writes in order
// on another, snapshots, checkpoints and uploads to a backend that is slow, and the cleaner. The process measures
// it itself (andiron_event_loop_delay_seconds).

import { fileURLToPath } from "node:url";
import { systemClock } from "../src/common/clock.ts";
import { runFio, type Workload } from "./fio.ts";
import type { Row } from "./row.ts";
import { bigGibibytes, gibibyte, limitRow, mebibyte, type ScaleScale, withLab } from "./scale-lab.ts";

const delayName = "event loop delay, p99.99, all at once";
const longestName = "event loop delay, the longest, all at once";
export const stallRowNames: readonly string[] = [delayName, longestName];

const limitMs = 20;
const snapshotEveryMs = 10_000;
const mix: Workload = { pattern: "randrw", blockBytes: 4096, depth: 16 };
/** What ten minutes write must fit on the disk: over all of the 16 TiB nothing would ever be written a second time. */
const mixRangeBytes = 8 * gibibyte;
const inOrder: Workload = { pattern: "write", blockBytes: mebibyte, depth: 1 };
const slowBackend = fileURLToPath(new URL("slow-backend.ts", import.meta.url));

/** Nothing in a run that is only to show that it works. */
export async function measureStalls(sizes: ScaleScale): Promise<Row[]> {
  if (sizes.stallMs === 0) return [];
  const before = process.env["NODE_OPTIONS"];
  process.env["NODE_OPTIONS"] = `${before ?? ""} --import=${slowBackend}`.trim();
  try {
    return await withLab({ engine: { cleaner_interval: 5, retired_grace: 5 } }, async (lab) => {
      const big = await lab.disk(bigGibibytes);
      const small = await lab.disk(1);
      const endMs = systemClock.monotonicMs() + sizes.stallMs;
      const snapshots = async (): Promise<void> => {
        for (let kept: string[] = []; systemClock.monotonicMs() < endMs; kept = kept.slice(-10)) {
          kept.push(await lab.api.createSnapshot(big.volumeId), await lab.api.createSnapshot(small.volumeId));
          for (const old of kept.slice(0, -10)) await lab.api.delete("snapshots", old);
          await systemClock.sleep(snapshotEveryMs);
        }
      };
      await Promise.all([
        runFio([big.disk], mix, mixRangeBytes, { runMs: sizes.stallMs }, lab.folder),
        runFio([small.disk], inOrder, 512 * mebibyte, { runMs: sizes.stallMs }, lab.folder),
        snapshots(),
      ]);
      const delayMs = async (quantile: string): Promise<number> =>
        (await lab.metric("andiron_event_loop_delay_seconds", `quantile="${quantile}"`)) * 1000;
      return [
        limitRow(delayName, "ms", [await delayMs("0.9999")], limitMs),
        { ...limitRow(longestName, "ms", [await delayMs("1")], limitMs), aim: null, reached: null },
      ];
    });
  } finally {
    if (before === undefined) delete process.env["NODE_OPTIONS"];
    else process.env["NODE_OPTIONS"] = before;
  }
}
