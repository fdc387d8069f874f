// A few pieces of work at a time, in order of their beginning; the first failure ends the rest. Resolves or rejects when
// nothing is under way any more.

import { backupLimits } from "./limits.ts";

export async function eachOf<T>(items: Iterable<T>, signal: AbortSignal, work: (item: T) => Promise<unknown>): Promise<void> {
  const iterator = items[Symbol.iterator]();
  let failure: { readonly error: unknown } | undefined;
  const worker = async (): Promise<void> => {
    while (failure === undefined) {
      const next = iterator.next();
      if (next.done === true) return;
      try {
        signal.throwIfAborted();
        await work(next.value);
      } catch (error) {
        failure ??= { error };
      }
    }
  };
  await Promise.all(Array.from({ length: backupLimits.parallelMax }, worker));
  if (failure !== undefined) throw failure.error;
}

/** `bytes` that lie at `offset`, in pieces. */
export function* piecesOf(offset: number, bytes: Buffer): Generator<{ readonly offset: number; readonly bytes: Buffer }> {
  for (let at = 0; at < bytes.length; at += backupLimits.pieceBytes) {
    yield { offset: offset + at, bytes: bytes.subarray(at, at + backupLimits.pieceBytes) };
  }
}
