// All bytes of a device, in order, as an image is: holes come as zeroes that were not read. The next pieces are read while one
// is taken.

import type { BlockDevice } from "../engine/device.ts";

export type ReadableDevice = Pick<BlockDevice, "sizeBytes" | "read" | "extents">;

const pieceBytes = 1024 * 1024;
const aheadMax = 4;
const extentsMax = 256;
const zeroes = Buffer.alloc(pieceBytes);

interface Piece {
  readonly offset: number;
  readonly lengthBytes: number;
  readonly isData: boolean;
}

export async function* readDevice(device: ReadableDevice, signal: AbortSignal): AsyncGenerator<Buffer, void, undefined> {
  const ahead: Promise<Buffer>[] = [];
  try {
    for await (const piece of piecesOf(device)) {
      signal.throwIfAborted();
      const reading = piece.isData ? readPiece(device, piece) : Promise.resolve(zeroes.subarray(0, piece.lengthBytes));
      // Who takes it is told; one that is never taken must not end the process.
      reading.catch(() => undefined);
      ahead.push(reading);
      if (ahead.length >= aheadMax) yield await ahead.shift()!;
    }
    while (ahead.length > 0) yield await ahead.shift()!;
  } finally {
    await Promise.allSettled(ahead);
  }
}

/** How many bytes of the device are data. */
export async function countData(device: ReadableDevice, signal: AbortSignal): Promise<number> {
  let bytes = 0;
  for await (const { lengthBytes, isData } of piecesOf(device)) {
    signal.throwIfAborted();
    if (isData) bytes += lengthBytes;
  }
  return bytes;
}

async function readPiece(device: ReadableDevice, { offset, lengthBytes }: Piece): Promise<Buffer> {
  const target = Buffer.allocUnsafe(lengthBytes);
  await device.read(offset, target);
  return target;
}

async function* piecesOf(device: ReadableDevice): AsyncGenerator<Piece, void, undefined> {
  const { sizeBytes } = device;
  for (let offset = 0; offset < sizeBytes;) {
    for (const extent of await device.extents(offset, sizeBytes - offset, extentsMax)) {
      const end = offset + extent.lengthBytes;
      while (offset < end) {
        const lengthBytes = Math.min(pieceBytes, end - offset);
        yield { offset, lengthBytes, isData: extent.allocated };
        offset += lengthBytes;
      }
    }
  }
}
