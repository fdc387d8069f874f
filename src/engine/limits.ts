// Every maximum of the engine, in one place, tied to each other by assertions. What an operator may change is an
// option (common/options.ts) with one of these as its bound; formats depend on some of them (docs/design/0002).

import { assert } from "../common/assert.ts";

export const KiB = 1024;
export const MiB = 1024 * KiB;
export const GiB = 1024 * MiB;

export const clusterBytes = 4096;
/** Children of a map page: clusters in a leaf, pages in an inner page. */
export const pageFanout = 256;
/** Levels of the map: 0 is a leaf. */
export const mapLevels = 4;
export const diskClustersMax = pageFanout ** mapLevels;
export const diskBytesMax = diskClustersMax * clusterBytes;

export const engineLimits = {
  /** One data record; a longer write becomes several. */
  recordClustersMax: 256,
  /** One zero record: the count has 32 bits. */
  zeroClustersMax: 2 ** 32 - 1,
  segmentBytesMin: 1 * MiB,
  segmentBytesMax: 256 * MiB,
  /** Requests gathered into one journal write. */
  batchRecordsMax: 512,
  batchBytesMax: 4 * MiB,
  /** From so many on the next one is put together while one is being written; what comes then is of the one after. */
  batchAheadBytesMin: 2 * MiB,
  /** A MiB, wherever it begins: so much is looked up, and read from memory, within one call. */
  clustersNowMax: pageFanout + 1,
  /** Records of more clusters do not go into the cache: it costs a third of their write, and the kernel has them cached too. */
  cachedWriteClustersMax: 16,
  /** Of one disk, below its cache: so that others find threads and backends free. */
  diskReadsInFlightMax: 32,
  /** Waiting for the journal, of one disk. */
  queuedBytesMax: 256 * MiB,
  /** Entries of one delta before writers wait for the fold. */
  deltaEntriesMax: 1_000_000,
  deltaHolesMax: 100_000,
  /** A fold's output is cut into objects of about this size: it is in memory until it is stored. */
  mapObjectBytes: 4 * MiB,
  pageBytesMax: 16 * KiB,
  /** What somebody who goes through a map reads of its objects at a time, and of how many of them (map/page-sweep.ts). */
  sweepWindowBytesMax: 64 * KiB,
  sweepWindowsMax: 32,
  /** By all of them in a pool. */
  windowsLentMax: 96,
  /** Clusters whose places `vdisk verify` keeps before it looks at them by segment, 24 bytes each. */
  verifiedTogetherMax: 2_000_000,
  /** And what it keeps of those that it found right: 2 bytes for each of 1 TiB. */
  verifiedBytesMax: 512 * MiB,
  lineageDepthMax: 10_000,
  exportsPerVdiskMax: 64,
  /** Each costs 5 writes of the transaction that asks for it, whose caller adds some for each too. */
  snapshotsTogetherMax: 20,
  openVdisksMax: 10_000,
  openFilesMax: 1024,
  uploadsInFlightMax: 4,
  /** What the cleaner of a pool asks of its backend at a time, for each log that it cleans. */
  cleanerOperationsMax: 8,
  /** What is known of where clusters lie in compacted segments of a pool. */
  translationBytesMax: 8 * MiB,
  /** Memory of a pool that is kept for indexes of segments that are looked at once. */
  lentIndexBytesMax: 2 * MiB,
  /** Logs that the cleaner of a pool cleans side by side. */
  cleanerLogsMax: 4,
  vdiskNameCharsMax: 128,
  /** Trims below this go into the delta cluster by cluster, larger ones as a range. */
  zeroEntriesInlineMax: 64,
  /** Indexes that are read at a time when a view is replayed. */
  indexesAheadMax: 8,
  /** How long the writes of a disk that moves to another log may wait. */
  moveHoldMsMax: 10_000,
} as const;

assert(engineLimits.recordClustersMax * clusterBytes <= engineLimits.segmentBytesMin, "a record fits in a segment");
assert(engineLimits.pageBytesMax <= engineLimits.sweepWindowBytesMax, "a page fits in a window");
assert(engineLimits.segmentBytesMax < 2 ** 32, "offsets in a segment are 32 bits");
assert(diskClustersMax === 2 ** 32, "cluster numbers are 32 bits");
