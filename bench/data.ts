// The data path beside its peers: for each measure a warm-up on every target, then rounds in which the targets take turns
// (A B C A B C ...), so that whatever else the machine does hits them alike.

import { apiRowNames, measureApi } from "./api-latency.ts";
import { openLab, type Lab, type Scale } from "./lab.ts";
import { allMeasures } from "./all-measures.ts";
import type { Measure, Run } from "./measure.ts";
import { fillPageCache } from "./page-cache.ts";
import { makeRow, type Row } from "./row.ts";
import { ourName, type TargetName } from "./target.ts";

export interface DataOptions {
  readonly scale: Scale;
  /** Words that a row's name must hold all of; undefined: every row. */
  readonly only: string | undefined;
  /** Before each measure the page cache is filled. */
  readonly fullPageCache: boolean;
  /** Beside a server that does nothing, too: what the client can do at most. */
  readonly clientLimit: boolean;
  readonly say: (line: string) => void;
}

/** Names of all rows, in the order in which they are measured. */
export const dataRowNames: readonly string[] = [
  ...allMeasures.flatMap(({ rows }) => rows.map(({ name }) => name)),
  ...apiRowNames,
];

/** Measures the rows that are asked for. Throws when no row has such a name, or a program fails. */
export async function measureData({ scale, only, fullPageCache, clientLimit, say }: DataOptions): Promise<Row[]> {
  const isWanted = (name: string): boolean => only === undefined || name.toLowerCase().includes(only.toLowerCase());
  const isMeant = ({ condition }: Measure): boolean =>
    only === undefined || condition === undefined || only.toLowerCase().includes(condition.toLowerCase());
  const wanted = allMeasures.filter((measure) => isMeant(measure) && measure.rows.some(({ name }) => isWanted(name)));
  const isLeftOut = ({ needsRoot }: Measure): boolean => needsRoot === true && process.getuid?.() !== 0;
  for (const { rows } of wanted.filter(isLeftOut)) say(`left out, needs root: ${rows[0]?.name}`);
  const chosen = wanted
    .filter((measure) => !isLeftOut(measure))
    .map((measure) => (clientLimit && measure.condition === undefined ? besideNothing(measure) : measure));
  const apiWanted = apiRowNames.some(isWanted);
  if (wanted.length === 0 && !apiWanted) throw new Error(`no row is named like ${only}; there are:\n${dataRowNames.join("\n")}`);
  const lab = await openLab(scale, new Set<TargetName>(chosen.flatMap(({ peers }) => peers)));
  try {
    const rows: Row[] = [];
    for (const measure of chosen) {
      say(measure.rows.map(({ name }) => name).join("; "));
      if (fullPageCache) await fillPageCache(lab.folder);
      rows.push(...(await compare(lab, measure)).filter(({ name }) => isWanted(name)));
    }
    if (apiWanted) {
      say("API");
      rows.push(...(await measureApi(lab, isWanted)));
    }
    return rows;
  } finally {
    await lab.dispose();
  }
}

const besideNothing = (measure: Measure): Measure => ({ ...measure, peers: [...measure.peers, "nbdkit null"] });

async function compare(lab: Lab, measure: Measure): Promise<Row[]> {
  const { runMs, warmUpMs } = lab.scale;
  const rounds = Math.min(lab.scale.rounds, measure.roundsMax ?? Infinity);
  const contenders: { readonly run: Run; readonly results: (readonly number[])[] }[] = [];
  for (const name of [ourName, ...measure.peers] as const) {
    const run = await measure.prepare(lab, lab.targets.get(name)!);
    contenders.push({ run, results: [] });
  }
  const settle = (): Promise<void> => (measure.writes ? lab.settle() : Promise.resolve());
  await settle();
  if (warmUpMs > 0) {
    for (const { run } of contenders) {
      await run(warmUpMs);
      await settle();
    }
  }
  for (let round = 0; round < rounds; round++) {
    for (const { run, results } of contenders) {
      results.push(await run(runMs));
      await settle();
    }
  }
  const ours = contenders[0]!.results;
  return measure.rows.flatMap((row, column) =>
    measure.peers.map((peer, index) => {
      const theirs = contenders[index + 1]!.results;
      const figures = [ours, theirs].map((results) => results.map((result) => result[column]!));
      return makeRow(row, peer, figures[0]!, figures[1]!, row.aims[peer]);
    }),
  );
}
