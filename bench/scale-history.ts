// What a disk's history costs its reads and writes: a thousand snapshots, and a hundred clones of clones, each beside a disk of
// the same content without any. Hot: what is read was read before. Cold: the service has just started, its caches are empty.

import { seededRandom } from "../src/common/random.ts";
import { systemClock } from "../src/common/clock.ts";
import { NbdClient } from "../src/nbd/client.ts";
import { runFio, type Workload } from "./fio.ts";
import { makeRow, type Row, type RowSpec } from "./row.ts";
import { mebibyte, randomReads, randomWrites, type ScaleLab, type ScaleScale, withLab } from "./scale-lab.ts";
import type { Disk } from "./target.ts";

const snapshotReads = "1,000 snapshots: random read hot QD32";
const snapshotWrites = "1,000 snapshots: random write QD32";
const chainHot = "chain of 100 clones: random read hot QD32";
const chainCold = "chain of 100 clones: random read cold QD32";
const chainWork = "chain of 100 clones: backend reads for each cold read";

export const snapshotRowNames: readonly string[] = [snapshotReads, snapshotWrites];
export const chainRowNames: readonly string[] = [chainHot, chainCold, chainWork];

/** Within 5 %. */
const aim = { ratio: 0.95 };
const rangeBytes = 256 * mebibyte;
/** Written between two snapshots, and by each clone. */
const pieceBytes = 64 * 1024;
const sequentialWrites: Workload = { pattern: "write", blockBytes: mebibyte, depth: 8 };
const sequentialReads: Workload = { pattern: "read", blockBytes: mebibyte, depth: 8 };

interface Attached {
  readonly volumeId: string;
  readonly attachmentId: string;
  readonly disk: Disk;
}

const inOperations = (name: string): RowSpec => ({ name, unit: "IOPS", better: "higher" });

export function measureSnapshots(sizes: ScaleScale): Promise<Row[]> {
  return withLab({ engine: { cache_bytes: 4 * rangeBytes } }, async (lab) => {
    const plain = await filled(lab);
    const marked = await filled(lab);
    for (let count = 0; count < sizes.snapshots; count++) {
      for (const { disk } of [plain, marked]) await writePiece(disk, count);
      await lab.api.createSnapshot(marked.volumeId);
    }
    await lab.settle();
    const disks = [marked.disk, plain.disk];
    for (const disk of disks) await run(lab, disk, sequentialReads);
    const reads = await inTurns(sizes, disks, (disk) => iops(lab, disk, randomReads, sizes));
    const writes = await inTurns(sizes, disks, async (disk) => {
      const figure = await iops(lab, disk, randomWrites, sizes);
      await lab.settle();
      return figure;
    });
    return [
      makeRow(inOperations(snapshotReads), "without", reads[0]!, reads[1]!, aim),
      makeRow(inOperations(snapshotWrites), "without", writes[0]!, writes[1]!, aim),
    ];
  });
}

export function measureChain(sizes: ScaleScale): Promise<Row[]> {
  return withLab({ engine: { cache_bytes: 4 * rangeBytes } }, async (lab) => {
    const plain = await filled(lab);
    let last = await filled(lab);
    for (let count = 0; count < sizes.chain; count++) {
      await lab.api.delete("attachments", last.attachmentId);
      const volumeId = await lab.api.createVolume({ size: 1, source_volid: last.volumeId });
      const { id, disk } = await lab.attach(volumeId);
      last = { volumeId, attachmentId: id, disk };
      for (const target of [last.disk, plain.disk]) await writePiece(target, count);
    }
    const disks = [last.disk, plain.disk];
    const work = new Map<Disk, number[]>(disks.map((disk) => [disk, []]));
    const cold = await inTurns(sizes, disks, async (disk) => {
      await lab.service.stop();
      await lab.service.start();
      const before = await lab.metric("andiron_backend_operations_total", 'verb="read"');
      const { iops: figure, requests } = await runFio([disk], randomReads, rangeBytes, { runMs: sizes.runMs }, lab.folder);
      work.get(disk)!.push(((await lab.metric("andiron_backend_operations_total", 'verb="read"')) - before) / requests);
      return figure;
    });
    for (const disk of disks) await run(lab, disk, sequentialReads);
    const hot = await inTurns(sizes, disks, (disk) => iops(lab, disk, randomReads, sizes));
    const reads: RowSpec = { name: chainWork, unit: "reads", better: "lower" };
    return [
      makeRow(inOperations(chainHot), "one disk", hot[0]!, hot[1]!, aim),
      makeRow(inOperations(chainCold), "one disk", cold[0]!, cold[1]!, aim),
      makeRow(reads, "one disk", work.get(disks[0]!)!, work.get(disks[1]!)!, aim),
    ];
  });
}

async function filled(lab: ScaleLab): Promise<Attached> {
  const made = await lab.disk(1);
  await run(lab, made.disk, sequentialWrites);
  return made;
}

async function run(lab: ScaleLab, disk: Disk, workload: Workload): Promise<void> {
  await runFio([disk], workload, rangeBytes, { passes: 1 }, lab.folder);
}

async function iops(lab: ScaleLab, disk: Disk, workload: Workload, { runMs }: ScaleScale): Promise<number> {
  return (await runFio([disk], workload, rangeBytes, { runMs }, lab.folder)).iops;
}

/** Figures of each disk in each round; the disks take turns. */
async function inTurns(sizes: ScaleScale, disks: readonly Disk[], measure: (disk: Disk) => Promise<number>): Promise<number[][]> {
  const figures: number[][] = disks.map(() => []);
  for (let round = 0; round < sizes.rounds; round++) {
    for (const [at, disk] of disks.entries()) figures[at]!.push(await measure(disk));
  }
  return figures;
}

/** The same places on each disk. */
async function writePiece({ socketPath, exportName }: Disk, count: number): Promise<void> {
  const client = await NbdClient.connect({ address: { path: socketPath }, exportName, clock: systemClock });
  const random = seededRandom(count);
  const clusters = Array.from({ length: pieceBytes / 4096 }, () => random.below(rangeBytes / 4096));
  await Promise.all(clusters.map((cluster) => client.write(cluster * 4096, random.bytes(4096), { fua: false })));
  await client.disconnect();
}
