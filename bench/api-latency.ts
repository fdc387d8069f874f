// How long the API takes until a volume, snapshot or clone can be used, beside the limit that is set for it: the time from
// the request until a poll shows the status. A peer's figure would be of another kind, so there is none.

import { systemClock } from "../src/common/clock.ts";
import { BlockStorage, type VolumeRequest } from "../test/harness/block-storage.ts";
import { runFio } from "./fio.ts";
import type { Lab } from "./lab.ts";
import { makeRow, type Row } from "./row.ts";
import { ourName } from "./target.ts";

const limitMs = 10;
const pollMs = 1;
const pollMsMax = 60_000;
const limitName = "limit";
const operations = ["create", "snapshot", "clone of a snapshot", "clone of a volume", "delete"] as const;
type Operation = (typeof operations)[number];

/** Names of the rows, idle and under load. */
export const apiRowNames: readonly string[] = operations.flatMap((operation) => [
  rowName(operation, false),
  rowName(operation, true),
]);

function rowName(operation: Operation, loaded: boolean): string {
  return `API: ${operation}${loaded ? ", under load" : ""}`;
}

/** Measures every operation that `isWanted`, first idle, then beside random writes (QD8) on the disk that is snapshotted. */
export async function measureApi(lab: Lab, isWanted: (name: string) => boolean): Promise<Row[]> {
  const api = new BlockStorage(lab.service);
  const ours = lab.targets.get(ourName)!;
  const volumeId = await api.createVolume();
  const { name } = (await api.attach(volumeId)).connection_info;
  const { socketPath } = await lab.mainDisk(ours);
  const disk = { socketPath, exportName: name };
  const write = { pattern: "randwrite", blockBytes: 4096, depth: 8 } as const;
  await runFio([disk], write, lab.scale.rangeBytes, { runMs: lab.scale.runMs }, lab.folder);

  const rows: Row[] = [];
  for (const loaded of [false, true]) {
    const wanted = operations.filter((operation) => isWanted(rowName(operation, loaded)));
    if (wanted.length === 0) continue;
    let done = false;
    const keepWriting = async (): Promise<void> => {
      while (!done) await runFio([disk], write, lab.scale.rangeBytes, { runMs: 500 }, lab.folder);
    };
    const load = loaded ? keepWriting() : Promise.resolve();
    let times: Readonly<Record<Operation, number[]>>;
    try {
      times = await timeOperations(api, volumeId, lab.scale.apiCalls);
    } finally {
      done = true;
      await load;
    }
    for (const operation of wanted) {
      const spec = { name: rowName(operation, loaded), unit: "ms", better: "lower" } as const;
      const limits = times[operation].map(() => limitMs);
      rows.push(makeRow(spec, limitName, times[operation], limits, { ratio: 1 }));
    }
  }
  return rows;
}

async function timeOperations(api: BlockStorage, volumeId: string, count: number): Promise<Record<Operation, number[]>> {
  const times: Record<Operation, number[]> = {
    create: [],
    snapshot: [],
    "clone of a snapshot": [],
    "clone of a volume": [],
    delete: [],
  };
  const create = (volume: VolumeRequest) => () => startVolume(api, volume);
  for (let call = 0; call < count; call++) {
    const empty = await timed(times.create, api, "volumes", create({ size: 1 }));
    const snapshot = await timed(times.snapshot, api, "snapshots", () => startSnapshot(api, volumeId));
    const clone = await timed(times["clone of a snapshot"], api, "volumes", create({ size: 1, snapshot_id: snapshot }));
    const copy = await timed(times["clone of a volume"], api, "volumes", create({ size: 1, source_volid: volumeId }));
    const startMs = systemClock.monotonicMs();
    await api.request("DELETE", `/volumes/${empty}`);
    await waitFor(async () => (await api.request("GET", `/volumes/${empty}`)).status === 404);
    times.delete.push(systemClock.monotonicMs() - startMs);
    await api.delete("volumes", clone);
    await api.delete("volumes", copy);
    await api.delete("snapshots", snapshot);
  }
  return times;
}

export async function startVolume(api: BlockStorage, volume: VolumeRequest): Promise<string> {
  return (await api.call<{ volume: { id: string } }>("POST", "/volumes", { volume })).volume.id;
}

export async function startSnapshot(api: BlockStorage, volumeId: string): Promise<string> {
  const body = { snapshot: { volume_id: volumeId, force: true } };
  return (await api.call<{ snapshot: { id: string } }>("POST", "/snapshots", body)).snapshot.id;
}

/** Adds the time until what `start` made is available; resolves with its id. */
export async function timed(
  times: number[],
  api: BlockStorage,
  collection: "volumes" | "snapshots",
  start: () => Promise<string>,
): Promise<string> {
  const startMs = systemClock.monotonicMs();
  const id = await start();
  await waitFor(async () => {
    const body = await api.call<Record<string, { status: string }>>("GET", `/${collection}/${id}`);
    const status = body[collection.slice(0, -1)]?.status ?? "";
    if (status.startsWith("error")) throw new Error(`${collection} ${id} is in ${status}`);
    return status === "available";
  });
  times.push(systemClock.monotonicMs() - startMs);
  return id;
}

/** Asks each millisecond. */
export async function waitFor(isDone: () => Promise<boolean>): Promise<void> {
  const deadlineMs = systemClock.monotonicMs() + pollMsMax;
  while (!(await isDone())) {
    if (systemClock.monotonicMs() > deadlineMs) throw new Error(`an operation of the API took longer than ${pollMsMax} ms`);
    await systemClock.sleep(pollMs);
  }
}
