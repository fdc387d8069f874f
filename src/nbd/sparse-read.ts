// A big READ on a connection with structured replies: holes are sent as holes, and data in chunks of bounded size, each
// from its own slab and as soon as it has been read.
//
// - Small holes are read as data: a chunk costs more than the zeroes it saves.
// - Chunks of one reply leave in order; other replies may come between them.
// - Memory is what the request's length says, which is counted by the caller.

import { assert } from "../common/assert.ts";
import type { BlockDevice, Extent } from "../engine/device.ts";
import { dataChunkHeaderBytes } from "./constants.ts";
import type { NbdLimits } from "./limits.ts";
import { encodeHole, writeDataChunkHeader, type Cookie } from "./reply-encoding.ts";
import type { ReplyQueue } from "./reply-queue.ts";
import type { SlabPool } from "./slab.ts";

const holeBytesMin = 16 * 1024;

export interface Piece {
  readonly hole: boolean;
  readonly lengthBytes: number;
}

/** Joins neighbours, counts holes below `holeBytesMin` as data, and cuts data at `chunkBytesMax`. */
export function planPieces(extents: readonly Extent[], chunkBytesMax: number): Piece[] {
  const pieces: Piece[] = [];
  let dataBytes = 0;
  const endData = (): void => {
    for (; dataBytes > 0; dataBytes -= Math.min(dataBytes, chunkBytesMax)) {
      pieces.push({ hole: false, lengthBytes: Math.min(dataBytes, chunkBytesMax) });
    }
  };
  for (const { allocated, lengthBytes } of extents) {
    if (allocated || lengthBytes < holeBytesMin) {
      dataBytes += lengthBytes;
      continue;
    }
    endData();
    pieces.push({ hole: true, lengthBytes });
  }
  endData();
  return pieces;
}

export interface SparseReadOptions {
  readonly limits: NbdLimits;
  readonly pool: SlabPool;
}

/** Queues the whole reply to a READ, the last chunk with DONE; stops early when the connection has gone.
 *  Rejects with the device's error; no DONE was sent then. */
export async function readSparse(
  request: Cookie & { readonly offset: number; readonly length: number },
  device: BlockDevice,
  options: SparseReadOptions,
  queue: ReplyQueue,
): Promise<void> {
  const end = request.offset + request.length;
  let offset = request.offset;
  while (offset < end && !queue.disposed) {
    const found = device.extents(offset, end - offset, options.limits.sparseReadExtentsMax);
    const extents = found instanceof Promise ? await found : found;
    assert(extents.length > 0, "a device gave no extent");
    for (const piece of planPieces(extents, options.limits.readChunkBytesMax)) {
      const done = offset + piece.lengthBytes === end;
      if (piece.hole) queue.append(encodeHole(request, done, offset, piece.lengthBytes));
      else {
        // The first was let in by the caller.
        if (offset > request.offset) while (!queue.hasRoom) await new Promise<void>((resolve) => queue.whenRoom(resolve));
        const reading = readPiece(request, device, options, queue, offset, piece.lengthBytes, done);
        if (reading !== undefined) await reading;
      }
      offset += piece.lengthBytes;
    }
  }
  assert(offset <= end, "extents beyond the request");
}

function readPiece(
  cookie: Cookie,
  device: BlockDevice,
  options: SparseReadOptions,
  queue: ReplyQueue,
  offset: number,
  lengthBytes: number,
  done: boolean,
): Promise<void> | undefined {
  const slab = options.pool.take(lengthBytes);
  const send = (): void => {
    const at = queue.begin(dataChunkHeaderBytes);
    writeDataChunkHeader(queue.buffer, at, cookie, done, offset, lengthBytes);
    queue.commit(dataChunkHeaderBytes);
    queue.push(slab, 0, lengthBytes);
  };
  let settled: Promise<void> | undefined;
  try {
    settled = device.read(offset, slab.buffer.subarray(0, lengthBytes));
  } catch (error) {
    slab.release();
    throw error;
  }
  if (settled === undefined) return void send();
  return settled.then(send, (error: unknown) => {
    slab.release();
    throw error;
  });
}
