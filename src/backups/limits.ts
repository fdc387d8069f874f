// Every maximum of backups, in one place.

import { assert } from "../common/assert.ts";
import { objectLimits } from "../object-store/object-store.ts";

const mebibyte = 1024 * 1024;

/** What a backup is of: whole clusters of the engine. */
export const clusterBytes = 4096;

export const backupLimits = {
  /** Bytes of a volume in one chunk. */
  chunkBytesMin: mebibyte,
  chunkBytesMax: 62 * mebibyte,
  /** Entries of a chunk's table, of 16 bytes each. */
  extentsMax: 65_536,
  /** Chunks that one step writes: what a claim may leave that no checkpoint has. */
  stepChunksMax: 32,
  /** Claims that wrote chunks of one backup. */
  runsMax: 200,
  chunksMax: 2 ** 32 - 2,
  /** A head, as JSON: the facts of a volume are its greatest part. */
  headBytesMax: mebibyte,
  keyIdBytesMax: 32,
  keysMax: 100,
  /** Pieces of a volume read or written, and objects erased, at a time. */
  parallelMax: 4,
  pieceBytes: mebibyte,
} as const;

const envelopeBytesMax = 1024;
assert(
  backupLimits.chunkBytesMax + backupLimits.extentsMax * 16 + envelopeBytesMax <= objectLimits.objectBytesMax,
  "a chunk fits in an object",
);
