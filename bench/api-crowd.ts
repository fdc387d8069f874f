// Andiron with many volumes beside itself with a hundred: what a request costs must not depend on how many there are. And the
// memory that a volume takes, beside the length of its answer.

import type { ApiLab } from "./api-lab.ts";
import type { ApiScale } from "./api.ts";
import { type ApiTarget, inParallel } from "./api-target.ts";
import { makeRow, type Row } from "./row.ts";
import { runWrk } from "./wrk.ts";

const few = 100;
const fillWidth = 16;
/** What is to be found by a filter, of its name or of its status: no other is in error. */
const rareName = "the one that is looked for";
/** At most twice the time. */
const crowdAim = { ratio: 0.5 };
const memoryName = "memory of a volume";

interface Reading {
  readonly name: string;
  path(target: ApiTarget): Promise<string>;
}

const readings: readonly Reading[] = [
  { name: "crowded: GET a volume", path: async (target) => `/volumes/${await findRare(target)}` },
  { name: "crowded: page of 100 in detail", path: () => Promise.resolve("/volumes/detail?limit=100") },
  {
    name: "crowded: page of 100 behind a marker",
    path: async (target) => `/volumes/detail?limit=100&marker=${await findRare(target)}`,
  },
  { name: "crowded: list filtered by name", path: () => Promise.resolve(`/volumes/detail?name=${encodeURIComponent(rareName)}`) },
  { name: "crowded: list filtered by status", path: () => Promise.resolve("/volumes/detail?status=error&limit=100") },
];

export const crowdRowNames: readonly string[] = [...readings.map(({ name }) => name), memoryName];

/** A crowd that found no room would be another list than the one that is measured. */
async function checkErrors(target: ApiTarget, rare: string): Promise<void> {
  const { text } = await target.send("GET", "/volumes?status=error&limit=2");
  const found = (JSON.parse(text) as { volumes: { id: string }[] }).volumes.map(({ id }) => id);
  if (found.join() !== rare) throw new Error(`volumes in error: ${found.join(", ")}, not ${rare} alone`);
}

async function findRare(target: ApiTarget): Promise<string> {
  const { text } = await target.send("GET", `/volumes?name=${encodeURIComponent(rareName)}`);
  const [found] = (JSON.parse(text) as { volumes: { id: string }[] }).volumes;
  if (found === undefined) throw new Error(`${target.name} does not find the volume`);
  return found.id;
}

/** Makes the crowd when one of its rows is wanted. */
export async function measureCrowd(
  lab: ApiLab,
  scale: ApiScale,
  isWanted: (name: string) => boolean,
  say: (line: string) => void,
): Promise<Row[]> {
  const chosen = readings.filter(({ name }) => isWanted(name));
  if (chosen.length === 0 && !isWanted(memoryName)) return [];
  const target = await lab.openFresh();
  // The one that is looked for lies behind a page of others, in both crowds.
  await inParallel(few - 1, fillWidth, (at) => target.createVolume(`volume-${at}`));
  const rare = await target.createVolume(rareName);
  await target.send("POST", `/volumes/${rare}/action`, { "os-reset_status": { status: "error" } });
  const before = await timeAll(target, chosen, scale);
  const beforeBytes = await lab.residentBytes(target);
  say(`${target.name}: ${scale.crowd} volumes`);
  await inParallel(scale.crowd - few, fillWidth, (at) => target.createVolume(`crowd-${at}`));
  const afterBytes = await lab.residentBytes(target);
  await checkErrors(target, rare);
  const after = await timeAll(target, chosen, scale);

  const rows = chosen.map(({ name }, index) =>
    makeRow({ name, unit: "ms", better: "lower" }, `with ${few}`, after[index]!, before[index]!, crowdAim),
  );
  if (isWanted(memoryName)) {
    const { text } = await target.send("GET", `/volumes/${await findRare(target)}`);
    const bytes = (afterBytes - beforeBytes) / (scale.crowd - few);
    rows.push(makeRow({ name: memoryName, unit: "bytes", better: "lower" }, "its answer", [bytes], [text.length], undefined));
  }
  return rows;
}

/** Milliseconds of each round, for each reading. */
async function timeAll(target: ApiTarget, chosen: readonly Reading[], scale: ApiScale): Promise<number[][]> {
  const times: number[][] = chosen.map(() => []);
  for (let round = 0; round < scale.rounds; round++) {
    for (const [index, reading] of chosen.entries()) {
      const url = target.url + (await reading.path(target));
      const rate = await runWrk(url, { clients: 1, seconds: scale.readSeconds, headers: target.headers });
      times[index]!.push(1000 / rate);
    }
  }
  return times;
}
