// Checks that clusters which maps name are in their segments as the maps say: many at a time, in the order of the segments.
//
//     places of a view ──as many as there may be──► by segment, by offset ──► index ──► data: what lies together in one read
//
// - A disk may have more clusters than there is memory for: so many places, one index at a time, and a bit for each cluster that
//   was found right, so that what views share is looked at once.
// - What is wrong is looked at again in each view that has it. A segment that is damaged as a whole is one finding.
// Findings are sentences for people.

import { crc32 } from "../common/crc32.ts";
import { AndironError } from "../common/errors.ts";
import type { EncodedIndex } from "./format/segment.ts";
import { clusterCountAt, clusterCrcAt, eachEntry, originalOffsetAt, recordKinds } from "./format/segment.ts";
import { clusterBytes, MiB } from "./limits.ts";
import type { Segments } from "./segments.ts";

export interface MappedCluster {
  readonly cluster: number;
  readonly handle: number;
  /** In generation 0 of the segment. */
  readonly offset: number;
  readonly crc: number;
}

const readBytesMax = MiB;

export interface ClusterCheckOptions {
  readonly segments: Segments;
  /** And not only what the index says of it. */
  readonly readData: boolean;
  readonly find: (finding: string) => void;
  /** Places that are looked at together. */
  readonly gatheredMax: number;
}

export class ClusterCheck {
  readonly #options: ClusterCheckOptions;
  #gathered: MappedCluster[] = [];
  /** By segment, a bit for each cluster at `offset / clusterBytes`: no two begin in the same. */
  readonly #right = new Map<number, Uint8Array>();
  /** How many were found right. */
  count = 0;

  constructor(options: ClusterCheckOptions) {
    this.#options = options;
  }

  /** True when there is no room for another one before check(). */
  add(place: MappedCluster): boolean {
    if (!this.#isRight(place)) this.#gathered.push(place);
    return this.#gathered.length >= this.#options.gatheredMax;
  }

  /** Of all that were added. Rejects with owner_unreachable, when a segment can be nowhere else. */
  async check(what: string): Promise<void> {
    const bySegment = Map.groupBy(this.#gathered, ({ handle }) => handle);
    this.#gathered = [];
    for (const [handle, places] of bySegment) {
      places.sort((a, b) => a.offset - b.offset);
      try {
        await this.#checkSegment(what, handle, places);
      } catch (error) {
        if (!(error instanceof AndironError) || error.code === "owner_unreachable") throw error;
        this.#options.find(`${what}: ${error.message}`);
      }
    }
  }

  async #checkSegment(what: string, handle: number, places: readonly MappedCluster[]): Promise<void> {
    const { segments, readData } = this.#options;
    const found = (place: MappedCluster, problem: string): void =>
      this.#options.find(`${what}: ${this.#nameOf(place)}${problem}`);
    const index = await segments.loadIndex(segments.segmentOf(handle));
    const crcs = index === undefined ? new Map<number, number>() : crcsOf(index.encoded);
    const known: MappedCluster[] = [];
    for (const place of places) {
      const crc = crcs.get(place.offset);
      if (crc === undefined) found(place, " is not in the segment's index");
      else if (crc !== place.crc) found(place, ": map and index have different checksums");
      else known.push(place);
    }
    if (!readData) return known.forEach((place) => this.#mark(place));
    for (const together of readTogether(known)) await this.#checkData(together, found);
  }

  async #checkData(places: readonly MappedCluster[], found: (place: MappedCluster, problem: string) => void): Promise<void> {
    const { handle, offset } = places[0]!;
    const data = Buffer.allocUnsafe(places.at(-1)!.offset + clusterBytes - offset);
    try {
      await this.#options.segments.read(handle, offset, data);
    } catch (error) {
      if (!(error instanceof AndironError) || error.code === "owner_unreachable") throw error;
      // One of them cannot be read: which one is to be said.
      if (places.length === 1) found(places[0]!, `: ${error.message}`);
      else for (const place of places) await this.#checkData([place], found);
      return;
    }
    for (const place of places) {
      const from = place.offset - offset;
      if (crc32(data.subarray(from, from + clusterBytes)) === place.crc) this.#mark(place);
      else found(place, ": the bytes do not match their checksum");
    }
  }

  #nameOf({ cluster, handle, offset }: MappedCluster): string {
    const { epoch, number, log } = this.#options.segments.segmentOf(handle);
    return `cluster ${cluster} in segment ${epoch}-${number} of log ${log} at ${offset}`;
  }

  #isRight({ handle, offset }: MappedCluster): boolean {
    const at = Math.floor(offset / clusterBytes);
    return ((this.#right.get(handle)?.[at >>> 3] ?? 0) & (1 << (at & 7))) !== 0;
  }

  #mark(place: MappedCluster): void {
    if (this.#isRight(place)) return;
    this.count++;
    const at = Math.floor(place.offset / clusterBytes);
    let bits = this.#right.get(place.handle) ?? new Uint8Array(0);
    if (bits.length <= at >>> 3) {
      const grown = new Uint8Array(Math.max((at >>> 3) + 1, 2 * bits.length));
      grown.set(bits);
      this.#right.set(place.handle, (bits = grown));
    }
    bits[at >>> 3]! |= 1 << (at & 7);
  }
}

/** Of places of one segment, by offset: those between which is less than a cluster, the head of a record at most. */
function* readTogether(places: readonly MappedCluster[]): Generator<readonly MappedCluster[]> {
  for (let from = 0; from < places.length;) {
    let to = from + 1;
    while (
      to < places.length &&
      places[to]!.offset < places[to - 1]!.offset + 2 * clusterBytes &&
      places[to]!.offset + clusterBytes <= places[from]!.offset + readBytesMax
    )
      to++;
    yield places.slice(from, to);
    from = to;
  }
}

function crcsOf(index: EncodedIndex): Map<number, number> {
  const crcs = new Map<number, number>();
  eachEntry(index, (kind, _sequence, _firstCluster, _clusterCount, words, at) => {
    if (kind !== recordKinds.data) return;
    const count = clusterCountAt(words, at);
    for (let i = 0; i < count; i++) crcs.set(originalOffsetAt(words, at) + i * clusterBytes, clusterCrcAt(words, at, i));
  });
  return crcs;
}
