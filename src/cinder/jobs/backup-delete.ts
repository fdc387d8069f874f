// The objects of a backup go, some in each step, all known by name; then its record. The request has made sure that no other
// backup builds on it.
//
//   backup   deleting, jobId ──► some objects less ──► ... ──► gone
//                            └── cancelled, failed ──► error_deleting, fail_reason

import type { Tx } from "../../registry/atomic.ts";
import { removeBackup } from "../backups/backup-removal.ts";
import type { BackupStep } from "../backups/backup-bytes.ts";
import type { Backup } from "../backups/backup.ts";
import { ownersContext } from "../notifications/message-context.ts";
import type { CinderPorts } from "../ports.ts";
import { backupOfJob, endBackup, failReasonOf, writeBackupFailure } from "./backup-job.ts";
import type { JobAdvance, JobKind, JobRun, NewJob } from "./job-kind.ts";
import type { Job, JobVerdict } from "./job.ts";

export class BackupDelete implements JobKind<BackupStep> {
  readonly name = "backup-delete";
  readonly version = 1;
  readonly unit = "objects";
  readonly runningMax = 4;
  readonly stepTimeoutMs = 600_000;
  readonly deadlineMs = 24 * 3600 * 1000;
  readonly #ports: CinderPorts;

  constructor(ports: CinderPorts) {
    this.#ports = ports;
  }

  /** `jobId`: also to be written into the backup, in the same transaction. */
  request({ id, projectId, location }: Backup, jobId: string, requestId: string): NewJob {
    return { id: jobId, projectId, requestId, resource: { type: "backup", id }, params: { location }, total: null };
  }

  work(job: Job, run: JobRun): Promise<BackupStep> {
    const location = job.params["location"] as Backup["location"];
    return this.#ports.backups.erase({ backupId: job.resource.id, location, cursor: job.checkpoint }, run);
  }

  async advance(tx: Tx, job: Job, step: BackupStep): Promise<JobAdvance> {
    const backup = await backupOfJob(tx, job, job.resource.id);
    if (backup === undefined) return { next: "done", done: job.progress.done };
    if (!step.isDone) return { next: "more", checkpoint: step.cursor, done: step.done };
    await removeBackup(this.#ports, tx, ownersContext(backup, job.requestId), backup);
    return { next: "done", done: step.done };
  }

  async settle(tx: Tx, job: Job, verdict: JobVerdict, messageId: string): Promise<void> {
    const backup = await backupOfJob(tx, job, job.resource.id);
    if (backup === undefined) return;
    endBackup(this.#ports, tx, backup, { status: "error_deleting", failReason: failReasonOf(verdict) });
    writeBackupFailure(this.#ports, tx, messageId, job, backup, "delete", verdict);
  }
}
