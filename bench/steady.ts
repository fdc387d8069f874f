// The rows that write, at steady state: four times the journal has been written when it begins, more than the kernel keeps dirty,
// and what runs writes on with uploads, checkpoints and the cleaner beside it; nothing is waited for between two runs.
//
// - A second Andiron has a small journal for it, and looks for dead segments often.
// - The kernel's limits for dirty pages are lowered for all, peers too: else it would take minutes to reach them.

import { runFio } from "./fio.ts";
import type { Lab } from "./lab.ts";
import { measures, type Measure } from "./measure.ts";
import type { Target } from "./target.ts";

const mebibyte = 2 ** 20;
const journalBytes = 256 * mebibyte;

/** Targets whose main disk has been written enough. */
const filled = new WeakSet<Target>();

async function writeMuch(lab: Lab, target: Target): Promise<void> {
  if (filled.has(target)) return;
  filled.add(target);
  const disk = await lab.mainDisk(target);
  const { rangeBytes, steadyBytes } = lab.scale;
  const passes = Math.ceil(steadyBytes / rangeBytes);
  await runFio([disk], { pattern: "randwrite", blockBytes: 64 * 1024, depth: 16 }, rangeBytes, { passes }, lab.folder);
}

function steady(measure: Measure): Measure {
  return {
    ...measure,
    condition: "steady",
    rows: measure.rows.map((row) => ({ ...row, name: `steady: ${row.name}` })),
    // Nothing is synced or waited for.
    writes: false,
    needsRoot: true,
    roundsMax: 3,
    async prepare(lab, main) {
      const target = await lab.variant(main, "steady", {
        engine: { cache_bytes: 2 * lab.scale.rangeBytes, journal_bytes_max: journalBytes, cleaner_interval: 5 },
      });
      lab.lowerDirtyLimits();
      await writeMuch(lab, target);
      return measure.prepare(lab, target);
    },
  };
}

export const steadyMeasures: readonly Measure[] = measures.filter(({ writes }) => writes).map(steady);
