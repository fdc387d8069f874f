// What the output of `andiron-manage registry dump` says, as far as the judge of the outside needs it.

import type { Records, SeenJob, SeenLog, SeenRetired, SeenVdisk } from "./seen.ts";

interface Line {
  readonly key: string;
  readonly value: Readonly<Record<string, unknown>>;
}

interface JobLine extends Omit<SeenJob, "resource"> {
  readonly resource: { readonly type: string; readonly id: string };
}

/** An epoch of a log, and which segments of it were written; one that has not ended goes on writing. */
interface EpochLine {
  readonly epoch: number;
  readonly first?: number;
  readonly last?: number;
}

/** How often a segment was rewritten; a generation up to `reserved` may be on its way. */
interface RelocationLine {
  readonly generation: number;
  readonly reserved: number;
  readonly dropped?: true;
}

export function readRecords(dump: string): Records {
  const lines = dump.split("\n").flatMap((line) => (line === "" ? [] : [JSON.parse(line) as Line]));
  const below = <T>(prefix: string): T[] => {
    return lines.filter(({ key }) => key.startsWith(prefix)).map(({ value }) => value as unknown as T);
  };
  const needed = new Set(lines.flatMap(({ key }) => /^engine\/(?:cut|wish)\/([^/]+)\//.exec(key)?.slice(1) ?? []));
  const relocations = new Map(
    lines.flatMap(({ key, value }) => {
      const [, segment] = /^engine\/relocation\/(.*)$/.exec(key) ?? [];
      return segment === undefined ? [] : [[segment, value as unknown as RelocationLine] as const];
    }),
  );
  return {
    jobs: below<JobLine>("cinder/job/").map((job) => ({ ...job, resource: `${job.resource.type} ${job.resource.id}` })),
    vdisks: below<SeenVdisk>("engine/vdisk/"),
    snapshots: below<{ readonly id: string }>("engine/snapshot/").map(({ id }) => id),
    exports: below<{ readonly id: string }>("engine/export/").map(({ id }) => id),
    logs: below<Pick<SeenLog, "id" | "vdisk">>("engine/log/").map(({ id, vdisk }) => {
      const epochs = below<EpochLine>(`engine/epoch/${id}/`);
      return { id, vdisk, isNeeded: needed.has(id), hasSegment: (name) => hasSegment(name, id, epochs, relocations) };
    }),
    retired: below<SeenRetired>("engine/retired/"),
    cached: below<{ readonly id: string }>("cinder/image-cache/").map(({ id }) => id),
  };
}

function hasSegment(
  name: string,
  log: string,
  epochs: readonly EpochLine[],
  relocations: ReadonlyMap<string, RelocationLine>,
): boolean {
  const [, epoch = "", number = "", generation = ""] = /^s-([0-9a-f]{8})-([0-9a-f]{8})-([0-9a-f]{8})$/.exec(name) ?? [];
  const moved = relocations.get(`${log}/${epoch}-${number}`);
  if (moved?.dropped === true) return false;
  const [ofEpoch, at, written] = [epoch, number, generation].map((hex) => Number.parseInt(hex, 16)) as [number, number, number];
  const isOfEpoch = epochs.some((one) => one.epoch === ofEpoch && at >= (one.first ?? 1) && at <= (one.last ?? Infinity));
  return isOfEpoch && written >= (moved?.generation ?? 0) && written <= (moved?.reserved ?? 0);
}
