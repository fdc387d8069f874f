// Sorting many cluster numbers without holding the event loop up: a radix sort, byte by byte, with a turn of the loop after so
// many numbers.

import { nextTurn } from "../../common/turn.ts";

const digitBits = 8;
const digits = 256;
const numberBits = 32;
/** A small part of a millisecond's work. */
const numbersPerTurn = 16 * 1024;

/** The same numbers, ascending. `clusters` is used up. */
export async function sortClusters(clusters: Uint32Array): Promise<Uint32Array> {
  let from = clusters;
  let to: Uint32Array = new Uint32Array(clusters.length);
  for (let shift = 0; shift < numberBits; shift += digitBits) {
    const starts = await startsOf(from, shift);
    // All have the same digit: the order is right already.
    if (starts === undefined) continue;
    await inTurns(from.length, (start, end) => {
      for (let i = start; i < end; i++) {
        const cluster = from[i]!;
        const digit = (cluster >>> shift) & (digits - 1);
        to[starts[digit]!++] = cluster;
      }
    });
    [from, to] = [to, from];
  }
  return from;
}

/** Where the numbers with each digit begin, or undefined when there is but one digit. */
async function startsOf(clusters: Uint32Array, shift: number): Promise<Uint32Array | undefined> {
  const counts = new Uint32Array(digits);
  await inTurns(clusters.length, (start, end) => {
    for (let i = start; i < end; i++) counts[(clusters[i]! >>> shift) & (digits - 1)]!++;
  });
  let start = 0;
  for (let digit = 0; digit < digits; digit++) {
    const count = counts[digit]!;
    if (count === clusters.length) return undefined;
    counts[digit] = start;
    start += count;
  }
  return counts;
}

async function inTurns(length: number, work: (start: number, end: number) => void): Promise<void> {
  for (let start = 0; start < length; start += numbersPerTurn) {
    work(start, Math.min(length, start + numbersPerTurn));
    await nextTurn();
  }
}
