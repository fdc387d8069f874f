// The bytes of a backup, and of all that it builds on, into a volume: the oldest first, each over what is there. They go through
// an export of the claim's own (job-exports.ts), so that one process at most writes.
//
//   volume   restoring-backup, jobId ──► some of it ──► ... ──► all of it ──► available, with what the backup knows of its volume
//                                        └── cancelled, failed ──────────► error_restoring, and a message
//   backup   restoring, jobId ───────────────────────────────────────────► available

import type { Tx } from "../../registry/atomic.ts";
import { AndironError } from "../../common/errors.ts";
import type { BackupRestore as RestoreTask, BackupRestored } from "../backups/backup-bytes.ts";
import type { Backup } from "../backups/backup.ts";
import { tellOfBackup } from "../backups/backup-records.ts";
import { withFacts, withSource } from "../backups/volume-facts.ts";
import { gibBytes, type Volume } from "../model.ts";
import { ownersContext } from "../notifications/message-context.ts";
import type { CinderPorts } from "../ports.ts";
import { volumeKind, writeRecord } from "../records.ts";
import { backupOfJob, endBackup, writeBackupFailure } from "./backup-job.ts";
import { JobExports } from "./job-exports.ts";
import type { JobAdvance, JobKind, JobRun, NewJob } from "./job-kind.ts";
import type { Job, JobVerdict } from "./job.ts";
import { volumeOfJob } from "./volume-job.ts";

/** What a step came to; undefined: the volume is gone, or somebody else's business now. */
type Restored = BackupRestored | undefined;

export class BackupRestore implements JobKind<Restored> {
  readonly name = "backup-restore";
  readonly version = 1;
  readonly unit = "bytes";
  readonly runningMax = 2;
  readonly stepTimeoutMs = 600_000;
  readonly deadlineMs = 24 * 3600 * 1000;
  readonly #ports: CinderPorts;
  readonly #exports: JobExports;

  constructor(ports: CinderPorts) {
    this.#ports = ports;
    this.#exports = new JobExports(ports);
  }

  /** `jobId`: also to be written into the backup and the volume, in the same transaction. */
  request(backup: Backup, volume: Pick<Volume, "id" | "projectId">, jobId: string, requestId: string): NewJob {
    const { id, projectId } = volume;
    const params = { backupId: backup.id };
    const total = backup.sizeGib * gibBytes;
    return { id: jobId, projectId, requestId, resource: { type: "volume", id }, params, total };
  }

  async work(job: Job, run: JobRun): Promise<Restored> {
    const chain = await this.#chain(job);
    const [exportName] =
      (await this.#exports.open(job, async (tx) => {
        return (await volumeOfJob(tx, job)) === undefined ? undefined : [{ vdiskId: job.resource.id, readOnly: false }];
      })) ?? [];
    if (exportName === undefined) return undefined;
    const restored = await this.#ports.backups.restore({ chain, exportName, cursor: job.checkpoint }, run);
    if (restored.isDone) await this.#exports.close(job);
    return restored;
  }

  async advance(tx: Tx, job: Job, restored: Restored): Promise<JobAdvance> {
    const volume = await volumeOfJob(tx, job);
    if (volume !== undefined && restored !== undefined && !restored.isDone) {
      return { next: "more", checkpoint: restored.cursor, done: restored.done };
    }
    const backup = await this.#endBackup(tx, job);
    if (volume === undefined || restored === undefined) return { next: "done", done: job.progress.done };
    const { jobId: _ended, ...free } = volume;
    const nowMs = this.#ports.clock.wallMs();
    const status = isOurs(volume) ? "available" : volume.status;
    const ready: Volume = { ...free, status, launchedAtMs: volume.launchedAtMs ?? nowMs, updatedAtMs: nowMs };
    const filled = withSource(withFacts(ready, restored.facts ?? {}), backup);
    writeRecord(tx, volumeKind, volume.id, filled);
    const { notices } = this.#ports;
    if (volume.status === "creating") await notices.volume(tx, ownersContext(volume, job.requestId), "createEnds", filled);
    if (backup !== undefined) {
      tellOfBackup(this.#ports, tx, ownersContext(backup, job.requestId), "restoreEnds", backup);
    }
    return { next: "done", done: restored.done };
  }

  async undo(job: Job): Promise<"done"> {
    await this.#exports.close(job);
    return "done";
  }

  async settle(tx: Tx, job: Job, verdict: JobVerdict, messageId: string): Promise<void> {
    const backup = await this.#endBackup(tx, job);
    if (backup !== undefined) writeBackupFailure(this.#ports, tx, messageId, job, backup, "restore", verdict);
    const volume = await volumeOfJob(tx, job);
    if (volume === undefined) return;
    const { jobId: _ended, ...free } = volume;
    const status = volume.status === "creating" ? "error" : isOurs(volume) ? "error_restoring" : volume.status;
    writeRecord(tx, volumeKind, volume.id, { ...free, status, updatedAtMs: this.#ports.clock.wallMs() });
  }

  async #endBackup(tx: Tx, job: Job): Promise<Backup | undefined> {
    const backup = await backupOfJob(tx, job, backupIdOf(job));
    if (backup === undefined) return undefined;
    return endBackup(this.#ports, tx, backup, { status: backup.status === "restoring" ? "available" : backup.status });
  }

  /** What others build on is not deleted: the chain stands as long as the backup does. */
  async #chain(job: Job): Promise<RestoreTask["chain"]> {
    await this.#ports.index.fresh();
    const chain: { id: string; location: Backup["location"] }[] = [];
    const seen = new Set<string>();
    for (let id: string | null = backupIdOf(job); id !== null;) {
      const backup: Backup | undefined = this.#ports.index.backups.get(id);
      if (backup === undefined || seen.has(id)) {
        throw new AndironError("backup_damaged", `backup ${id}, which backup ${backupIdOf(job)} builds on, is not there`);
      }
      seen.add(id);
      chain.unshift({ id, location: backup.location });
      id = backup.parentId;
    }
    return chain;
  }
}

function backupIdOf(job: Job): string {
  return String(job.params["backupId"]);
}

/** An administrator's word stands. */
function isOurs({ status }: Volume): boolean {
  return status === "restoring-backup" || status === "creating";
}
