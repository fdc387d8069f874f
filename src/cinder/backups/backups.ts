// Backups: list, show, change, and their records from cloud to cloud. What reads or writes their bytes is a job (jobs/).

import { runQuery } from "../collection-query.ts";
import type { RequestContext } from "../context.ts";
import { invalidBackup } from "../faults.ts";
import type { ListQuery, Page } from "../list-query.ts";
import { checkMetadata, checkTexts } from "../metadata-rules.ts";
import { ownTarget } from "../policy.ts";
import { isVisible, searchedProject, type CinderPorts } from "../ports.ts";
import { backupKind, readRecord, writeRecord } from "../records.ts";
import { backupShape } from "../shapes.ts";
import type { NameUpdate } from "../verbs.ts";
import { type CreationJobs, createVolume } from "../volume-create.ts";
import { backupService, type Backup } from "./backup.ts";
import { backupCharge, dependentsOf, findBackup, readBackup, tellOfBackup } from "./backup-records.ts";
import { checkExportable, resetBackupTarget } from "./backup-status.ts";
import { BackupCreation, type CreationParts } from "./backup-creation.ts";
import { BackupDeletion, type DeletionParts } from "./backup-deletion.ts";
import type { BackupDetail, Backups, CreateBackup, ExportedBackup, Restoration, RestoreBackup } from "./backup-verbs.ts";
import { exportBackup, parseExported, readImported, unknownVolumeId } from "./exported-record.ts";

export interface BackupParts extends CreationParts, DeletionParts {
  /** Of volumes, for the restore to a new one. */
  readonly volumes: CreationJobs;
}

export class BackupService implements Backups {
  readonly #ports: CinderPorts;
  readonly #creation: BackupCreation;
  readonly #deletion: BackupDeletion;
  readonly #volumes: CreationJobs;

  constructor(ports: CinderPorts, parts: BackupParts) {
    this.#ports = ports;
    this.#creation = new BackupCreation(ports, parts);
    this.#deletion = new BackupDeletion(ports, parts);
    this.#volumes = parts.volumes;
  }

  create(context: RequestContext, request: CreateBackup): Promise<Backup> {
    return this.#creation.create(context, request);
  }

  delete(context: RequestContext, id: string): Promise<void> {
    return this.#deletion.delete(context, id, false);
  }

  forceDelete(context: RequestContext, id: string): Promise<void> {
    return this.#deletion.delete(context, id, true);
  }

  restore(context: RequestContext, id: string, request: RestoreBackup): Promise<Restoration> {
    return this.#volumes.restoration.restore(context, id, request, async (given) => {
      const { volume } = await createVolume(this.#ports, this.#volumes, context, { ...given, isRestored: true });
      return volume;
    });
  }

  async list(context: RequestContext, query: ListQuery): Promise<Page<BackupDetail>> {
    this.#ports.policy.enforce(context, "backup:get_all", ownTarget(context));
    await this.#ports.index.fresh();
    const { backups } = this.#ports.index;
    const search = backups.search(query, searchedProject(context, query));
    const page = runQuery(search.list, backupShape, search.query, (id) => {
      const backup = backups.get(id);
      return backup !== undefined && isVisible(context, backup) ? backup : undefined;
    });
    return { ...page, items: page.items.map((backup) => this.#detail(backup)) };
  }

  async show(context: RequestContext, id: string): Promise<BackupDetail> {
    await this.#ports.index.fresh();
    const backup = findBackup(this.#ports, context, id);
    this.#ports.policy.enforce(context, "backup:get", backup);
    return this.#detail(backup);
  }

  update(context: RequestContext, id: string, update: NameUpdate): Promise<Backup> {
    checkTexts(update);
    if (update.metadata !== undefined) checkMetadata(update.metadata);
    return this.#ports.store.commit(context.projectId, async (tx) => {
      const backup = await readBackup(tx, context, id);
      this.#ports.policy.enforce(context, "backup:update", backup);
      const next: Backup = {
        ...backup,
        name: update.name === undefined ? backup.name : update.name,
        description: update.description === undefined ? backup.description : update.description,
        metadata: update.metadata ?? backup.metadata,
        updatedAtMs: this.#ports.clock.wallMs(),
      };
      writeRecord(tx, backupKind, id, next);
      return next;
    });
  }

  async resetStatus(context: RequestContext, id: string, status: string): Promise<void> {
    const target = resetBackupTarget(status);
    await this.#ports.index.fresh();
    await this.#ports.store.commit(context.projectId, async (tx) => {
      const backup = await readBackup(tx, context, id);
      this.#ports.policy.enforce(context, "volume_extension:backup_admin_actions:reset_status", backup);
      const next: Backup = { ...backup, status: target, updatedAtMs: this.#ports.clock.wallMs() };
      writeRecord(tx, backupKind, id, next);
      tellOfBackup(this.#ports, tx, context, "resetStatus", backup, next);
    });
  }

  async exportRecord(context: RequestContext, id: string): Promise<ExportedBackup> {
    await this.#ports.index.fresh();
    const backup = findBackup(this.#ports, context, id);
    this.#ports.policy.enforce(context, "backup:export-import", backup);
    checkExportable(backup);
    return exportBackup(backup, dependentsOf(this.#ports, backup));
  }

  /** A record that is of no use becomes a backup in error that says why, as in Cinder. */
  async importRecord(context: RequestContext, exported: ExportedBackup): Promise<Backup> {
    this.#ports.policy.enforce(context, "backup:backup-import", ownTarget(context));
    const record = parseExported(exported.url);
    const { id, sizeGib } = record;
    return this.#ports.store.commit(context.projectId, async (tx) => {
      const nowMs = this.#ports.clock.wallMs();
      const { host, availabilityZone } = this.#ports.settings;
      if ((await readRecord(tx, backupKind, id)) !== undefined) throw invalidBackup("Backup already exists in database.");
      const taken = readImported(exported.service, record, nowMs);
      const change =
        typeof taken === "string"
          ? { failReason: taken }
          : ({ ...taken, status: "available", service: backupService, availabilityZone } as const);
      const backup: Backup = {
        ...unread(nowMs),
        ...change,
        v: 1,
        id,
        projectId: context.projectId,
        userId: context.userId,
        sizeGib,
        host,
      };
      await this.#ports.ledger.charge(tx, backupCharge(backup));
      const parent = backup.parentId === null ? undefined : await readRecord(tx, backupKind, backup.parentId);
      if (parent !== undefined) writeRecord(tx, backupKind, parent.id, parent); // who deletes it meanwhile looks again
      writeRecord(tx, backupKind, id, backup);
      return backup;
    });
  }

  #detail(backup: Backup): BackupDetail {
    return { backup, hasDependents: dependentsOf(this.#ports, backup) > 0 };
  }
}

type Unread = Omit<Backup, "v" | "id" | "projectId" | "userId" | "sizeGib" | "host">;

/** What an imported backup is whose record could not be read. */
function unread(nowMs: number): Unread {
  return {
    name: null,
    description: null,
    metadata: {},
    status: "error",
    failReason: null,
    volumeId: unknownVolumeId,
    snapshotId: null,
    parentId: null,
    dataTimestampMs: nowMs,
    service: null,
    container: null,
    objectCount: 0,
    location: null,
    encryptionKeyId: null,
    restoreVolumeId: null,
    availabilityZone: null,
    createdAtMs: nowMs,
    updatedAtMs: null,
  };
}
