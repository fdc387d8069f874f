// What the cleaner costs those who write meanwhile: a disk that is written over at random, beside the same on a service whose
// cleaner never comes by. In turns; a run is as long as several passes, which come as often as they do for a much larger disk.

import { runFio, type Workload } from "./fio.ts";
import { makeRow, type Row, type RowSpec } from "./row.ts";
import { gibibyte, mebibyte, randomWrites, type ScaleLab, type ScaleScale, withLab } from "./scale-lab.ts";
import type { Disk } from "./target.ts";

const writeName = "cleaner at work: random write QD32";
const mixName = "cleaner at work: 70/30 mix QD32";
export const cleanerRowNames: readonly string[] = [writeName, mixName];

const mix: Workload = { pattern: "randrw", blockBytes: 4096, depth: 32 };
const sequentialWrites: Workload = { pattern: "write", blockBytes: mebibyte, depth: 8 };

/** At most a tenth. */
const aim = { ratio: 0.9 };
const never = 1e6;
const engine = { retired_grace: 0, checkpoint_bytes: 64 * mebibyte, segment_bytes: 4 * mebibyte };
const passesInRun = 8;

interface Side {
  readonly lab: ScaleLab;
  readonly disk: Disk;
}

export function measureCleaner(sizes: ScaleScale): Promise<Row[]> {
  const runMs = sizes.runMs * 3;
  const interval = runMs / 1000 / passesInRun;
  return withLab({ engine: { ...engine, cleaner_interval: interval } }, (cleaned) =>
    withLab({ engine: { ...engine, cleaner_interval: never } }, async (left) => {
      const sides: Side[] = [];
      for (const lab of [cleaned, left]) sides.push(await filled(lab, sizes));
      const rows: Row[] = [];
      for (const [name, workload] of [
        [writeName, randomWrites],
        [mixName, mix],
      ] as const) {
        const figures: [number[], number[]] = [[], []];
        for (let round = 0; round < sizes.rounds; round++) {
          for (const [at, { lab, disk }] of sides.entries()) {
            figures[at]!.push((await runFio([disk], workload, sizes.steadyBytes, { runMs }, lab.folder)).iops);
            await lab.settle();
          }
        }
        const spec: RowSpec = { name, unit: "IOPS", better: "higher" };
        rows.push(makeRow(spec, "no cleaner", figures[0], figures[1], aim));
      }
      return rows;
    }),
  );
}

/** Every cluster was written twice at random: so is every segment's share of dead ones. */
async function filled(lab: ScaleLab, { steadyBytes }: ScaleScale): Promise<Side> {
  const { disk } = await lab.disk(Math.ceil(steadyBytes / gibibyte));
  await runFio([disk], sequentialWrites, steadyBytes, { passes: 1 }, lab.folder);
  await lab.fill(disk, 2 * steadyBytes, steadyBytes);
  await lab.settle();
  return { lab, disk };
}
