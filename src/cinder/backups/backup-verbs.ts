// What api/ may ask of backups. The rules at the head of verbs.ts hold for it too.

import type { RequestContext } from "../context.ts";
import type { ListQuery, Page } from "../list-query.ts";
import type { NameUpdate } from "../verbs.ts";
import type { Backup } from "./backup.ts";

/** A backup with what its representation needs of others. */
export interface BackupDetail {
  readonly backup: Backup;
  /** Others build on it. */
  readonly hasDependents: boolean;
}

/** A backup's record as text, to be taken in by another cloud that reaches the same store. */
export interface ExportedBackup {
  readonly service: string;
  /** JSON in base64. */
  readonly url: string;
}

export interface Backups {
  list(context: RequestContext, query: ListQuery): Promise<Page<BackupDetail>>;
  show(context: RequestContext, id: string): Promise<BackupDetail>;
  update(context: RequestContext, id: string, update: NameUpdate): Promise<Backup>;
  exportRecord(context: RequestContext, id: string): Promise<ExportedBackup>;
  importRecord(context: RequestContext, exported: ExportedBackup): Promise<Backup>;
  resetStatus(context: RequestContext, id: string, status: string): Promise<void>;
}
