// Whole objects under names, in a directory, Swift or S3: the one interface, and what every implementation promises. The page
// docs/design/object-store.md has the reasons; contract.ts has the promises as tests.
//
// - A put is durable when it resolves. An object is never visible before it is whole. A put that rejects with a kind of
//   "unavailable" may or may not have stored it: putting it again settles that.
// - A new object is read by whoever asks after its put resolved. What was replaced or deleted may be seen for a time in Swift.
// - list() is in byte order and may lag behind: what it shows was there, what it does not show may be there.
// - A whole get() is compared with the SHA-256 that was stored by put(): the bytes are right, or it rejects with
//   object_damaged. A ranged get() is compared in length only.
// - The bytes given to put() may not change until it settles, and after an error never again.
// - Every verb rejects bad names before it does anything (names.ts), waits for its turn (admission.ts), and after close()
//   rejects with shutting_down.

import type { Clock } from "../common/clock.ts";
import type { Random } from "../common/random.ts";

export interface ObjectFacts {
  readonly sizeBytes: number;
  /** Hexadecimal; undefined when another program has put the object. */
  readonly sha256: string | undefined;
}

export interface ByteRange {
  readonly offset: number;
  /** At least 1. */
  readonly length: number;
}

export interface PutOptions {
  /** Rejects with object_exists when there is such an object: see ObjectStore.atomicCreate. Default false. */
  readonly ifAbsent?: boolean;
}

export interface ListOptions {
  /** `next` of the page before, or any name: only greater names are listed. */
  readonly after?: string;
  /** Default and maximum objectLimits.listNamesMax. */
  readonly limit?: number;
}

export interface ListedObject {
  readonly name: string;
  readonly sizeBytes: number;
}

export interface ListPage {
  readonly objects: readonly ListedObject[];
  /** Where the next page begins; undefined at the end. A page may be shorter than asked for, or empty, and not the last. */
  readonly next: string | undefined;
}

export interface ObjectStore {
  /** True when of several puts with ifAbsent at the same time exactly one resolves. Else those that overlap may all do. */
  readonly atomicCreate: boolean;
  /** Rejects: object_exists, limit_exceeded, backend_full, store_refused, and what may pass. Resolves with the SHA-256. */
  put(name: string, bytes: Buffer, options?: PutOptions): Promise<string>;
  /** Rejects: object_not_found, object_damaged, out_of_range when the object ends before the range does. */
  get(name: string, range?: ByteRange): Promise<Buffer>;
  head(name: string): Promise<ObjectFacts | undefined>;
  delete(name: string): Promise<void>;
  list(prefix: string, options?: ListOptions): Promise<ListPage>;
  /** Resolves when what ran has ended. */
  close(): Promise<void>;
}

/** What a store is told of time and chance. */
export interface StoreContext {
  readonly clock: Clock;
  readonly random: Random;
}

export const objectLimits = {
  /** A chunk of 64 MiB, and what a format puts around it. */
  objectBytesMax: 65 * 1024 * 1024,
  nameBytesMax: 512,
  namePartBytesMax: 200,
  listNamesMax: 1000,
  requestsMax: 8,
  queuedMax: 1024,
} as const;
