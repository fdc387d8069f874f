// A quiet disk beside a noisy one: what is left of the requests that it has when it is alone.

import { runFio, type Workload } from "./fio.ts";
import type { Measure } from "./measure.ts";

const diskCount = 2;
const kibibyte = 1024;

const quiet: Workload = { pattern: "randread", blockBytes: 4 * kibibyte, depth: 1 };

function besides(what: string, noisy: Workload): Measure {
  return {
    rows: [{ name: `noisy neighbour, ${what}: hot reads QD1 beside it`, unit: "% of alone", better: "higher", aims: {} }],
    peers: ["qemu-nbd", "nbdkit file"],
    writes: true,
    roundsMax: 2,
    async prepare(lab, target) {
      const rangeBytes = lab.scale.rangeBytes / diskCount;
      const [loud, soft] = await lab.filledDisks(target, diskCount, rangeBytes);
      return async (runMs) => {
        const alone = await runFio([soft!], quiet, rangeBytes, { runMs: runMs / 2 }, lab.folder);
        const [beside] = await Promise.all([
          runFio([soft!], quiet, rangeBytes, { runMs }, lab.folder),
          runFio([loud!], noisy, rangeBytes, { runMs }, lab.folder),
        ]);
        return [(beside.iops / alone.iops) * 100];
      };
    },
  };
}

export const noisyNeighbours: readonly Measure[] = [
  besides("random write QD128", { pattern: "randwrite", blockBytes: 4 * kibibyte, depth: 128 }),
  besides("1 MiB writes QD8", { pattern: "write", blockBytes: kibibyte * kibibyte, depth: 8 }),
];
