// Resident memory of the whole process, with as little cache as can be configured: what is left is what it takes by itself, for
// one disk, for many that are open and connected, and for a disk of 16 TiB whose map does not fit into the cache. Garbage that
// was not collected yet counts: it is memory that is taken.

import { systemClock } from "../src/common/clock.ts";
import { NbdClient } from "../src/nbd/client.ts";
import { makeRow, type Row } from "./row.ts";
import { bigGibibytes, limitRow, mebibyte, type ScaleLab, type ScaleScale, withLab } from "./scale-lab.ts";

const limitMebibytes = 200;
const mapCacheBytes = 4 * mebibyte;
const cacheBytes = 4 * mebibyte;
const caches = { engine: { cache_bytes: cacheBytes, map_cache_bytes: mapCacheBytes } };

const oneName = "memory beyond the caches, 1 disk connected";
const manyName = "memory beyond the caches, 1,000 disks connected";
const bigName = "memory beyond the caches, 4 GiB at random over 16 TiB";
const eachName = "memory of each further disk that is connected";

export const memoryRowNames: readonly string[] = [oneName, manyName, eachName, bigName];

export async function measureMemory(sizes: ScaleScale): Promise<Row[]> {
  const [one, many] = await withLab({ ...caches, nbd: { connections_max: sizes.openDisks + 8 } }, (lab) =>
    measureDisks(lab, sizes),
  );
  const big = await withLab(caches, async (lab) => {
    const { disk } = await lab.disk(bigGibibytes);
    await lab.fill(disk, sizes.fillBytes);
    return lab.residentBytes();
  });
  const beyond = (bytes: number): number => (bytes - cacheBytes - mapCacheBytes) / mebibyte;
  const each = (many - one) / 1024 / (sizes.openDisks - 1);
  return [
    limitRow(oneName, "MiB", [beyond(one)], limitMebibytes),
    limitRow(manyName, "MiB", [beyond(many)], limitMebibytes),
    makeRow({ name: eachName, unit: "KiB", better: "lower" }, "1 MiB", [each], [1024], undefined),
    limitRow(bigName, "MiB", [beyond(big)], limitMebibytes),
  ];
}

/** Resident bytes with one disk, and with all. */
async function measureDisks(lab: ScaleLab, sizes: ScaleScale): Promise<readonly [number, number]> {
  const clients: NbdClient[] = [];
  try {
    clients.push(await connect(lab));
    const one = await lab.residentBytes();
    while (clients.length < sizes.openDisks) clients.push(await connect(lab));
    return [one, await lab.residentBytes()];
  } finally {
    for (const client of clients) await client.disconnect();
  }
}

/** A disk of 1 GiB that has been written and read, with a client that stays. */
async function connect(lab: ScaleLab): Promise<NbdClient> {
  const { disk } = await lab.disk(1);
  const client = await NbdClient.connect({ address: { path: disk.socketPath }, exportName: disk.exportName, clock: systemClock });
  const bytes = Buffer.alloc(128 * 1024, 1);
  await client.write(0, bytes, { fua: false });
  await client.flush();
  await client.read(0, bytes);
  return client;
}
