// Checks that clusters which maps name are in their segments as the maps say: many at a time, segment by segment.
//
//     places of a view ──as many as there may be──► by segment, by offset ──► index ──► data: what lies together in one read
//
// - A disk may have more clusters than there is memory for: so many places, one index at a time.
// - What was found right is not looked at again (verified-places.ts), and what is wrong is told once, whatever views share it,
//   until all is to be looked at again.
// - A segment that is missing or damaged as a whole is one finding, however many clusters are in it.
// Findings are sentences for people.

import { crc32 } from "../common/crc32.ts";
import { AndironError } from "../common/errors.ts";
import type { EncodedIndex } from "./format/segment.ts";
import { clusterCountAt, clusterCrcAt, eachEntry, originalOffsetAt, recordKinds } from "./format/segment.ts";
import { clusterBytes, engineLimits, MiB } from "./limits.ts";
import type { Segments } from "./segments.ts";
import { VerifiedPlaces } from "./verified-places.ts";

export interface MappedCluster {
  readonly cluster: number;
  readonly handle: number;
  /** In generation 0 of the segment. */
  readonly offset: number;
  readonly crc: number;
}

const readBytesMax = MiB;
/** Nobody reads more. */
const toldMax = 10_000;

const placeKey = (handle: number, offset: number, crc: number): string => `${handle}.${offset}.${crc}`;

export interface ClusterCheckOptions {
  readonly segments: Segments;
  /** And not only what the index says of it. */
  readonly readData: boolean;
  readonly find: (finding: string) => void;
  /** Places that are looked at together. */
  readonly gatheredMax: number;
}

/** Cluster, offset and checksum of each, one behind the other: millions of objects would take four times as much. */
type Gathered = number[];
const columns = 3;

export class ClusterCheck {
  readonly #options: ClusterCheckOptions;
  /** By segment. */
  #gathered = new Map<number, Gathered>();
  #gatheredCount = 0;
  readonly #right = new VerifiedPlaces(engineLimits.verifiedBytesMax);
  /** Places that are wrong, and segments. */
  readonly #told = new Set<string>();
  /** How many were found right. */
  count = 0;

  constructor(options: ClusterCheckOptions) {
    this.#options = options;
  }

  /** True when there is no room for another one before check(). */
  add({ cluster, handle, offset, crc }: MappedCluster): boolean {
    if (!this.#right.has(handle, offset, crc) && !this.#told.has(placeKey(handle, offset, crc))) {
      let places = this.#gathered.get(handle);
      if (places === undefined) this.#gathered.set(handle, (places = []));
      places.push(cluster, offset, crc);
      this.#gatheredCount++;
    }
    return this.#gatheredCount >= this.#options.gatheredMax;
  }

  /** Of all that were added, as part of a view. Rejects with owner_unreachable, if that befell one, after all others. */
  async check(view: string): Promise<void> {
    const gathered = this.#gathered;
    this.#gathered = new Map();
    this.#gatheredCount = 0;
    let unreachable: AndironError | undefined;
    for (const [handle, places] of gathered) {
      try {
        await this.#checkSegment(view, handle, inOrder(handle, places));
      } catch (error) {
        if (!(error instanceof AndironError)) throw error;
        if (error.code === "owner_unreachable") unreachable = error;
        else this.#tell(`${handle}`, `${view}: ${error.message}`);
      }
    }
    if (unreachable !== undefined) throw unreachable;
  }

  /** What was told is not to count. */
  lookAgain(): void {
    this.#told.clear();
  }

  async #checkSegment(view: string, handle: number, places: readonly MappedCluster[]): Promise<void> {
    const { segments, readData } = this.#options;
    const found = (place: MappedCluster, problem: string): void =>
      this.#tell(placeKey(handle, place.offset, place.crc), `${view}: ${this.#nameOf(place)}${problem}`);
    const index = await segments.lendIndex(segments.segmentOf(handle));
    if (index === undefined) {
      const { cluster, offset } = places[0]!;
      return this.#tell(`${handle}`, `${view}: ${this.#nameOf({ cluster, offset, handle })}: the segment is missing`);
    }
    const crcs = crcsOf(index.encoded);
    index.giveBack();
    const known: MappedCluster[] = [];
    for (const place of places) {
      const crc = crcs.get(place.offset);
      if (crc === undefined) found(place, " is not in the segment's index");
      else if (crc !== place.crc) found(place, ": map and index have different checksums");
      else known.push(place);
    }
    if (!readData) return known.forEach((place) => this.#isRight(place));
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
      if (crc32(data.subarray(from, from + clusterBytes)) === place.crc) this.#isRight(place);
      else found(place, ": the bytes do not match their checksum");
    }
  }

  #isRight({ handle, offset, crc }: MappedCluster): void {
    if (this.#right.has(handle, offset, crc)) return;
    this.count++;
    this.#right.add(handle, offset, crc);
  }

  /** Once. */
  #tell(key: string, finding: string): void {
    if (this.#told.has(key)) return;
    this.#options.find(finding);
    if (this.#told.size < toldMax) this.#told.add(key);
  }

  #nameOf({ cluster, handle, offset }: Omit<MappedCluster, "crc">): string {
    const { epoch, number, log } = this.#options.segments.segmentOf(handle);
    return `cluster ${cluster} in segment ${epoch}-${number} of log ${log} at ${offset}`;
  }
}

/** By offset. */
function inOrder(handle: number, gathered: Gathered): MappedCluster[] {
  const places: MappedCluster[] = [];
  for (let at = 0; at < gathered.length; at += columns)
    places.push({ cluster: gathered[at]!, handle, offset: gathered[at + 1]!, crc: gathered[at + 2]! });
  return places.sort((a, b) => a.offset - b.offset);
}

/** Of places of one segment, by offset: those between which is less than a cluster, the heads of records. */
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
