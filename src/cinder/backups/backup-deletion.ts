// Deletes backups. What has no bytes goes with the request; else its transaction leaves the job that erases them
// (jobs/backup-delete.ts). By force a job that still works on the backup is cancelled, and its end waited for.
//
// Whoever makes a backup that builds on this one writes this one's record anew: what the index says of it, after that record was
// read, holds.

import type { Tx } from "../../registry/atomic.ts";
import type { RequestContext } from "../context.ts";
import type { BackupDelete } from "../jobs/backup-delete.ts";
import type { JobQueue } from "../jobs/job-queue.ts";
import type { PolicyRule } from "../policy.ts";
import type { CinderPorts } from "../ports.ts";
import { backupKind, jobKind, readRecord, writeRecord } from "../records.ts";
import type { Backup } from "./backup.ts";
import { checkBackupService, dependentsOf, readBackup, tellOfBackup } from "./backup-records.ts";
import { removeBackup } from "./backup-removal.ts";
import { checkBackupDelete, checkNoDependents } from "./backup-status.ts";

export interface DeletionParts {
  readonly queue: JobQueue;
  readonly delete: BackupDelete;
}

type Outcome = { readonly next: "gone" } | { readonly next: "queued" } | { readonly next: "wait"; readonly jobId: string };

const forceRule = "volume_extension:backup_admin_actions:force_delete";

export class BackupDeletion {
  readonly #ports: CinderPorts;
  readonly #parts: DeletionParts;

  constructor(ports: CinderPorts, parts: DeletionParts) {
    this.#ports = ports;
    this.#parts = parts;
  }

  /** Resolves when the backup is gone, or the job that erases it is durable. */
  async delete(context: RequestContext, id: string, force: boolean): Promise<void> {
    const rules: readonly PolicyRule[] = force ? [forceRule, "backup:delete"] : ["backup:delete"];
    for (;;) {
      const jobId = this.#ports.random.uuid();
      const outcome = await this.#ports.store.commit(context.projectId, async (tx) => {
        const backup = await readBackup(tx, context, id);
        for (const rule of rules) this.#ports.policy.enforce(context, rule, backup);
        return this.#delete(tx, context, backup, { force, jobId });
      });
      if (outcome.next === "gone") return;
      if (outcome.next === "queued") return this.#parts.queue.wake();
      await this.#parts.queue.giveWay(outcome.jobId, `the delete of backup ${id}`);
    }
  }

  async #delete(
    tx: Tx,
    context: RequestContext,
    backup: Backup,
    { force, jobId }: { readonly force: boolean; readonly jobId: string },
  ): Promise<Outcome> {
    checkBackupDelete(backup, force);
    await this.#ports.index.fresh();
    checkNoDependents(dependentsOf(this.#ports, backup));
    const present = backup.jobId === undefined ? undefined : await readRecord(tx, jobKind, backup.jobId);
    if (present !== undefined && present.phase !== "ended") {
      const deletes = present.kind === this.#parts.delete.name && present.phase === "work" && present.cancel === undefined;
      return deletes ? { next: "queued" } : { next: "wait", jobId: present.id };
    }
    const deleting: Backup = { ...backup, status: "deleting", jobId, updatedAtMs: this.#ports.clock.wallMs() };
    tellOfBackup(this.#ports, tx, context, "deleteBegins", deleting);
    if (backup.location === null || this.#isShared(backup)) {
      await removeBackup(this.#ports, tx, context, deleting);
      return { next: "gone" };
    }
    checkBackupService(this.#ports);
    writeRecord(tx, backupKind, backup.id, deleting);
    await this.#parts.queue.enqueue(tx, this.#parts.delete, this.#parts.delete.request(deleting, jobId, context.requestId));
    return { next: "queued" };
  }

  /** Another record leads to the same bytes (it was imported under another id): they stay for that one. */
  #isShared({ id, location }: Backup): boolean {
    const text = JSON.stringify(location);
    const others = this.#ports.index.backups.select((other) => other.id !== id && other.status !== "deleting");
    return others.some((other) => JSON.stringify(other.location) === text);
  }
}
