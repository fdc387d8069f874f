// The block device that nbd/ serves and engine/ implements. Like a physical disk: requests in flight have no order
// among themselves; a request sees every write that was acknowledged before it was issued, on any connection.
//
// - A write is acknowledged when it survives the death of the process (it is in the journal file).
// - flush(), and a write with `fua`, resolve when everything acknowledged before (with fua: that write) survives power loss.
// - Offsets and lengths are bytes, any alignment, and lie within sizeBytes: the caller has checked (out_of_range if not).
// - `data` of a write must not change until the promise settles.
// - trim is advice by clusters of 4 KiB: parts of a cluster are left as they are. writeZeroes is exact.
// - Errors are AndironError: no-space, data, read_only, owner_changed, unavailable.

export interface Extent {
  readonly lengthBytes: number;
  /** True when the range holds data; false for a hole, which reads as zeroes. */
  readonly allocated: boolean;
}

export interface WriteOptions {
  readonly fua: boolean;
}

export interface ZeroOptions extends WriteOptions {
  /** Keep the space (NBD NO_HOLE). A log has nothing to keep: accepted, the range reads as zeroes. */
  readonly noHole: boolean;
}

/** Bytes where they lie in memory. They stay as they are until they are given back, once; then nobody looks at them any more. */
export interface LentBytes {
  readonly bytes: Buffer;
  giveBack(): void;
}

export interface BlockDevice {
  /** Current size; grows, never shrinks. */
  readonly sizeBytes: number;
  readonly readOnly: boolean;
  /** Fills `target` from `offset`. Returns undefined when that was done at once (cache), else a promise. */
  read(offset: number, target: Buffer): Promise<void> | undefined;
  /**
   * What read() would give, without a copy: in pieces, one behind the other. undefined when not all of it lies in memory in
   * pieces worth it, or too much is lent already: then it is to be read. Throws as read() rejects. Not every device can.
   */
  lend?(offset: number, lengthBytes: number): readonly LentBytes[] | undefined;
  write(offset: number, data: Buffer, options: WriteOptions): Promise<void>;
  flush(): Promise<void>;
  trim(offset: number, lengthBytes: number, options: WriteOptions): Promise<void>;
  writeZeroes(offset: number, lengthBytes: number, options: ZeroOptions): Promise<void>;
  /** Advice to bring the range into the cache; resolves when done. */
  cache(offset: number, lengthBytes: number): Promise<void>;
  /**
   * Extents from `offset` that cover at least one byte and at most `lengthBytes`, at most `countMax` of them. No promise when
   * they are known at once.
   */
  extents(offset: number, lengthBytes: number, countMax: number): Extent[] | Promise<Extent[]>;
}

/** What an NBD session holds while it is connected to an export. */
export interface ExportSession {
  readonly device: BlockDevice;
  /** Sizes and the like to show in INFO replies. */
  readonly description: string;
  /** Called once when the attachment is gone: the server must cut the connection and drop queued requests. */
  onRevoked(cut: () => void): void;
  /**
   * The client went without a word, and may be connected anew already: what waits of its requests is refused, so that no old
   * write comes after a newer one.
   */
  clientGone(): void;
  /** The server says that the connection has ended, with no request left inside the device. */
  close(): Promise<void>;
}

/** Where nbd/ asks for an export by the name the client gave. */
export interface ExportDirectory {
  /** Rejects with export_not_found for a name that is unknown or dead: both look the same to a stranger. */
  open(exportName: string): Promise<ExportSession>;
}

export interface ChangedExtent {
  readonly offset: number;
  readonly lengthBytes: number;
  /** "zero": it reads as zeroes, and did not in the older one. */
  readonly kind: "data" | "zero";
}

export interface ChangeBatch {
  /** Ascending, whole clusters. */
  readonly extents: readonly ChangedExtent[];
  /** Where the next batch begins; the disk's size when all was seen. */
  readonly nextOffset: number;
}

/** A snapshot as somebody reads it who owns nothing, and what of it is not as in an older one. */
export interface SnapshotReader {
  readonly sizeBytes: number;
  /** Fills `target`. Rejects, and never lies, when the snapshot was deleted meanwhile. */
  read(offset: number, target: Buffer): Promise<void>;
  /** From byte `from` (whole clusters) on, at most `extentsMax` of them. A batch may be empty and not the last. */
  changes(from: number, extentsMax: number): Promise<ChangeBatch>;
}

/** Where snapshots are asked for. */
export interface SnapshotDirectory {
  /** `sinceId`: the older one, of the same vPool; null: a disk of zeroes. Rejects with snapshot_not_found, vdisk_busy. */
  openSnapshot(id: string, sinceId: string | null): Promise<SnapshotReader>;
}

export interface ByteRange {
  readonly offset: number;
  readonly lengthBytes: number;
}

/** What may have been written: more than was, never less. */
export interface ChangedRanges {
  /** In all. */
  readonly bytes: number;
  overlaps(offset: number, lengthBytes: number): boolean;
  /** In order. The last may go beyond the end of the disk. */
  ranges(): Iterable<ByteRange>;
}

export type MoveOutcome = "moved" | "stays";

/** A disk on its way to another, its copy, while it is used (disk-move.ts). Who copies holds it; the bytes go through exports. */
export interface DiskMove {
  /** Two moves of a disk that say the same: nothing was written between their beginnings. */
  readonly since: string;
  /** Nothing had been written to the copy when it began: it is empty, or has what was copied since. */
  readonly copyIsNew: boolean;
  /** True when changes may not have been noted: begin another. */
  readonly isBroken: boolean;
  /** Written since begin, or since it was taken. */
  readonly changed: ChangedRanges;
  takeChanged(): ChangedRanges;
  /** What was taken and not copied. */
  putBack(ranges: ChangedRanges): void;
  /** Resolves when no write is under way, and lets none through. overloaded when that takes too long. */
  hold(): Promise<void>;
  letGo(): void;
  /** While held, and the copy has everything, durable: a transaction may move the disk now. For some seconds: see settled(). */
  permit(): Promise<void>;
  /** What became of a permit; writes go on by then. */
  settled(): Promise<MoveOutcome>;
  /** Lets go of everything; a permit is taken back. */
  end(): Promise<void>;
}

/** Of the router that has the disks. */
export interface DiskMoves {
  begin(vdiskId: string, copyId: string): Promise<DiskMove>;
}
