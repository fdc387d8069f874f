// A few pieces of work at a time, in order of their beginning; the first failure ends the rest. Resolves or rejects when
// nothing is under way any more.

import { severalAtOnce } from "../common/several.ts";
import { backupLimits } from "./limits.ts";

export function eachOf<T>(items: Iterable<T>, signal: AbortSignal, work: (item: T) => Promise<unknown>): Promise<void> {
  return severalAtOnce(backupLimits.parallelMax, items, async (item) => {
    signal.throwIfAborted();
    await work(item);
  });
}

/** `bytes` that lie at `offset`, in pieces. */
export function* piecesOf(offset: number, bytes: Buffer): Generator<{ readonly offset: number; readonly bytes: Buffer }> {
  for (let at = 0; at < bytes.length; at += backupLimits.pieceBytes) {
    yield { offset: offset + at, bytes: bytes.subarray(at, at + backupLimits.pieceBytes) };
  }
}
