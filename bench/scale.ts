// Figures that must hold whatever a disk's size, its history and the number of disks: each beside the limit that is set for it.
// Every group of rows has a service of its own, so that none finds what another left.

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fillPageCache } from "./page-cache.ts";
import type { Row } from "./row.ts";
import { cleanerRowNames, measureCleaner } from "./scale-cleaner.ts";
import { controlRowNames, measureControl } from "./scale-control.ts";
import type { ScaleScale } from "./scale-lab.ts";
import { chainRowNames, measureChain, measureSnapshots, snapshotRowNames } from "./scale-history.ts";
import { measureMemory, memoryRowNames } from "./scale-memory.ts";
import { measureOpen, measureStart, openRowNames, startRowNames } from "./scale-start.ts";
import { measureStalls, stallRowNames } from "./scale-stall.ts";
import { measureSpace, measureSteady, spaceRowNames, steadyRowNames } from "./scale-space.ts";

interface Group {
  readonly names: readonly string[];
  measure(sizes: ScaleScale): Promise<Row[]>;
}

const groups: readonly Group[] = [
  { names: controlRowNames, measure: measureControl },
  { names: spaceRowNames, measure: measureSpace },
  { names: steadyRowNames, measure: measureSteady },
  { names: cleanerRowNames, measure: measureCleaner },
  { names: startRowNames, measure: measureStart },
  { names: openRowNames, measure: measureOpen },
  { names: snapshotRowNames, measure: measureSnapshots },
  { names: chainRowNames, measure: measureChain },
  { names: memoryRowNames, measure: measureMemory },
  { names: stallRowNames, measure: measureStalls },
];

export const scaleRowNames: readonly string[] = groups.flatMap(({ names }) => names);

export interface ScaleOptions {
  readonly sizes: ScaleScale;
  /** Words that a row's name must hold; undefined: every row. */
  readonly only: string | undefined;
  /** No memory is free when a group begins. */
  readonly fullPageCache: boolean;
  readonly say: (line: string) => void;
}

/** Measures the groups that have a row that is asked for. Throws when there is none, or something fails. */
export async function measureScale({ sizes, only, fullPageCache, say }: ScaleOptions): Promise<Row[]> {
  const isWanted = (name: string): boolean => only === undefined || name.toLowerCase().includes(only.toLowerCase());
  const chosen = groups.filter(({ names }) => names.some(isWanted));
  if (chosen.length === 0) throw new Error(`no row is named like ${only}; there are:\n${scaleRowNames.join("\n")}`);
  const folder = await mkdtemp(join(tmpdir(), "andiron-scale-"));
  try {
    const rows: Row[] = [];
    for (const group of chosen) {
      say(group.names.join("; "));
      if (fullPageCache) await fillPageCache(folder);
      rows.push(...(await group.measure(sizes)).filter(({ name }) => isWanted(name)));
    }
    return rows;
  } finally {
    await rm(folder, { recursive: true });
  }
}
