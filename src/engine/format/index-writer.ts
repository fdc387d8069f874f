// The index of a segment while the segment is written, in the very words that it will be on disk (segment.ts, encodeIndex):
// an entry costs no object, and the index of a full segment is there at once, without a pause to encode it.
//
// - Entries are added in the order of their sequences; what was added is never changed.
// - The words are the machine's, which is little-endian as the format is (asserted).

import { endianness } from "node:os";
import { assert } from "../../common/assert.ts";
import { clusterBytes } from "../limits.ts";
import type { EncodedIndex, IndexEntry, RecordKind } from "./segment.ts";
import { entriesOf, indexEntryBytes } from "./segment.ts";

const wordBytes = 4;
const entryWords = indexEntryBytes / wordBytes;
const firstWords = 1024;

assert(endianness() === "LE", "the format's integers are little-endian, and so must be the machine");

export class IndexWriter {
  readonly #firstSequence: number;
  #words = new Uint32Array(firstWords);
  #length = 0;
  #entryCount = 0;
  #dataClusters = 0;

  /** `firstSequence`: of the segment; entries name theirs from there on. */
  constructor(firstSequence: number) {
    this.#firstSequence = firstSequence;
  }

  get entryCount(): number {
    return this.#entryCount;
  }

  /** Clusters of all data entries together. */
  get dataClusters(): number {
    return this.#dataClusters;
  }

  /** An entry whose payload is at `offset`, with `crcCount` checksums of `crcs` from `crcsFrom` on: none but for data. */
  add(
    kind: RecordKind,
    sequence: number,
    firstCluster: number,
    clusterCount: number,
    offset: number,
    crcs: Uint32Array,
    crcsFrom: number,
    crcCount: number,
  ): void {
    this.#reserve(entryWords + crcCount);
    const words = this.#words;
    let at = this.#length;
    words[at++] = sequence - this.#firstSequence;
    words[at++] = firstCluster;
    words[at++] = clusterCount;
    words[at++] = kind;
    words[at++] = crcCount * clusterBytes;
    words[at++] = offset;
    words[at++] = offset;
    for (let i = 0; i < crcCount; i++) words[at++] = crcs[crcsFrom + i]!;
    this.#length = at;
    this.#entryCount++;
    this.#dataClusters += crcCount;
  }

  /** The index as it is now. The bytes stay as they are while entries are added. */
  bytes(): Buffer {
    return Buffer.from(this.#words.buffer, 0, this.#length * wordBytes);
  }

  encoded(): EncodedIndex {
    return { bytes: this.bytes(), entryCount: this.#entryCount, firstSequence: this.#firstSequence };
  }

  /** The entries so far, as objects: to be asked for seldom. */
  entries(): IndexEntry[] {
    return entriesOf(this.encoded());
  }

  #reserve(count: number): void {
    const wanted = this.#length + count;
    if (wanted <= this.#words.length) return;
    const words = new Uint32Array(Math.max(wanted, this.#words.length * 2));
    words.set(this.#words.subarray(0, this.#length));
    this.#words = words;
  }
}
