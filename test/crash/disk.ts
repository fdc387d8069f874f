// Reading a whole disk back, some large requests at a time.

import type { BlockDevice } from "../../src/engine/device.ts";
import { sectorBytes, stampsOf } from "./sector-pattern.ts";

const readBytes = 1024 * 1024;
const readsInFlight = 4;

/** Reads `count` sectors from `firstByte` on and says who wrote each; sector 0 is the one at `firstByte`. */
export async function readStamps(device: BlockDevice, firstByte: number, count: number): Promise<Int32Array> {
  const stamps = new Int32Array(count);
  const chunkSectors = readBytes / sectorBytes;
  let next = 0;
  const readChunks = async (): Promise<void> => {
    while (next < count) {
      const sector = next;
      next += chunkSectors;
      const bytes = Buffer.alloc(Math.min(chunkSectors, count - sector) * sectorBytes);
      await device.read(firstByte + sector * sectorBytes, bytes);
      stamps.set(stampsOf(bytes, sector), sector);
    }
  };
  await Promise.all(Array.from({ length: readsInFlight }, readChunks));
  return stamps;
}
