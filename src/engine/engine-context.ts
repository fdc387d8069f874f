// What every part of the engine in one process shares, handed down from the outside.

import type { Clock } from "../common/clock.ts";
import type { Random } from "../common/random.ts";
import type { Registry } from "../registry/registry.ts";
import type { ObjectBackend } from "./backend/backend.ts";
import type { CleanerHints } from "./cleaner/hints.ts";
import type { ClusterCache } from "./cache/cluster-cache.ts";
import type { JournalCounts } from "./journal/journal-counts.ts";
import type { LocalDisk } from "./local-disk.ts";
import type { Pages } from "./map/pages.ts";
import type { Segments } from "./segments.ts";
import type { LiveLogs } from "./view.ts";
import type { AheadBudget } from "./vdisk/read-ahead.ts";
import type { JournalBudget } from "./vdisk/journal-budget.ts";

/** The part of a logger that the engine uses. */
export interface EngineLog {
  debug(message: string, fields?: Readonly<Record<string, unknown>>): void;
  info(message: string, fields?: Readonly<Record<string, unknown>>): void;
  warning(message: string, fields?: Readonly<Record<string, unknown>>): void;
  error(message: string, fields?: Readonly<Record<string, unknown>>): void;
}

export interface EngineSettings {
  readonly segmentBytes: number;
  /** A checkpoint is made when this many sealed bytes, or map entries, are not in one. */
  readonly checkpointBytes: number;
  readonly checkpointEntries: number;
  readonly journalBytesMax: number;
  readonly cacheBytes: number;
  /** Equal clusters of the cache are kept once. */
  readonly cacheDedupe: boolean;
  readonly mapCacheBytes: number;
  /** Of one stream of reads in order. */
  readonly readAheadBytes: number;
  /** A segment is compacted when more than this share of its clusters is dead. */
  readonly cleanerDeadShare: number;
  readonly cleanerIntervalMs: number;
  /** How long a retired object stays before it is deleted. */
  readonly retiredGraceMs: number;
  readonly leaseTtlMs: number;
}

/** What guests did since the start of the process, all disks together, and what is left for others. */
export interface GuestWork {
  /** Read and written. */
  bytes: number;
  /** Processor time of the thread that serves them, whatever it was for. */
  readonly threadMs: () => number;
}

/** What all disks of one vPool share. */
export interface PoolContext {
  readonly pool: string;
  readonly registry: Registry;
  readonly backend: ObjectBackend;
  readonly pages: Pages;
  readonly segments: Segments;
  readonly cache: ClusterCache;
  readonly live: LiveLogs;
  readonly budget: JournalBudget;
  readonly journalCounts: JournalCounts;
  readonly ahead: AheadBudget;
  readonly hints: CleanerHints;
  readonly guests: GuestWork;
  readonly settings: EngineSettings;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: EngineLog;
  /** Identity of this router. */
  readonly router: string;
  /** The disk of the journal. */
  readonly disk: LocalDisk;
  /** Where journal files lie, and the identity of that directory. */
  readonly journalDirectory: string;
  readonly journalId: string;
  /** Throws lease_lost unless the router's lease is certainly held now. */
  readonly assertLease: () => void;
}

/** The part that reading and cleaning need, without owning anything: also for tools beside a running service. */
export type CleanerContext = Pick<
  PoolContext,
  | "pool"
  | "registry"
  | "backend"
  | "pages"
  | "segments"
  | "live"
  | "hints"
  | "guests"
  | "settings"
  | "clock"
  | "random"
  | "log"
  | "router"
>;
