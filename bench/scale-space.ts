// What is written to the backend for each byte that a client wrote, and what lies there for each byte that can still be read.
// Counts, not times: they hold on a busy machine too.
//
// - Random: 4 KiB all over 16 TiB, each cluster about once: data, records, indexes and the map.
// - Steady: a range is written over at random again and again with the cleaner on, and the passes of the second half count.
//   A cleaner that lets a segment be dead by a share d writes 1/d bytes for one and keeps ln(1/(1-d))/d for each live one,
//   however it chooses, as long as no cluster is likelier to be written than another: 2.0 and 1.39 for a half.

import { systemClock } from "../src/common/clock.ts";
import { runFio, type Workload } from "./fio.ts";
import type { Row } from "./row.ts";
import { bigGibibytes, gibibyte, limitRow, mebibyte, type ScaleScale, withLab } from "./scale-lab.ts";

const randomName = "bytes to the backend for one written, 4 KiB at random over 16 TiB";
const sequentialName = "bytes to the backend for one written, sequential 1 MiB";
const steadyName = "bytes to the backend for one written, 4 KiB at random over and over";
const spaceName = "bytes on the backend for one live, 4 KiB at random over and over";

export const spaceRowNames: readonly string[] = [randomName, sequentialName];
export const steadyRowNames: readonly string[] = [steadyName, spaceName];

const sequentialWrites: Workload = { pattern: "write", blockBytes: mebibyte, depth: 8 };

export async function measureSpace(sizes: ScaleScale): Promise<Row[]> {
  const random = await withLab({}, async (lab) => {
    const { attachmentId, disk } = await lab.disk(bigGibibytes);
    await lab.fill(disk, sizes.fillBytes);
    await lab.release(attachmentId);
    return (await lab.backendBytesWritten()) / sizes.fillBytes;
  });
  const sequential = await withLab({}, async (lab) => {
    const { attachmentId, disk } = await lab.disk(bigGibibytes);
    await runFio([disk], sequentialWrites, sizes.fillBytes, { passes: 1 }, lab.folder);
    await lab.release(attachmentId);
    return (await lab.backendBytesWritten()) / sizes.fillBytes;
  });
  return [limitRow(randomName, "bytes", [random], 1.5), limitRow(sequentialName, "bytes", [sequential], 1.05)];
}

/** The cleaner comes by often here: a run of hours is pressed into minutes. */
const hurried = { cleaner_interval: 0.5, retired_grace: 0 };
/** Some passes of it: what one retires the next deletes. */
const cleaningMs = 3000;

export function measureSteady(sizes: ScaleScale): Promise<Row[]> {
  return withLab({ engine: { ...hurried, ...proportions(sizes) } }, async (lab) => {
    const { disk } = await lab.disk(Math.ceil(sizes.steadyBytes / gibibyte));
    const { steadyBytes: range, steadyPasses: passes } = sizes;
    await runFio([disk], sequentialWrites, range, { passes: 1 }, lab.folder);
    const written: number[] = [];
    const stored: number[] = [];
    for (let pass = 0; pass < passes; pass++) {
      const before = await lab.backendBytesWritten();
      await lab.fill(disk, range, range);
      await lab.settle();
      await systemClock.sleep(cleaningMs);
      await lab.settle();
      if (pass < passes / 2) continue;
      written.push(((await lab.backendBytesWritten()) - before) / range);
      stored.push((await lab.storedBytes()) / range);
    }
    return [limitRow(steadyName, "bytes", written, 1.5), limitRow(spaceName, "bytes", stored, 1.43)];
  });
}

/** The range is a small disk's: segment and checkpoint are to it what the defaults are to 8 GiB. */
function proportions({ steadyBytes }: ScaleScale): Readonly<Record<string, number>> {
  const share = Math.min(1, steadyBytes / (8 * gibibyte));
  return {
    segment_bytes: Math.max(mebibyte, Math.floor((16 * mebibyte * share) / mebibyte) * mebibyte),
    checkpoint_bytes: Math.max(2 * mebibyte, Math.floor(256 * mebibyte * share)),
  };
}
