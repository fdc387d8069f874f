// What the jobs of backups have in common: whose the backup is, and why one failed, for people.

import type { Tx } from "../../registry/atomic.ts";
import { type Backup, backupBounds } from "../backups/backup.ts";
import type { Volume } from "../model.ts";
import { type CinderPorts, readAttachments } from "../ports.ts";
import { backupKind, readRecord, volumeKind, writeRecord } from "../records.ts";
import { statusByAttachments } from "../status.ts";
import { writeMessage } from "../user-messages.ts";
import type { Job, JobVerdict } from "./job.ts";

/** Undefined when it is gone, or somebody else's business now. */
export async function backupOfJob(tx: Tx, job: Job, backupId: string): Promise<Backup | undefined> {
  const backup = await readRecord(tx, backupKind, backupId);
  return backup?.jobId === job.id ? backup : undefined;
}

/** Writes the backup without its job, with what else changed. */
export function endBackup(ports: CinderPorts, tx: Tx, backup: Backup, change: Partial<Backup>): Backup {
  const { jobId: _ended, ...free } = backup;
  const ended: Backup = { ...free, ...change, updatedAtMs: ports.clock.wallMs() };
  writeRecord(tx, backupKind, ended.id, ended);
  return ended;
}

export function failReasonOf(verdict: JobVerdict): string {
  return verdict.reason.slice(0, backupBounds.failReasonLengthMax);
}

const failures = {
  create: { action: "create-backup", detail: "backup-failed" },
  delete: { action: "delete-backup", detail: "backup-delete-failed" },
  restore: { action: "restore-backup", detail: "backup-restore-failed" },
} as const;

/** Adds the message of a job that came to nothing; `id` as JobKind.settle() has it. */
export function writeBackupFailure(
  ports: CinderPorts,
  tx: Tx,
  id: string,
  job: Job,
  { id: resourceId, projectId }: Pick<Backup, "id" | "projectId">,
  verb: keyof typeof failures,
  { reason }: JobVerdict,
): void {
  const { requestId } = job;
  writeMessage(ports, tx, id, { ...failures[verb], resourceType: "VOLUME_BACKUP", resourceId, projectId, requestId, reason });
}

/** Writes the volume without its job: what its attachments say, unless an administrator has set another status meanwhile. */
export async function endBackedUp(ports: CinderPorts, tx: Tx, volume: Volume, change: Partial<Volume>): Promise<void> {
  const { jobId: _ended, ...free } = volume;
  const isOurs = volume.status === "backing-up";
  const { status } = isOurs ? statusByAttachments(await readAttachments(tx, volume)) : volume;
  writeRecord(tx, volumeKind, volume.id, { ...free, status, ...change, updatedAtMs: ports.clock.wallMs() });
}
