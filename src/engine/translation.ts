// Where the clusters of a segment lie in a compacted generation of it: the map knows their original offsets only.
//
// - Three numbers for an entry of the index, in arrays: a segment that was written at random has thousands of entries.
// - In the order of the original offsets: mostly that of the index.
// - Of those that are kept the least recently used go first; who asks for one that is being loaded waits for the same load.

import { eachEntry, type EncodedIndex, originalOffsetAt, presentOffsetAt, recordKinds } from "./format/segment.ts";
import { clusterBytes } from "./limits.ts";

/** Bytes that lie one behind the other in the object; of a gap, where they would be: what was dead. */
export interface Stretch {
  /** In the object; undefined: they are not in it. */
  readonly presentOffset: number | undefined;
  readonly bytes: number;
}

type Numbers = Uint32Array;

/** Of a translation without entries, and of what leads to it. */
const ownBytes = 1024;

export class Translation {
  readonly #originals: Numbers;
  readonly #presents: Numbers;
  readonly #ends: Numbers;

  /** Throws segment_damaged when `index` is none of a segment. */
  constructor(index: EncodedIndex) {
    const [originals, presents, ends] = [0, 1, 2].map(() => new Uint32Array(index.entryCount)) as [Numbers, Numbers, Numbers];
    let count = 0;
    let isInOrder = true;
    eachEntry(index, (kind, _sequence, _first, clusters, words, at) => {
      if (kind !== recordKinds.data) return;
      const original = originalOffsetAt(words, at);
      isInOrder &&= count === 0 || original >= originals[count - 1]!;
      originals[count] = original;
      presents[count] = presentOffsetAt(words, at);
      ends[count++] = original + clusters * clusterBytes;
    });
    const order = isInOrder ? undefined : new Uint32Array(count).map((_, i) => i).sort((a, b) => originals[a]! - originals[b]!);
    const inOrder = (numbers: Numbers): Numbers => order?.map((at) => numbers[at]!) ?? numbers.subarray(0, count);
    this.#originals = inOrder(originals);
    this.#presents = inOrder(presents);
    this.#ends = inOrder(ends);
  }

  get bytes(): number {
    return ownBytes + this.#originals.buffer.byteLength * 3;
  }

  /** What is at the original offset, and for how far. */
  at(original: number): Stretch {
    const after = this.#countUpTo(original);
    const end = this.#ends[after - 1] ?? 0;
    if (original < end) {
      return { presentOffset: this.#presents[after - 1]! + original - this.#originals[after - 1]!, bytes: end - original };
    }
    return { presentOffset: undefined, bytes: (this.#originals[after] ?? Infinity) - original };
  }

  /** How many entries begin at or before the offset. */
  #countUpTo(original: number): number {
    let [low, high] = [0, this.#originals.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#originals[middle]! <= original) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

interface Kept {
  readonly generation: number;
  readonly translation: Promise<Translation>;
  /** 0 until it is loaded. */
  bytes: number;
}

export class Translations {
  readonly #bytesMax: number;
  /** By handle of the segment, least recently used first. */
  readonly #kept = new Map<number, Kept>();
  #bytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** The one of a segment's generation; rejects as `load`, and is loaded anew by the next who asks then. */
  of(handle: number, generation: number, load: () => Promise<Translation>): Promise<Translation> {
    const known = this.#kept.get(handle);
    if (known !== undefined && known.generation === generation) {
      this.#kept.delete(handle);
      this.#kept.set(handle, known);
      return known.translation;
    }
    this.#forget(handle);
    const kept: Kept = { generation, translation: load(), bytes: 0 };
    this.#kept.set(handle, kept);
    kept.translation.then(
      ({ bytes }) => {
        if (this.#kept.get(handle) !== kept) return;
        kept.bytes = bytes;
        this.#bytes += bytes;
        for (const oldest of this.#kept.keys()) {
          if (this.#bytes <= this.#bytesMax) break;
          this.#forget(oldest);
        }
      },
      () => {
        if (this.#kept.get(handle) === kept) this.#kept.delete(handle);
      },
    );
    return kept.translation;
  }

  #forget(handle: number): void {
    this.#bytes -= this.#kept.get(handle)?.bytes ?? 0;
    this.#kept.delete(handle);
  }
}
