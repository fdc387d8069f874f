// The disk as the campaign sees it: an NBD connection to the service under test.

import type { NbdClient } from "../../src/nbd/client.ts";
import { sectorBytes, stampsOf } from "./sector-pattern.ts";

const readBytes = 1024 * 1024;
const readsInFlight = 4;

/** Reads `count` sectors from `firstByte` on and says who wrote each; sector 0 is the one at `firstByte`. */
export async function readStamps(client: NbdClient, firstByte: number, count: number): Promise<Int32Array> {
  const stamps = new Int32Array(count);
  const chunkSectors = readBytes / sectorBytes;
  let next = 0;
  const readChunks = async (): Promise<void> => {
    while (next < count) {
      const sector = next;
      next += chunkSectors;
      const bytes = await client.read(firstByte + sector * sectorBytes, Math.min(chunkSectors, count - sector) * sectorBytes);
      stamps.set(stampsOf(bytes, sector), sector);
    }
  };
  await Promise.all(Array.from({ length: readsInFlight }, readChunks));
  return stamps;
}
