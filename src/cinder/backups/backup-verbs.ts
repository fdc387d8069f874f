// What api/ may ask of backups. The rules at the head of verbs.ts hold for it too.

import type { RequestContext } from "../context.ts";
import type { ListQuery, Page } from "../list-query.ts";
import type { Metadata } from "../model.ts";
import type { NameUpdate } from "../verbs.ts";
import type { Backup } from "./backup.ts";

/** A backup with what its representation needs of others. */
export interface BackupDetail {
  readonly backup: Backup;
  /** Others build on it. */
  readonly hasDependents: boolean;
}

export interface CreateBackup {
  readonly volumeId: string;
  readonly name?: string | null;
  readonly description?: string | null;
  readonly metadata?: Metadata;
  /** Null: the one of the configuration. */
  readonly container: string | null;
  /** On top of the latest backup of the volume. */
  readonly incremental: boolean;
  /** A volume in use too. */
  readonly force: boolean;
  /** Of this snapshot instead of the volume as it is. */
  readonly snapshotId: string | null;
}

export interface RestoreBackup {
  /** Null: a new volume. */
  readonly volumeId: string | null;
  /** Of a new volume. */
  readonly name: string | null;
}

export interface Restoration {
  readonly backupId: string;
  readonly volumeId: string;
  readonly volumeName: string | null;
}

/** A backup's record as text, to be taken in by another cloud that reaches the same store. */
export interface ExportedBackup {
  readonly service: string;
  /** JSON in base64. */
  readonly url: string;
}

export interface Backups {
  /** Resolves when the instant that it will have is fixed, and the job that fills it is durable. */
  create(context: RequestContext, request: CreateBackup): Promise<Backup>;
  list(context: RequestContext, query: ListQuery): Promise<Page<BackupDetail>>;
  show(context: RequestContext, id: string): Promise<BackupDetail>;
  update(context: RequestContext, id: string, update: NameUpdate): Promise<Backup>;
  delete(context: RequestContext, id: string): Promise<void>;
  forceDelete(context: RequestContext, id: string): Promise<void>;
  restore(context: RequestContext, id: string, request: RestoreBackup): Promise<Restoration>;
  exportRecord(context: RequestContext, id: string): Promise<ExportedBackup>;
  importRecord(context: RequestContext, exported: ExportedBackup): Promise<Backup>;
  resetStatus(context: RequestContext, id: string, status: string): Promise<void>;
}
