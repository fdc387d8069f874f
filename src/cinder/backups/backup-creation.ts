// Makes backups. One transaction charges the quota, fixes the instant whose data the backup will have (a cut, which the engine
// makes), and leaves the job that writes them (jobs/backup-create.ts, which draws what follows).
//
// Backups of one volume begin one after the other: each reads and writes its record, or is of a snapshot and builds on what is
// whole. What an incremental one builds on is written anew, so that who deletes it meanwhile looks again.

import type { Tx } from "../../registry/atomic.ts";
import type { RequestContext } from "../context.ts";
import type { BackupCreate } from "../jobs/backup-create.ts";
import type { JobQueue } from "../jobs/job-queue.ts";
import { checkMetadata, checkTexts } from "../metadata-rules.ts";
import type { Snapshot, Volume } from "../model.ts";
import { readSnapshot, readVolume, type CinderPorts } from "../ports.ts";
import { backupKind, readRecord, snapshotKind, volumeKind, writeRecord } from "../records.ts";
import { backupService, type Backup } from "./backup.ts";
import { backupCharge, checkBackupService, tellOfBackup, tellOfProgress } from "./backup-records.ts";
import { checkBackupSource, chooseParent } from "./backup-status.ts";
import type { CreateBackup } from "./backup-verbs.ts";

const cutMsMax = 10_000;

export interface CreationParts {
  readonly queue: JobQueue;
  readonly create: BackupCreate;
}

interface Ids {
  readonly backup: string;
  readonly job: string;
}

export class BackupCreation {
  readonly #ports: CinderPorts;
  readonly #parts: CreationParts;

  constructor(ports: CinderPorts, parts: CreationParts) {
    this.#ports = ports;
    this.#parts = parts;
  }

  async create(context: RequestContext, request: CreateBackup): Promise<Backup> {
    const { store, index, random, backups } = this.#ports;
    checkTexts(request);
    checkMetadata(request.metadata ?? {});
    if (request.container !== null) backups.checkContainer(request.container);
    await index.fresh();
    const ids = { backup: random.uuid(), job: random.uuid() };
    const backup = await store.commit(context.projectId, (tx) => this.#create(tx, context, request, ids));
    this.#parts.queue.wake();
    await this.#awaitCut(backup.id);
    return backup;
  }

  async #create(tx: Tx, context: RequestContext, request: CreateBackup, ids: Ids): Promise<Backup> {
    const volume = await readVolume(tx, context, request.volumeId);
    this.#ports.policy.enforce(context, "backup:create", volume);
    checkBackupService(this.#ports);
    const snapshot = request.snapshotId === null ? undefined : await readSnapshot(tx, context, request.snapshotId);
    checkBackupSource(volume, snapshot, request.force);
    await this.#ports.ledger.charge(tx, backupCharge({ projectId: context.projectId, sizeGib: volume.sizeGib }));
    const others = await this.#othersOf(context, volume);
    const parent = request.incremental ? await this.#readParent(tx, others, snapshot) : undefined;
    const backup: Backup = {
      ...this.#newBackup(context, volume, request, ids.backup),
      dataTimestampMs: snapshot?.createdAtMs ?? this.#nextTimeMs(others),
      parentId: parent?.id ?? null,
      jobId: ids.job,
    };
    writeRecord(tx, backupKind, backup.id, backup);
    this.#occupy(tx, volume, snapshot, ids.job);
    tellOfBackup(this.#ports, tx, context, "createBegins", backup);
    tellOfProgress(this.#ports, tx, context, backup, 0);
    const { queue, create } = this.#parts;
    const job = await create.request(tx, backup, volume, { jobId: ids.job, requestId: context.requestId });
    await queue.enqueue(tx, create, job);
    return backup;
  }

  #newBackup(
    context: RequestContext,
    volume: Volume,
    request: CreateBackup,
    id: string,
  ): Omit<Backup, "dataTimestampMs" | "parentId"> {
    const { backups, clock, settings } = this.#ports;
    return {
      v: 1,
      id,
      projectId: context.projectId,
      userId: context.userId,
      name: request.name ?? null,
      description: request.description ?? null,
      metadata: request.metadata ?? {},
      status: "creating",
      failReason: null,
      volumeId: volume.id,
      snapshotId: request.snapshotId,
      sizeGib: volume.sizeGib,
      service: backupService,
      container: request.container ?? backups.defaultContainer,
      objectCount: 0,
      location: null,
      host: settings.host,
      availabilityZone: null, // as in Cinder, where only what is imported has one
      encryptionKeyId: null,
      restoreVolumeId: null,
      createdAtMs: clock.wallMs(),
      updatedAtMs: null,
    };
  }

  /** Of a snapshot, the volume itself is free meanwhile; writing it keeps others from beginning at the same instant. */
  #occupy(tx: Tx, volume: Volume, snapshot: Snapshot | undefined, jobId: string): void {
    if (snapshot !== undefined) {
      const occupied: Snapshot = { ...snapshot, status: "backing-up" };
      writeRecord(tx, snapshotKind, snapshot.id, occupied);
      return writeRecord(tx, volumeKind, volume.id, volume);
    }
    const updatedAtMs = this.#ports.clock.wallMs();
    const busy = { status: "backing-up", previousStatus: volume.status, jobId, updatedAtMs } as const;
    writeRecord(tx, volumeKind, volume.id, { ...volume, ...busy });
  }

  /** Those of the caller's project; the volume's record has been read before. */
  async #othersOf(context: RequestContext, volume: Volume): Promise<Backup[]> {
    await this.#ports.index.fresh();
    return [...this.#ports.index.backups.ofVolume(volume.id)].filter((other) => other.projectId === context.projectId);
  }

  async #readParent(tx: Tx, others: readonly Backup[], snapshot: Snapshot | undefined): Promise<Backup> {
    const chosen = chooseParent(others, snapshot);
    const parent = await readRecord(tx, backupKind, chosen.id);
    const present = chooseParent(parent === undefined ? [] : [parent], snapshot);
    writeRecord(tx, backupKind, present.id, present);
    return present;
  }

  /** After all others of the volume, whatever the clock says: the next one builds on the latest. */
  #nextTimeMs(others: readonly Backup[]): number {
    return others.reduce((latest, { dataTimestampMs }) => Math.max(latest, dataTimestampMs + 1), this.#ports.clock.wallMs());
  }

  /** So that the backup is the volume as it was before the answer. What is wrong with the cut is the job's to find. */
  async #awaitCut(id: string): Promise<void> {
    const { clock } = this.#ports;
    const untilMs = clock.monotonicMs() + cutMsMax;
    await this.#parts.create.cut(id, () => clock.monotonicMs() >= untilMs).catch(() => undefined);
  }
}
