// Restores backups: into a volume that is there, or into a new one. One transaction makes both records say so, and leaves the job
// that writes the bytes (jobs/backup-restore.ts, which draws what follows).

import type { Tx } from "../../registry/atomic.ts";
import type { RequestContext } from "../context.ts";
import { invalidVolume } from "../faults.ts";
import type { BackupRestore } from "../jobs/backup-restore.ts";
import type { JobQueue } from "../jobs/job-queue.ts";
import type { Volume } from "../model.ts";
import { readVolume, type CinderPorts } from "../ports.ts";
import { backupKind, volumeKind, writeRecord } from "../records.ts";
import type { Backup } from "./backup.ts";
import { checkBackupService, findBackup, readBackup, tellOfBackup } from "./backup-records.ts";
import { checkRestorable, checkRestoreTarget } from "./backup-status.ts";
import type { Restoration, RestoreBackup } from "./backup-verbs.ts";
import { restoreNamePrefix } from "./volume-facts.ts";

export interface RestorationParts {
  readonly queue: JobQueue;
  readonly restore: BackupRestore;
}

/** Of a new volume that is made of a backup. */
export interface NewVolume {
  readonly name: string;
  readonly description: string;
  readonly sizeGib: number;
  readonly backupId: string;
}

export class BackupRestoration {
  readonly #ports: CinderPorts;
  readonly #parts: RestorationParts;

  constructor(ports: CinderPorts, parts: RestorationParts) {
    this.#ports = ports;
    this.#parts = parts;
  }

  /** `createVolume`: makes a volume of a backup, as begin() says, in one transaction. */
  async restore(
    context: RequestContext,
    id: string,
    { volumeId, name }: RestoreBackup,
    createVolume: (volume: NewVolume) => Promise<Volume>,
  ): Promise<Restoration> {
    const { index, policy, random, store } = this.#ports;
    await index.fresh();
    const check = (backup: Backup): Backup => {
      policy.enforce(context, "backup:restore", backup);
      checkRestorable(backup);
      return backup;
    };
    const { sizeGib } = check(findBackup(this.#ports, context, id));
    if (volumeId === null) {
      const description = "auto-created_from_restore_from_backup";
      const made = await createVolume({ name: name ?? restoreNamePrefix + id, description, sizeGib, backupId: id });
      if (made.status === "error") {
        throw invalidVolume(`Error while creating volume ${made.id} for restoring backup ${id}.`);
      }
      return { backupId: id, volumeId: made.id, volumeName: made.name };
    }
    const jobId = random.uuid();
    const target = await store.commit(context.projectId, async (tx) => {
      const backup = check(await readBackup(tx, context, id));
      const volume = await readVolume(tx, context, volumeId);
      checkRestoreTarget(volume, backup);
      const updatedAtMs = this.#ports.clock.wallMs();
      const busy = { status: "restoring-backup", previousStatus: volume.status, updatedAtMs } as const;
      const target = await this.begin(tx, context, backup, { ...volume, ...busy }, jobId);
      writeRecord(tx, volumeKind, target.id, target);
      return target;
    });
    this.#parts.queue.wake();
    return { backupId: id, volumeId: target.id, volumeName: target.name };
  }

  /** Answers with the volume that is to be written; it has its status already. wake() belongs after the commit. */
  async begin(tx: Tx, context: RequestContext, backup: Backup, volume: Volume, jobId: string): Promise<Volume> {
    checkBackupService(this.#ports);
    const updatedAtMs = this.#ports.clock.wallMs();
    const target: Volume = { ...volume, jobId };
    const source: Backup = { ...backup, status: "restoring", restoreVolumeId: volume.id, jobId, updatedAtMs };
    writeRecord(tx, backupKind, source.id, source);
    tellOfBackup(this.#ports, tx, context, "restoreBegins", source);
    const { queue, restore } = this.#parts;
    await queue.enqueue(tx, restore, restore.request(source, target, jobId, context.requestId));
    return target;
  }
}
