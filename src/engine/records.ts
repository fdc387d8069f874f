// The engine's records in the registry: keys and JSON shapes, version 1 (docs/design/0002-log-engine.md, "Records").
// The only place that knows them. Records are small and of constant size; unknown fields are kept by those who rewrite.

import { createHash } from "node:crypto";
import { AndironError } from "../common/errors.ts";
import type { Entry } from "../registry/registry.ts";
import type { IoLimits, RecordState } from "./control.ts";
import type { SegmentId } from "./names.ts";

/** A place in a log: the segment of an epoch from which on records are replayed. */
export interface LogPosition {
  readonly epoch: number;
  readonly number: number;
}

export interface CheckpointRecord {
  readonly epoch: number;
  readonly number: number;
  readonly bytes: number;
  /** Every record up to this one is in the checkpoint's tree. */
  readonly sequence: number;
  /** The first segment that is not. */
  readonly next: LogPosition;
}

/** Enough to read a disk as it was at `cut`. Without a checkpoint the parent's view of the log is the base. */
export interface View {
  readonly log: string;
  readonly checkpoint: CheckpointRecord | null;
  readonly cut: number;
}

/** Whose a name is. */
export interface NameRecord {
  readonly v: 1;
  readonly vdisk: string;
}

export interface LogRecord {
  readonly v: 1;
  readonly id: string;
  readonly pool: string;
  /** The vDisk whose head this is; null for a log that only snapshots and clones look at. */
  readonly vdisk: string | null;
  readonly depth: number;
  /** null for a log that began empty. A clone that waits for its cut has `parent` null and `parentPending`. */
  readonly parent: View | null;
  readonly parentPending: boolean;
  readonly epoch: number;
  readonly owner: string | null;
  readonly checkpoint: CheckpointRecord | null;
  /** Last sequence of the log; exact when nobody owns it. */
  readonly sequence: number;
  /** Grows with every cut that is added: what the cleaner asserts. */
  readonly cutsVersion: number;
  /** Nobody can refer to it any more: its objects and records are being deleted. */
  readonly dead?: true;
}

/** One epoch that wrote. Open (no `last`) only for the newest. */
export interface EpochRecord {
  readonly v: 1;
  readonly epoch: number;
  /** Which journal directory its tail is in. */
  readonly journal: string;
  /** Segments before this number are gone: nobody refers to them. Absent: 1. */
  readonly first?: number;
  readonly last?: number;
  readonly lastSequence?: number;
}

export interface VdiskRecord {
  readonly v: 1;
  readonly id: string;
  readonly pool: string;
  readonly name: string;
  readonly sizeBytes: number;
  readonly log: string;
  readonly state: RecordState;
  readonly message?: string;
  /** Ids of live exports. */
  readonly exports: readonly string[];
  readonly permit?: MovePermit;
}

/**
 * "Everything acknowledged on the disk's log is durable in the other one too, and nothing is written as long as this stands":
 * the word of the router that has both open, at these epochs (disk-move.ts).
 */
export interface MovePermit {
  readonly router: string;
  readonly epoch: number;
  readonly toLog: string;
  readonly toEpoch: number;
}

export interface SnapshotRecord {
  readonly v: 1;
  readonly id: string;
  readonly vdisk: string;
  readonly pool: string;
  readonly log: string;
  readonly name: string;
  readonly sizeBytes: number;
  readonly state: RecordState;
  readonly message?: string;
  /** null while pending. */
  readonly view: View | null;
}

/** A cut somebody needs: a snapshot, or the log of a clone. */
export interface CutRecord {
  readonly v: 1;
  readonly holder: { readonly kind: "snapshot" | "log"; readonly id: string };
  readonly view: View;
}

/** "Owner of this log: take a cut for that record." */
export interface WishRecord {
  /** 2 with `together`: a build that does not know it must leave the wish alone. */
  readonly v: 1 | 2;
  readonly kind: "snapshot" | "clone";
  /** Snapshot id, or the clone's log id. */
  readonly target: string;
  /** All these snapshots at one instant: each member's wish says the same. */
  readonly together?: WishGroup;
}

export interface WishGroup {
  readonly id: string;
  readonly members: readonly WishMember[];
}

export interface WishMember {
  readonly log: string;
  readonly target: string;
}

export interface ExportRecord {
  readonly v: 1;
  readonly id: string;
  readonly vdisk: string;
  readonly nameHash: string;
  readonly readOnly: boolean;
  readonly state: "live" | "revoked";
  /** The router whose address was given out: it confirms a revocation by deleting the record. */
  readonly router: string;
  /** What the requests of its connections may come to, with those of the vDisk's other exports; absent: no limit. */
  readonly limits?: IoLimits | undefined;
}

export interface RouterRecord {
  readonly v: 1;
  readonly id: string;
  readonly host: string;
  readonly pools: readonly string[];
  readonly nbdHosts: readonly string[];
  readonly nbdPort: number;
  readonly startedAtMs: number;
  readonly reportedAtMs: number;
}

export interface RelocationRecord {
  readonly v: 1;
  /** The generation to read. */
  readonly generation: number;
  /** Highest number ever given to a compaction of this segment: names are never used twice. */
  readonly reserved: number;
  /** Nothing in it is needed and no view replays it: the object is gone. */
  readonly dropped?: true;
}

/** An object that nobody refers to any more; deleted when it has been so for long enough. */
export interface RetiredRecord {
  readonly v: 1;
  readonly object: string;
  readonly retiredAtMs: number;
}

const hex8 = (value: number): string => value.toString(16).padStart(8, "0");
const hex16 = (value: number): string => value.toString(16).padStart(16, "0");

export const keys = {
  /** There once the backend of the vPool was used for the first time. */
  pool: (name: string) => `engine/pool/${name}`,
  vdisk: (id: string) => `engine/vdisk/${id}`,
  vdisks: "engine/vdisk/",
  name: (pool: string, name: string) => `engine/name/${pool}/${name}`,
  log: (id: string) => `engine/log/${id}`,
  logs: "engine/log/",
  epoch: (log: string, epoch: number) => `engine/epoch/${log}/${hex8(epoch)}`,
  epochs: (log: string) => `engine/epoch/${log}/`,
  snapshot: (id: string) => `engine/snapshot/${id}`,
  snapshots: "engine/snapshot/",
  cut: (log: string, cut: number, holder: string) => `engine/cut/${log}/${hex16(cut)}/${holder}`,
  cuts: (log: string) => `engine/cut/${log}/`,
  wish: (log: string, target: string) => `engine/wish/${log}/${target}`,
  wishesOf: (log: string) => `engine/wish/${log}/`,
  wishes: "engine/wish/",
  export: (id: string) => `engine/export/${id}`,
  exports: "engine/export/",
  exportName: (nameHash: string) => `engine/export-name/${nameHash}`,
  router: (id: string) => `engine/router/${id}`,
  routers: "engine/router/",
  relocation: (segment: SegmentId) => `engine/relocation/${segment.log}/${hex8(segment.epoch)}-${hex8(segment.number)}`,
  relocations: (log: string) => `engine/relocation/${log}/`,
  retired: (object: string) => `engine/retired/${object}`,
  retiredAll: "engine/retired/",
} as const;

/** Export names are secrets: the registry keeps only their hash. */
export const hashExportName = (name: string): string => createHash("sha256").update(name).digest("hex");

/** Throws record_damaged for text that is not a record of a version we know. */
export function parseRecord<T extends { readonly v: 1 }>(key: string, text: string): T {
  return parseVersioned<T>(key, text, [1]);
}

/** Those that can be read; of each other one `damaged` is told, with what parseRecord() throws. */
export function readableRecords<T extends { readonly v: 1 }>(
  entries: readonly Entry[],
  damaged: (error: AndironError, key: string) => void,
): T[] {
  const records: T[] = [];
  for (const { key, value } of entries) {
    try {
      records.push(parseRecord<T>(key, value));
    } catch (error) {
      if (!(error instanceof AndironError)) throw error;
      damaged(error, key);
    }
  }
  return records;
}

/** The same for a wish, of which there are two versions. */
export function parseWish(key: string, text: string): WishRecord {
  return parseVersioned<WishRecord>(key, text, [1, 2]);
}

function parseVersioned<T>(key: string, text: string, versions: readonly unknown[]): T {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new AndironError("record_damaged", `record ${key} is not JSON`, { cause: error });
  }
  if (typeof value !== "object" || value === null || !versions.includes((value as { v?: unknown }).v)) {
    throw new AndironError("record_damaged", `record ${key} has a version this release does not know`);
  }
  return value as T;
}

/** Order of log positions: epoch first. Negative when a comes before b. */
export const comparePositions = (a: LogPosition, b: LogPosition): number => a.epoch - b.epoch || a.number - b.number;
