// Where segments are and how to read them: one table for the whole process from a small number (handle) to a segment,
// its local journal file if there is one, and its present generation on the backend.
//
// - Offsets here are original ones (generation 0), as the map has them; a compacted generation's index translates.
// - The generation is guessed (0, or the last one known); when the object is not there the registry is asked. An object that
//   no registry record explains is an error, never zeroes.
// - Bytes are not checked here: the map's checksum is the judge (reader.ts).

import { assert } from "../common/assert.ts";
import { crc32 } from "../common/crc32.ts";
import { AndironError } from "../common/errors.ts";
import type { ObjectBackend } from "./backend/backend.ts";
import type { SegmentHandles } from "./format/page.ts";
import type { EncodedIndex, IndexEntry, SegmentFooter, SegmentHeader } from "./format/segment.ts";
import { decodeFooter, decodeHeader, entriesOf, footerBytes, headerBytes } from "./format/segment.ts";
import { clusterBytes, engineLimits } from "./limits.ts";
import type { LocalFile } from "./local-file.ts";
import type { SegmentId } from "./names.ts";
import { segmentObjectName } from "./names.ts";
import { SpanBuffers } from "./span-buffers.ts";
import { Translation, Translations } from "./translation.ts";

export interface SegmentIndex {
  readonly header: SegmentHeader;
  readonly footer: SegmentFooter;
  /** Made anew for each who asks; throws segment_damaged when they are none. */
  readonly entries: readonly IndexEntry[];
  /** The same as they are on disk: to be kept, where many are, unless it is lent. */
  readonly encoded: EncodedIndex;
  readonly generation: number;
  /** Nobody looks at it any more, nor at an entry of it: where its memory is lent, it is used again. */
  readonly giveBack: () => void;
}

/** Says which generation of a segment the registry knows (0 when it was never compacted). */
export type GenerationLookup = (segment: SegmentId) => Promise<number>;

interface SegmentState {
  readonly id: SegmentId;
  generation: number;
  /** Of that generation. */
  objectName: string;
  local: LocalFile | undefined;
}

/** Handles of a process. All pools number their segments in one: what is cached by handle must be one segment's. */
export type HandleTable = SegmentState[];

/** Handle 0 means "no segment" everywhere. */
export const newHandleTable = (): HandleTable => [newState({ log: "", epoch: 0, number: 0 })];

const newState = (id: SegmentId): SegmentState => ({
  ...{ id, generation: 0, objectName: segmentObjectName(id, 0) },
  local: undefined,
});

function enterGeneration(state: SegmentState, generation: number): void {
  state.generation = generation;
  state.objectName = segmentObjectName(state.id, generation);
}

const fresh = { fresh: true } as const;

export class Segments implements SegmentHandles {
  readonly #backend: ObjectBackend;
  readonly #lookUp: GenerationLookup;
  readonly #askOwner: (segment: SegmentId) => Promise<unknown>;
  readonly #states: HandleTable;
  /** By log, epoch and number: every row of a leaf that is read asks for one. */
  readonly #handles = new Map<string, Map<number, Map<number, number>>>();
  readonly #translations = new Translations(engineLimits.translationBytesMax);
  /** For indexes that are looked at once: V8 collects the more often, the more memory is new. */
  readonly #lent = new SpanBuffers(engineLimits.lentIndexBytesMax);

  /**
   * `askOwner` has the owner of a segment's log, if that can be here, make its local segments known (setLocal). `table`: the
   * same one for all that share a cache.
   */
  constructor(
    backend: ObjectBackend,
    lookUp: GenerationLookup,
    askOwner: (segment: SegmentId) => Promise<unknown> = async () => undefined,
    table = newHandleTable(),
  ) {
    this.#states = table;
    this.#backend = backend;
    this.#lookUp = lookUp;
    this.#askOwner = askOwner;
  }

  handleOf(segment: SegmentId): number {
    const { log, epoch, number } = segment;
    const known = this.#handles.get(log)?.get(epoch)?.get(number);
    if (known !== undefined) return known;
    const handle = this.#states.length;
    this.#states.push(newState(segment));
    const ofLog = this.#handles.get(log) ?? new Map<number, Map<number, number>>();
    const ofEpoch = ofLog.get(epoch) ?? new Map<number, number>();
    this.#handles.set(log, ofLog.set(epoch, ofEpoch.set(number, handle)));
    return handle;
  }

  segmentOf(handle: number): SegmentId {
    return this.#state(handle).id;
  }

  /** From now on the segment is read from this file first. The caller keeps ownership of the file. */
  setLocal(handle: number, file: LocalFile | undefined): void {
    this.#state(handle).local = file;
  }

  /** True while what lies between clusters can be read with them: a compacted generation has only the clusters. */
  isAsWritten(handle: number): boolean {
    const state = this.#state(handle);
    return state.local !== undefined || state.generation === 0;
  }

  /** A compaction was committed. */
  setGeneration(segment: SegmentId, generation: number): void {
    const state = this.#state(this.handleOf(segment));
    if (generation > state.generation) enterGeneration(state, generation);
  }

  /**
   * Fills target with the bytes that generation 0 had at `offset`. `other` asks for a copy that is not a local one.
   * Rejects: segment_damaged, object_not_found when the segment should be there but is not, backend kinds.
   */
  read(handle: number, offset: number, target: Buffer, other = false): Promise<void> {
    return this.#read(handle, offset, target, other, other);
  }

  /** `asked`: the owner was asked, or need not be. */
  #read(handle: number, offset: number, target: Buffer, other: boolean, asked: boolean): Promise<void> {
    const state = this.#state(handle);
    if (state.local !== undefined && !other) return state.local.read(offset, target);
    const { generation, objectName } = state;
    const reading =
      generation === 0
        ? this.#backend.read(objectName, offset, target, other ? fresh : undefined)
        : this.#readGeneration(handle, state, generation, offset, target, other);
    return reading.then(undefined, async (error: unknown) => {
      if (await this.#refresh(state, generation, error)) return this.#read(handle, offset, target, other, asked);
      if (asked) throw missing(state.id, generation, error);
      // A clone may name what its parent has not uploaded: the owner's journal has it, once it is recovered.
      await this.#askOwner(state.id);
      return this.#read(handle, offset, target, other, true);
    });
  }

  /** Header, footer and index of a sealed segment, from the local file or the backend; undefined when neither has it. */
  loadIndex(segment: SegmentId): Promise<SegmentIndex | undefined> {
    return this.#loadIndex(segment);
  }

  /** The same, in memory that is lent: to be given back. */
  lendIndex(segment: SegmentId): Promise<SegmentIndex | undefined> {
    return this.#loadIndex(segment, this.#lent);
  }

  async #loadIndex(segment: SegmentId, memory?: SpanBuffers): Promise<SegmentIndex | undefined> {
    const state = this.#state(this.handleOf(segment));
    for (;;) {
      const generation = state.generation;
      const name = segmentObjectName(segment, generation);
      const bytes = await this.#backend.size(name);
      if (bytes !== undefined) {
        try {
          return await readIndex(name, bytes, generation, (offset, target) => this.#backend.read(name, offset, target), memory);
        } catch (error) {
          if (!(await this.#refresh(state, generation, error))) throw missing(segment, generation, error);
          continue;
        }
      }
      const known = await this.#lookUp(segment);
      if (known === generation) return undefined;
      enterGeneration(state, known);
    }
  }

  /** Of a compacted generation. */
  async #readGeneration(
    handle: number,
    state: SegmentState,
    generation: number,
    offset: number,
    target: Buffer,
    other: boolean,
  ): Promise<void> {
    const name = segmentObjectName(state.id, generation);
    const translation = await this.#translations.of(handle, generation, () => this.#loadTranslation(state, generation));
    let done = 0;
    while (done < target.length) {
      const wanted = offset + done;
      const { presentOffset, bytes } = translation.at(wanted);
      if (presentOffset === undefined) {
        // Less than a cluster was the head of a record when the read began: nobody looks at it.
        if (bytes >= clusterBytes)
          throw new AndironError("segment_damaged", `${name} lost the clusters at original offset ${wanted}`);
        done += bytes;
        continue;
      }
      const length = Math.min(target.length - done, bytes);
      const part = target.subarray(done, done + length);
      await this.#backend.read(name, presentOffset, part, other ? fresh : undefined);
      done += length;
    }
  }

  async #loadTranslation(state: SegmentState, generation: number): Promise<Translation> {
    const index = await this.loadIndex(state.id);
    if (index === undefined || index.generation !== generation) {
      throw new AndironError("object_not_found", `segment ${segmentObjectName(state.id, generation)} is gone`);
    }
    return new Translation(index.encoded);
  }

  /** After a failed read: true when a newer generation is known now; rejects unless it failed because the object is missing. */
  async #refresh(state: SegmentState, generation: number, error: unknown): Promise<boolean> {
    if (!(error instanceof AndironError) || error.code !== "object_not_found") throw error;
    if (state.generation > generation) return true;
    const known = await this.#lookUp(state.id);
    if (known <= generation) return state.generation > generation;
    enterGeneration(state, Math.max(known, state.generation));
    return true;
  }

  #state(handle: number): SegmentState {
    const state = this.#states[handle];
    assert(state !== undefined && handle !== 0, () => `segment handle ${handle} is not in the table`);
    return state;
  }
}

/** Reads header, footer and index of a sealed segment of `bytes` length, the index into `memory`. Throws segment_damaged. */
export async function readIndex(
  name: string,
  bytes: number,
  generation: number,
  read: (offset: number, target: Buffer) => Promise<void>,
  memory?: SpanBuffers,
): Promise<SegmentIndex> {
  if (bytes < headerBytes + footerBytes) throw new AndironError("segment_damaged", `${name} is too short for a segment`);
  const head = Buffer.allocUnsafe(headerBytes);
  const tail = Buffer.allocUnsafe(footerBytes);
  await Promise.all([read(0, head), read(bytes - footerBytes, tail)]);
  const header = decodeHeader(head);
  const footer = decodeFooter(tail);
  const matches = footer !== undefined && footer.salt === header?.salt && footer.headerCrc === header.crc;
  if (header === undefined || footer === undefined || !matches)
    throw new AndironError("segment_damaged", `${name} has no header and footer that belong together`);
  if (footer.indexBytes > engineLimits.segmentBytesMax || footer.indexOffset + footer.indexBytes + footerBytes !== bytes) {
    throw new AndironError("segment_damaged", `the footer of ${name} does not fit its length`);
  }
  let lent = memory?.take(footer.indexBytes);
  const index = lent?.subarray(0, footer.indexBytes) ?? Buffer.allocUnsafe(footer.indexBytes);
  await read(footer.indexOffset, index);
  if (crc32(index) !== footer.indexCrc) throw new AndironError("segment_damaged", `the index of ${name} has a wrong checksum`);
  const encoded: EncodedIndex = { bytes: index, entryCount: footer.entryCount, firstSequence: header.firstSequence };
  return {
    header,
    footer,
    get entries() {
      return entriesOf(encoded);
    },
    encoded,
    generation,
    giveBack: () => {
      if (lent !== undefined) memory?.give(lent);
      lent = undefined;
    },
  };
}

const missing = (segment: SegmentId, generation: number, cause: unknown): AndironError =>
  new AndironError("segment_damaged", `segment ${segmentObjectName(segment, generation)} is missing from the backend`, { cause });
