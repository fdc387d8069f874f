// What cinder/ knows of the bytes of backups: a port that bin/ fills (docs/design/backups.md). Where they lie is told as JSON
// that only the other side understands. Each step does some of its work, at least a little, and is called again with the cursor
// that it answered; a step that is done again, by whichever process, does no harm.

import { AndironError } from "../../common/errors.ts";
import type { JobData } from "../jobs/job.ts";
import type { JobRun } from "../jobs/job-kind.ts";
import type { BackupLocation } from "./backup.ts";

export type StepRun = Pick<JobRun, "signal" | "mayAct" | "shouldYield">;

export interface BackupWrite {
  readonly backupId: string;
  readonly volumeId: string;
  readonly container: string;
  readonly parentId: string | null;
  /** Of the claim. */
  readonly generation: number;
  /** Snapshots of the engine: what is backed up, and what the parent has; without that all of it is written. */
  readonly cutId: string;
  readonly baseId: string | null;
  /** Kept with the bytes, and handed out at their restore. */
  readonly facts: JobData;
  /** Empty at the beginning. */
  readonly cursor: JobData;
}

export interface BackupWritten {
  readonly cursor: JobData;
  /** Bytes of the volume that are looked at; beyond the step's before it. */
  readonly done: number;
  /** Present when all is written, and durable. */
  readonly result?: {
    readonly location: BackupLocation;
    readonly objectCount: number;
    readonly encryptionKeyId: string | null;
  };
}

export interface BackupRestore {
  /** What is restored, after all that it builds on: the oldest first. */
  readonly chain: readonly { readonly id: string; readonly location: BackupLocation | null }[];
  /** A live export of the volume, to write to. */
  readonly exportName: string;
  readonly cursor: JobData;
}

export interface BackupErase {
  readonly backupId: string;
  /** Null: it has no bytes. */
  readonly location: BackupLocation | null;
  readonly cursor: JobData;
}

/** A step of a restore, or of an erasure. */
export interface BackupStep {
  readonly cursor: JobData;
  /** Bytes restored, or objects gone; beyond the step's before it unless it is done. */
  readonly done: number;
  readonly isDone: boolean;
}

export interface BackupRestored extends BackupStep {
  /** Of what was restored, when it is done. */
  readonly facts?: JobData;
}

export interface BackupBytes {
  /** False: there is no store, and every step rejects. */
  readonly isConfigured: boolean;
  /** Of requests that name none. */
  readonly defaultContainer: string;
  /** Throws invalid_request for a name that the store can't have. */
  checkContainer(name: string): void;
  /** What may lie in the store of a backup that is not finished: for erase(). */
  locationOf(write: Pick<BackupWrite, "backupId" | "volumeId" | "container" | "generation" | "cursor">): BackupLocation;
  write(task: BackupWrite, run: StepRun): Promise<BackupWritten>;
  restore(task: BackupRestore, run: StepRun): Promise<BackupRestored>;
  erase(task: BackupErase, run: StepRun): Promise<BackupStep>;
}

/** No backup_driver is configured. */
export const noBackupBytes: BackupBytes = {
  isConfigured: false,
  defaultContainer: "",
  checkContainer: () => undefined,
  locationOf: () => ({}),
  write: () => Promise.reject(noStore()),
  restore: () => Promise.reject(noStore()),
  erase: () => Promise.reject(noStore()),
};

function noStore(): AndironError {
  return new AndironError("invalid_request", "there is no store of backups", { hint: "set [DEFAULT] backup_driver" });
}
