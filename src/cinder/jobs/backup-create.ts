// The bytes of a volume, or of a snapshot, into the store of backups. What is read is a cut that the request made in its
// transaction: the backup is the volume at that one instant, whoever goes on writing (backups/backup-cuts.ts has its life).
//
//   backup   creating, jobId ──► some of it ──► ... ──► all of it ──────────────► available
//                                └── cancelled, failed ──► its objects erased ──► error, fail_reason
//   volume   backing-up, jobId ─────────────────────────────────────────────────► available | in-use
//   snapshot backing-up ────────────────────────────────────────────────────────► available
//
// Objects are named by the claim's generation; what an earlier claim left is known by name (docs/design/backups.md).

import { AndironError } from "../../common/errors.ts";
import type { Tx } from "../../registry/atomic.ts";
import { dropBase, dropCut } from "../backups/backup-cuts.ts";
import type { BackupWrite, BackupWritten } from "../backups/backup-bytes.ts";
import { tellOfBackup, tellOfProgress } from "../backups/backup-records.ts";
import { checkLocation, type Backup } from "../backups/backup.ts";
import { factsOf } from "../backups/volume-facts.ts";
import { gibBytes, type Snapshot, type Volume } from "../model.ts";
import { ownersContext } from "../notifications/message-context.ts";
import type { CinderPorts } from "../ports.ts";
import { backupKind, readRecord, snapshotKind, volumeKind, writeRecord } from "../records.ts";
import { backupOfJob, endBackedUp, endBackup, failReasonOf, writeBackupFailure } from "./backup-job.ts";
import { ErasureCursors } from "./erasure-cursors.ts";
import type { JobAdvance, JobKind, JobRun, NewJob } from "./job-kind.ts";
import type { Job, JobVerdict } from "./job.ts";

const cutLookMs = 50;

/** What a step came to; undefined: the backup is gone, or somebody else's business now. */
type Written = BackupWritten | undefined;

export class BackupCreate implements JobKind<Written> {
  readonly name = "backup-create";
  readonly version = 1;
  readonly unit = "bytes";
  readonly runningMax = 2;
  readonly stepTimeoutMs = 600_000;
  readonly deadlineMs = 24 * 3600 * 1000;
  readonly #ports: CinderPorts;
  readonly #undone = new ErasureCursors();

  constructor(ports: CinderPorts) {
    this.#ports = ports;
  }

  /**
   * Makes the cut too. `jobId`: also to be written into the backup, and into its volume unless it is of a snapshot, in the same
   * transaction.
   */
  async request(tx: Tx, backup: Backup, volume: Volume, ids: RequestIds): Promise<NewJob> {
    const { control } = this.#ports;
    const { id, snapshotId, parentId, projectId } = backup;
    const { jobId, requestId } = ids;
    const name = `backup-${id}`;
    if (snapshotId === null) await control.createSnapshot(tx, { id, vdiskId: volume.id, name });
    else await control.copySnapshot(tx, { id, snapshotId, name });
    const hasBase = parentId !== null && volume.backupBaseId === parentId;
    if (hasBase) await control.copySnapshot(tx, { id: jobId, snapshotId: parentId, name });
    return {
      id: jobId,
      projectId,
      requestId,
      resource: { type: "backup", id },
      params: { hasBase, host: volume.host, volumeId: volume.id, snapshotId } satisfies Params,
      total: backup.sizeGib * gibBytes,
    };
  }

  async work(job: Job, run: JobRun): Promise<Written> {
    const task = await this.#task(job);
    if (task === undefined) return undefined;
    await this.cut(task.cutId, () => run.shouldYield());
    return this.#ports.backups.write(task, run);
  }

  async advance(tx: Tx, job: Job, written: Written): Promise<JobAdvance> {
    const backup = await backupOfJob(tx, job, job.resource.id);
    if (backup !== undefined && written !== undefined && written.result === undefined) {
      this.#tellOfStep(tx, job, backup, written.done);
      return { next: "more", checkpoint: written.cursor, done: written.done };
    }
    const result = backup === undefined ? undefined : written?.result;
    await this.#endSource(tx, job, backup, result !== undefined);
    if (backup === undefined || result === undefined) return { next: "done", done: job.progress.done };
    checkLocation(result.location);
    const ready = endBackup(this.#ports, tx, backup, { ...result, status: "available" });
    const context = ownersContext(backup, job.requestId);
    tellOfProgress(this.#ports, tx, context, backup, 100);
    tellOfBackup(this.#ports, tx, context, "createEnds", ready);
    return { next: "done" };
  }

  /** Once in each interval since the job began, in which a step ends. */
  #tellOfStep(tx: Tx, job: Job, backup: Backup, done: number): void {
    const { clock, settings } = this.#ports;
    const intervalOf = (ms: number): number => Math.floor((ms - job.createdAtMs) / settings.backupTellingIntervalMs);
    if (intervalOf(clock.wallMs()) === intervalOf(job.updatedAtMs)) return;
    const percent = Math.floor((100 * done) / (backup.sizeGib * gibBytes));
    tellOfProgress(this.#ports, tx, ownersContext(backup, job.requestId), backup, percent);
  }

  async undo(job: Job, run: JobRun): Promise<"more" | "done"> {
    const backup = await this.#read(job);
    if (backup === undefined) return "done";
    const task = { backupId: backup.id, location: this.#locationOf(job, backup) };
    return this.#undone.erase(job.id, (cursor) => this.#ports.backups.erase({ ...task, cursor }, run));
  }

  async settle(tx: Tx, job: Job, verdict: JobVerdict, messageId: string): Promise<void> {
    const backup = await backupOfJob(tx, job, job.resource.id);
    await this.#endSource(tx, job, backup, false);
    if (backup === undefined) return;
    // What could not be erased is tried again when the backup is deleted.
    const location = job.leftovers === true ? this.#locationOf(job, backup) : null;
    endBackup(this.#ports, tx, backup, { status: "error", failReason: failReasonOf(verdict), location });
    writeBackupFailure(this.#ports, tx, messageId, job, backup, "create", verdict);
  }

  /** What was read is free again; its cut stays as the volume's base, when that is of use, or goes. */
  async #endSource(tx: Tx, job: Job, backup: Backup | undefined, isWhole: boolean): Promise<void> {
    const { control } = this.#ports;
    const { hasBase, volumeId, snapshotId } = job.params as unknown as Params;
    const cutId = job.resource.id;
    if (hasBase) await dropCut(control, tx, job.id);
    const snapshot = snapshotId === null ? undefined : await readRecord(tx, snapshotKind, snapshotId);
    if (snapshot?.status === "backing-up") freeSnapshot(tx, snapshot);
    const volume = await readRecord(tx, volumeKind, volumeId);
    const isBase = isWhole && volume !== undefined && (await this.#isNewest(tx, job, backup!, volume));
    if (isBase) await dropBase(control, tx, volume);
    else await dropCut(control, tx, cutId);
    const change = isBase ? { backupBaseId: cutId } : {};
    if (volume?.jobId === job.id) await endBackedUp(this.#ports, tx, volume, change);
    else if (volume !== undefined && isBase) writeRecord(tx, volumeKind, volume.id, { ...volume, ...change });
  }

  /** A cut on another disk than the volume's, or older than its base, is of no use to the next backup. */
  async #isNewest(tx: Tx, job: Job, backup: Backup, volume: Volume): Promise<boolean> {
    if (volume.host !== job.params["host"]) return false;
    const { backupBaseId } = volume;
    const base = backupBaseId === undefined ? undefined : await readRecord(tx, backupKind, backupBaseId);
    return base === undefined || base.dataTimestampMs <= backup.dataTimestampMs;
  }

  async #task(job: Job): Promise<BackupWrite | undefined> {
    const backup = await this.#read(job);
    if (backup === undefined) return undefined;
    const { id, volumeId, container, parentId } = backup;
    const volume = this.#ports.index.volumes.get(volumeId);
    return {
      backupId: id,
      volumeId,
      container: container ?? this.#ports.backups.defaultContainer,
      parentId,
      generation: job.generation,
      cutId: id,
      baseId: job.params["hasBase"] === true ? job.id : null,
      facts: volume === undefined ? {} : factsOf(volume),
      cursor: job.checkpoint,
    };
  }

  /** From the index: what is only read here is fenced where it is written. */
  async #read(job: Job): Promise<Backup | undefined> {
    await this.#ports.index.fresh();
    const backup = this.#ports.index.backups.get(job.resource.id);
    return backup?.jobId === job.id ? backup : undefined;
  }

  #locationOf(job: Job, { id, volumeId, container }: Backup): ReturnType<CinderPorts["backups"]["locationOf"]> {
    const { backups } = this.#ports;
    const place = { backupId: id, volumeId, container: container ?? backups.defaultContainer };
    return backups.locationOf({ ...place, generation: job.generation, cursor: job.checkpoint });
  }

  /** Resolves when the cut is there. Of a volume in use the router that has it takes it, in a moment. */
  async cut(cutId: string, shouldYield: () => boolean): Promise<void> {
    for (;;) {
      const cut = await this.#ports.control.snapshot(cutId);
      if (cut?.state === "ready") return;
      if (cut?.state !== "pending") {
        const why = cut?.message ?? "it is gone";
        throw new AndironError("snapshot_not_found", `what is to be backed up cannot be had: ${why}`);
      }
      if (shouldYield()) throw new AndironError("owner_unreachable", "the volume's router does not take the cut");
      await this.#ports.clock.sleep(cutLookMs);
    }
  }
}

function freeSnapshot(tx: Tx, snapshot: Snapshot): void {
  const free: Snapshot = { ...snapshot, status: "available" };
  writeRecord(tx, snapshotKind, free.id, free);
}

interface Params {
  /** There is a copy of the parent's cut. */
  readonly hasBase: boolean;
  readonly host: string | null;
  readonly volumeId: string;
  readonly snapshotId: string | null;
}

interface RequestIds {
  readonly jobId: string;
  readonly requestId: string;
}
