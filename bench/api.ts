// The Block Storage API beside Debian's Cinder: both behind one Keystone, durable as they are shipped, in one run and in turns;
// then Andiron alone with many volumes beside itself with a hundred.

import { systemClock } from "../src/common/clock.ts";
import { type ApiLab, openApiLab } from "./api-lab.ts";
import { crowdRowNames, measureCrowd } from "./api-crowd.ts";
import { type ApiTarget, inParallel } from "./api-target.ts";
import type { DataOptions } from "./data.ts";
import { makeRow, median, type Row, type RowSpec } from "./row.ts";
import { runWrk } from "./wrk.ts";

export interface ApiScale {
  readonly rounds: number;
  readonly readSeconds: number;
  /** Volumes that are there while reads are measured; a page has as many. */
  readonly population: number;
  readonly creates: number;
  readonly burst: number;
  /** Volumes of the crowded registry. */
  readonly crowd: number;
}

export const fullApiScale: ApiScale = { rounds: 5, readSeconds: 3, population: 100, creates: 20, burst: 80, crowd: 100_000 };
export const quickApiScale: ApiScale = { rounds: 1, readSeconds: 1, population: 20, creates: 3, burst: 10, crowd: 500 };

export interface ApiMeasure {
  readonly rows: readonly (RowSpec & { readonly aim?: number })[];
  /** A value for each row. */
  run(target: ApiTarget, scale: ApiScale): Promise<readonly number[]>;
}

/** A burst comes on as many connections. */
const burstWidth = 8;
const readAim = 20;
const createAim = 20;
const burstAim = 30;

function read(name: string, clients: number, pathOf: (target: ApiTarget, scale: ApiScale) => Promise<string>): ApiMeasure {
  const row = { name: `${name}, ${clients} client${clients > 1 ? "s" : ""}`, unit: "requests/s", better: "higher" } as const;
  return {
    rows: [{ ...row, aim: readAim }],
    async run(target, scale) {
      const url = target.url + (await pathOf(target, scale));
      return [await runWrk(url, { clients, seconds: scale.readSeconds, headers: target.headers })];
    },
  };
}

const reads: readonly ApiMeasure[] = [1, 4].flatMap((clients) => [
  read("GET a volume", clients, newestPath),
  read("list 100 in detail", clients, (_, { population }) => Promise.resolve(`/volumes/detail?limit=${population}`)),
]);

async function newestPath(target: ApiTarget): Promise<string> {
  const { text } = await target.send("GET", "/volumes?limit=1");
  const [newest] = (JSON.parse(text) as { volumes: { id: string }[] }).volumes;
  return `/volumes/${newest!.id}`;
}

/** One life of a hundred volumes: some one by one, the others in a burst, and the end of all. */
const writes: ApiMeasure = {
  rows: [
    { name: "POST of a volume, until the answer", unit: "ms", better: "lower", aim: createAim },
    { name: "create until available", unit: "ms", better: "lower", aim: createAim },
    { name: "80 creates in a burst, until available", unit: "ms", better: "lower", aim: burstAim },
    { name: "delete 100, until gone", unit: "ms", better: "lower" },
  ],
  async run(target, scale) {
    const ids: string[] = [];
    const answered: number[] = [];
    const available: number[] = [];
    for (let at = 0; at < scale.creates; at++) {
      const startMs = systemClock.monotonicMs();
      const id = await target.createVolume(`one-${at}`);
      answered.push(systemClock.monotonicMs() - startMs);
      await target.awaitAvailable(id);
      available.push(systemClock.monotonicMs() - startMs);
      ids.push(id);
    }
    const burstMs = await timed(async () => {
      const burst = await inParallel(scale.burst, burstWidth, (at) => target.createVolume(`burst-${at}`));
      await target.awaitAll(burst);
      ids.push(...burst);
    });
    const deleteMs = await timed(() => target.deleteAll(ids));
    return [median(answered), median(available), burstMs, deleteMs];
  },
};

const measures: readonly ApiMeasure[] = [...reads, writes];

/** Names of all rows, in the order in which they are measured. */
export const apiBenchRowNames: readonly string[] = [
  ...measures.flatMap(({ rows }) => rows.map(({ name }) => name)),
  ...crowdRowNames,
];

async function timed(body: () => Promise<void>): Promise<number> {
  const startMs = systemClock.monotonicMs();
  await body();
  return systemClock.monotonicMs() - startMs;
}

/** Measures the rows that are asked for. Throws when a program fails. */
export async function measureApiBeside({ only, say }: Pick<DataOptions, "only" | "say">, scale: ApiScale): Promise<Row[]> {
  const isWanted = (name: string): boolean => only === undefined || name.toLowerCase().includes(only.toLowerCase());
  const chosen = measures.filter(({ rows }) => rows.some(({ name }) => isWanted(name)));
  const lab = await openApiLab({ withPeer: chosen.length > 0, say });
  try {
    const rows: Row[] = [];
    if (chosen.length > 0) await fill(lab, scale, say);
    for (const measure of chosen) {
      say(measure.rows.map(({ name }) => name).join("; "));
      rows.push(...(await compare(lab, measure, scale)).filter(({ name }) => isWanted(name)));
    }
    await lab.stopPeer();
    rows.push(...(await measureCrowd(lab, scale, isWanted, say)));
    if (rows.length === 0) throw new Error(`no row is named like ${only}`);
    return rows;
  } finally {
    await lab.dispose();
  }
}

async function fill(lab: ApiLab, { population }: ApiScale, say: (line: string) => void): Promise<void> {
  for (const target of lab.targets) {
    say(`${target.name}: ${population} volumes`);
    await target.awaitAll(await inParallel(population, burstWidth, (at) => target.createVolume(`volume-${at}`)));
  }
}

async function compare(lab: ApiLab, measure: ApiMeasure, scale: ApiScale): Promise<Row[]> {
  const results: (readonly number[])[][] = lab.targets.map(() => []);
  for (let round = 0; round < scale.rounds; round++) {
    for (const [index, target] of lab.targets.entries()) results[index]!.push(await measure.run(target, scale));
  }
  return measure.rows.map((row, column) => {
    const [ours, theirs] = results.map((rounds) => rounds.map((values) => values[column]!));
    return makeRow(row, lab.targets[1]!.name, ours!, theirs!, row.aim === undefined ? undefined : { ratio: row.aim });
  });
}
