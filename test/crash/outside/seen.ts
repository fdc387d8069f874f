// What somebody outside can see of a service at one instant: lists and quotas of its API, the records that andiron-manage prints,
// the names of files. Values only; who looks is look.ts, who judges is findings.ts.

export type ResourceKind = "volume" | "snapshot" | "attachment" | "group" | "group snapshot" | "backup" | "image";

/** Something that a list of the API shows. */
export interface Resource {
  readonly kind: ResourceKind;
  readonly id: string;
  readonly project: string;
  readonly status: string;
  /** Anything else that says that something is under way, such as a migration_status; "" when there is no such thing. */
  readonly progress: string;
  readonly changedAtMs: number;
  /** What it adds to the project's usage, by the quota's key. */
  readonly charges: Readonly<Record<string, number>>;
  /** Without which it makes no sense. */
  readonly needs: readonly Reference[];
  /** How many objects of the backups' store it has at least. */
  readonly objectCount?: number;
}

export interface Reference {
  readonly kind: ResourceKind;
  readonly id: string;
}

/** The records below the API. */
export interface Records {
  readonly jobs: readonly SeenJob[];
  readonly vdisks: readonly SeenVdisk[];
  readonly snapshots: readonly string[];
  readonly exports: readonly string[];
  readonly logs: readonly SeenLog[];
  readonly retired: readonly SeenRetired[];
  /** Ids of the vDisks that the cache of images has. */
  readonly cached: readonly string[];
}

export interface SeenJob {
  readonly id: string;
  readonly kind: string;
  readonly phase: string;
  readonly resource: string;
}

export interface SeenVdisk {
  readonly id: string;
  readonly name: string;
  readonly log: string;
}

export interface SeenLog {
  readonly id: string;
  /** The vDisk whose head it is. */
  readonly vdisk: string | null;
  /** A snapshot or another log looks at it, or will. */
  readonly isNeeded: boolean;
  /** Whether a segment of this name, below the log's, is one that the log has. */
  readonly hasSegment: (name: string) => boolean;
}

export interface SeenRetired {
  readonly object: string;
  readonly retiredAtMs: number;
}

export interface OutsideView {
  readonly nowMs: number;
  readonly resources: readonly Resource[];
  /** in_use by project and key. */
  readonly usage: Readonly<Record<string, Readonly<Record<string, number>>>>;
  readonly records: Records;
  /** PLACE/LOG/NAME of each file of the backends and of the journal. */
  readonly objects: readonly string[];
  /** The backup's id of each file in the backups' store. */
  readonly stored: readonly string[];
  /** Files of jobs, such as images on their way. */
  readonly scratch: readonly string[];
}
