// The bytes of one block device onto another of the same size, and whether they are the same. Both begin at any offset and give
// way when they are told to, with the offset up to which they are done. Nothing is kept between two calls.
//
//   source ─ extents ─► hole: left out, the target reads as zeroes
//                       data: read in pieces, some at a time ─► zeroes: left out; else written ─► flush ─► offset
//
// The target of a copy reads as zeroes where nothing was copied yet. The same piece may be copied again: the source stands still.

import { AndironError } from "../common/errors.ts";
import type { BlockDevice } from "../engine/device.ts";

export interface CopyRun {
  readonly signal: AbortSignal;
  shouldYield(): boolean;
}

const pieceBytes = 1024 * 1024;
const piecesMax = 4;
/** Looked at for holes in one step. */
const windowBytes = 1024 * 1024 * 1024;
const extentsMax = 256;
const zeroes = Buffer.alloc(pieceBytes);

type Source = Pick<BlockDevice, "read" | "extents" | "sizeBytes">;
type Target = Pick<BlockDevice, "write" | "flush" | "sizeBytes">;

/** Copies from `offset` on; resolves with the offset up to which the target has it, durable. */
export async function copyDisk(source: Source, target: Target, offset: number, run: CopyRun): Promise<number> {
  checkSizes(source, target);
  const reached = await eachPiece(source, offset, run, async (at, lengthBytes) => {
    const piece = Buffer.allocUnsafe(lengthBytes);
    await source.read(at, piece);
    if (!isZero(piece)) await target.write(at, piece, { fua: false });
  });
  await target.flush();
  return reached;
}

/** Compares from `offset` on, and resolves with the offset up to which both are the same; rejects with copy_differs. */
export async function compareDisks(
  source: Source,
  target: Pick<BlockDevice, "read" | "extents" | "sizeBytes">,
  offset: number,
  run: CopyRun,
): Promise<number> {
  checkSizes(source, target);
  // What is a hole in one of them may be data in the other.
  const both: Pick<BlockDevice, "extents" | "sizeBytes"> = {
    sizeBytes: source.sizeBytes,
    async extents(at, lengthBytes) {
      const [left] = await source.extents(at, lengthBytes, 1);
      const [right] = await target.extents(at, lengthBytes, 1);
      const shorter = Math.min(left!.lengthBytes, right!.lengthBytes);
      return [{ lengthBytes: shorter, allocated: left!.allocated || right!.allocated }];
    },
  };
  return eachPiece(both, offset, run, async (at, lengthBytes) => {
    const [left, right] = [Buffer.allocUnsafe(lengthBytes), Buffer.allocUnsafe(lengthBytes)];
    await Promise.all([source.read(at, left), target.read(at, right)]);
    if (left.equals(right)) return;
    throw new AndironError("copy_differs", `the copy is not what was copied, between bytes ${at} and ${at + lengthBytes}`);
  });
}

/** Calls `work` for all pieces that are not holes, a few at a time; resolves, when none is under way, with where it ended. */
async function eachPiece(
  disk: Pick<BlockDevice, "extents" | "sizeBytes">,
  offset: number,
  run: CopyRun,
  work: (at: number, lengthBytes: number) => Promise<void>,
): Promise<number> {
  const underway = new Set<Promise<void>>();
  let failure: { readonly error: unknown } | undefined;
  let at = offset;
  const begin = (from: number, lengthBytes: number): void => {
    const working: Promise<void> = work(from, lengthBytes)
      .catch((error: unknown) => void (failure ??= { error }))
      .finally(() => underway.delete(working));
    underway.add(working);
  };
  try {
    while (at < disk.sizeBytes) {
      for (const extent of await disk.extents(at, Math.min(windowBytes, disk.sizeBytes - at), extentsMax)) {
        const end = at + extent.lengthBytes;
        if (!extent.allocated) at = end;
        while (at < end) {
          run.signal.throwIfAborted();
          if (failure !== undefined) throw failure.error;
          const lengthBytes = Math.min(end, at + pieceBytes - (at % pieceBytes)) - at;
          begin(at, lengthBytes);
          at += lengthBytes;
          while (underway.size >= piecesMax) await Promise.race(underway);
          if (run.shouldYield()) return await settled();
        }
      }
      run.signal.throwIfAborted();
      if (run.shouldYield()) break;
    }
    return await settled();
  } finally {
    await Promise.all(underway);
  }

  async function settled(): Promise<number> {
    await Promise.all(underway);
    if (failure !== undefined) throw failure.error;
    return at;
  }
}

function isZero(bytes: Buffer): boolean {
  return bytes.equals(zeroes.subarray(0, bytes.length));
}

function checkSizes(source: Pick<BlockDevice, "sizeBytes">, target: Pick<BlockDevice, "sizeBytes">): void {
  if (source.sizeBytes === target.sizeBytes) return;
  throw new AndironError("copy_differs", `a disk of ${source.sizeBytes} bytes can't be copied to one of ${target.sizeBytes}`);
}
