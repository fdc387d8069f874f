// What the control path costs on the largest disk: create, snapshot, clone, revert and delete of 16 TiB with data all over it,
// until the API shows it, idle and while the disk is written. Beside a limit: none of it may depend on the size.

import { systemClock } from "../src/common/clock.ts";
import { startSnapshot, startVolume, timed, waitFor } from "./api-latency.ts";
import { runFio } from "./fio.ts";
import type { Row } from "./row.ts";
import { bigBytes, bigGibibytes, limitRow, randomWrites, type ScaleLab, type ScaleScale, withLab } from "./scale-lab.ts";

const limitMs = 10;
const steps = [
  "create",
  "snapshot",
  "clone of a snapshot",
  "clone of a volume",
  "revert",
  "delete",
  "delete a snapshot",
] as const;
type Step = (typeof steps)[number];
/** Requests that are kept waiting meanwhile: a load that is there, not one that fills the machine. */
const loadDepth = 8;

const nameOf = (step: Step, loaded: boolean): string => `16 TiB: ${step}${loaded ? ", under load" : ""}`;
export const controlRowNames: readonly string[] = [false, true].flatMap((loaded) => steps.map((step) => nameOf(step, loaded)));

export function measureControl(sizes: ScaleScale): Promise<Row[]> {
  return withLab({}, async (lab) => {
    const { volumeId, disk } = await lab.disk(bigGibibytes);
    await lab.fill(disk, sizes.fillBytes);
    const rows: Row[] = [];
    for (const loaded of [false, true]) {
      await lab.settle();
      let done = false;
      const keepWriting = async (): Promise<void> => {
        const write = { ...randomWrites, depth: loadDepth };
        while (loaded && !done) await runFio([disk], write, bigBytes, { runMs: 500 }, lab.folder);
      };
      const load = keepWriting();
      let times: Readonly<Record<Step, number[]>>;
      try {
        times = await timeSteps(lab, volumeId, sizes.apiCalls);
      } finally {
        done = true;
        await load;
      }
      rows.push(...steps.map((step) => limitRow(nameOf(step, loaded), "ms", times[step], limitMs)));
    }
    return rows;
  });
}

async function timeSteps({ api }: ScaleLab, volumeId: string, calls: number): Promise<Record<Step, number[]>> {
  const times = Object.fromEntries(steps.map((step) => [step, []])) as unknown as Record<Step, number[]>;
  const size = bigGibibytes;
  const create = (step: Step, source: { snapshot_id?: string; source_volid?: string }): Promise<string> =>
    timed(times[step], api, "volumes", () => startVolume(api, { size, ...source }));
  for (let call = 0; call < calls; call++) {
    const empty = await create("create", {});
    const snapshot = await timed(times.snapshot, api, "snapshots", () => startSnapshot(api, volumeId));
    const clone = await create("clone of a snapshot", { snapshot_id: snapshot });
    const copy = await create("clone of a volume", { source_volid: volumeId });
    // A disk is reverted to its latest snapshot, and while nobody is attached to it.
    const point = await timed([], api, "snapshots", () => startSnapshot(api, copy));
    times.revert.push(await timeRevert(api, copy, point));
    times["delete a snapshot"].push(await timeDelete(api, "snapshots", point));
    times.delete.push(await timeDelete(api, "volumes", clone));
    await api.delete("volumes", copy);
    await api.delete("volumes", empty);
    await api.delete("snapshots", snapshot);
  }
  return times;
}

async function timeRevert(api: ScaleLab["api"], volumeId: string, snapshotId: string): Promise<number> {
  const startMs = systemClock.monotonicMs();
  await api.call("POST", `/volumes/${volumeId}/action`, { revert: { snapshot_id: snapshotId } });
  await waitFor(async () => {
    const { volume } = await api.call<{ volume: { status: string } }>("GET", `/volumes/${volumeId}`);
    return volume.status === "available";
  });
  return systemClock.monotonicMs() - startMs;
}

async function timeDelete(api: ScaleLab["api"], collection: "volumes" | "snapshots", id: string): Promise<number> {
  const startMs = systemClock.monotonicMs();
  await api.call("DELETE", `/${collection}/${id}`);
  await waitFor(async () => (await api.request("GET", `/${collection}/${id}`)).status === 404);
  return systemClock.monotonicMs() - startMs;
}
