// The full files of one open log that are still local: each is sealed, goes to the backend, in any order, and is let go once a
// checkpoint covers it.
//
//     full ──► sealed ──upload (again and again until it is there)──► uploaded ──checkpoint committed──► released (file unlinked)
//
// Until then it is read locally, and it counts against the journal's budget: from the moment it is full, so that a disk whose
// syncs are slow holds writers up, too. A log has one more file, which is not full.

import { AndironError } from "../../common/errors.ts";
import type { PoolContext } from "../engine-context.ts";
import type { LocalFile } from "../local-file.ts";
import type { SegmentId } from "../names.ts";
import { segmentObjectName } from "../names.ts";
import type { LogPosition } from "../records.ts";
import { comparePositions } from "../records.ts";
import { readIndex } from "../segments.ts";
import type { SegmentEntries } from "../view.ts";

export interface LocalSegment {
  readonly segment: SegmentId;
  readonly handle: number;
  readonly generation: number;
  readonly file: LocalFile;
  readonly bytes: number;
  readonly firstSequence: number;
  readonly lastSequence: number;
}

const retryMsMin = 100;
const retryMsMax = 10_000;

export class LocalSegments {
  readonly #context: PoolContext;
  readonly #segments: { readonly local: LocalSegment; readonly uploaded: Promise<void> }[] = [];
  /** What is counted of files that are full but not sealed, by handle. */
  readonly #full = new Map<number, number>();
  #abandoned = false;
  #bytes = 0;

  constructor(context: PoolContext) {
    this.#context = context;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** A file of that length takes no more records. */
  full(handle: number, bytes: number): void {
    this.#full.set(handle, bytes);
    this.#count(bytes);
  }

  add(local: LocalSegment): void {
    const counted = this.#full.get(local.handle) ?? 0;
    this.#full.delete(local.handle);
    this.#count(local.bytes - counted);
    const uploaded = this.#upload(local);
    uploaded.catch(() => undefined);
    this.#segments.push({ local, uploaded });
  }

  /** What its index says, read from its file: kept of them all it would be 32 bytes for each record of the journal. */
  async find(segment: SegmentId): Promise<SegmentEntries | undefined> {
    const local = this.#segments.find((candidate) => comparePositions(candidate.local.segment, segment) === 0)?.local;
    if (local === undefined) return undefined;
    const { file, firstSequence, lastSequence } = local;
    file.hold(); // it may be let go of meanwhile
    try {
      const { encoded } = await readIndex(file.path, file.length(), 0, (offset, target) => file.read(offset, target));
      return { index: encoded, firstSequence, lastSequence };
    } finally {
      file.close();
    }
  }

  /** Resolves when every segment before `position` is on the backend; rejects only when the log is given up. */
  async uploadedBefore(position: LogPosition): Promise<void> {
    for (const { local, uploaded } of [...this.#segments]) {
      if (comparePositions(local.segment, position) < 0) await uploaded;
    }
    // Given up meanwhile: the list says nothing any more, least of all that everything is there.
    if (this.#abandoned) throw new AndironError("owner_changed", "the log was given up");
  }

  /** A checkpoint that covers everything before `position` is committed: the local files may go. */
  async release(position: LogPosition): Promise<void> {
    while (this.#segments.length > 0 && comparePositions(this.#segments[0]!.local.segment, position) < 0) {
      const { local } = this.#segments.shift()!;
      this.#forget(local);
      await local.file.unlink().catch((error: unknown) => {
        this.#context.log.warning(`cannot delete the journal file ${local.file.path}`, { error });
      });
    }
  }

  /** Stops uploading and closes the files, which stay where they are. */
  abandon(): void {
    this.#abandoned = true;
    for (const { local } of this.#segments.splice(0)) this.#forget(local);
    for (const bytes of this.#full.values()) this.#uncount(bytes);
    this.#full.clear();
    this.#context.budget.wake();
  }

  #count(bytes: number): void {
    this.#bytes += bytes;
    this.#context.budget.take(this, bytes);
  }

  #uncount(bytes: number): void {
    this.#bytes -= bytes;
    this.#context.budget.give(this, bytes);
  }

  #forget(local: LocalSegment): void {
    this.#uncount(local.bytes);
    this.#context.segments.setLocal(local.handle, undefined);
    local.file.close();
  }

  async #upload(local: LocalSegment): Promise<void> {
    const name = segmentObjectName(local.segment, local.generation);
    for (let delayMs = retryMsMin; ; delayMs = Math.min(delayMs * 2, retryMsMax)) {
      if (this.#abandoned) throw new AndironError("owner_changed", `upload of ${name} was given up`);
      try {
        await this.#context.backend.putFile(name, local.file.path);
        return;
      } catch (error) {
        if (this.#abandoned) throw error;
        this.#context.log.warning(`cannot upload segment ${name}, trying again in ${delayMs} ms`, { error });
      }
      await this.#context.clock.sleep(delayMs);
    }
  }
}
