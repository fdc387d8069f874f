// The bytes of one block device onto another of the same size, and whether they are the same. Both begin at any offset and give
// way when they are told to, with the offset up to which they are done. Nothing is kept between two calls.
//
//   source ─ extents ─► hole: left out, the target reads as zeroes
//                       data: read in pieces, some at a time ─► zeroes: left out; else written ─► flush ─► offset
//
// The target of a copy reads as zeroes where nothing was copied yet. The same piece may be copied again. A source that is written
// meanwhile is copied as it is found, and whoever knows what was written copies those ranges again.

import { AndironError } from "../common/errors.ts";
import type { BlockDevice, ByteRange } from "../engine/device.ts";

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
type Target = Pick<BlockDevice, "write" | "writeZeroes" | "flush" | "sizeBytes">;
type PieceWork = (at: number, lengthBytes: number) => Promise<void>;

/**
 * Copies from `offset` on; resolves with the offset up to which the target has it, durable. `overwrites`: the target may have
 * other data, which go.
 */
export async function copyDisk(
  source: Source,
  target: Target,
  offset: number,
  run: CopyRun,
  overwrites = false,
): Promise<number> {
  checkSizes(source, target);
  const clear = (at: number, lengthBytes: number): Promise<void> =>
    target.writeZeroes(at, lengthBytes, { fua: false, noHole: false });
  const zero = overwrites ? clear : undefined;
  const reached = await eachPiece(source, offset, run, copyOf(source, target, zero), zero);
  await target.flush();
  return reached;
}

/** Makes the ranges of the target what they are in the source, holes too; durable when it resolves. */
export async function copyRanges(source: Source, target: Target, ranges: Iterable<ByteRange>, run: CopyRun): Promise<void> {
  checkSizes(source, target);
  const patient: CopyRun = { signal: run.signal, shouldYield: () => false };
  const clear = (at: number, lengthBytes: number): Promise<void> =>
    target.writeZeroes(at, lengthBytes, { fua: false, noHole: false });
  for (const { offset, lengthBytes } of ranges) {
    const sizeBytes = Math.min(offset + lengthBytes, source.sizeBytes);
    const part = { sizeBytes, extents: source.extents.bind(source) };
    await eachPiece(part, offset, patient, copyOf(source, target, clear), clear);
  }
  await target.flush();
}

/**
 * Compares from `offset` on, and resolves with the offset up to which both are the same; rejects with copy_differs. What
 * `mayDiffer` when it was read may.
 */
export async function compareDisks(
  source: Source,
  target: Pick<BlockDevice, "read" | "extents" | "sizeBytes">,
  offset: number,
  run: CopyRun,
  mayDiffer: (at: number, lengthBytes: number) => boolean = () => false,
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
    if (left.equals(right) || mayDiffer(at, lengthBytes)) return;
    throw new AndironError("copy_differs", `the copy is not what was copied, between bytes ${at} and ${at + lengthBytes}`);
  });
}

/** `zero`: what is done with a piece of zeroes; without it these are left out. */
function copyOf(source: Source, target: Target, zero: PieceWork | undefined): PieceWork {
  return async (at, lengthBytes) => {
    const piece = Buffer.allocUnsafe(lengthBytes);
    await source.read(at, piece);
    if (!isZero(piece)) await target.write(at, piece, { fua: false });
    else await zero?.(at, lengthBytes);
  };
}

/**
 * Calls `work` for all pieces that are not holes, a few at a time, and `hole` for what is; resolves, when none is under way, with
 * where it ended.
 */
async function eachPiece(
  disk: Pick<BlockDevice, "extents" | "sizeBytes">,
  offset: number,
  run: CopyRun,
  work: PieceWork,
  hole: PieceWork = () => Promise.resolve(),
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
        if (!extent.allocated) {
          await hole(at, extent.lengthBytes);
          at = end;
        }
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
