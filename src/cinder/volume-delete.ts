// Deletes volumes. Alone it is one transaction: record, attachments left over, vDisk and quota go together. With its snapshots
// (cascade) it may be any number of records: the request leaves a job.
//
//   available | error ─── delete ──► gone
//                     └── cascade ──► deleting, jobId ──► gone   (jobs/volume-delete-cascade.ts)
//
// A job of another kind that works on the volume is cancelled, and its end waited for, before the volume goes.

import type { Tx } from "../registry/atomic.ts";
import { systemContext, type RequestContext } from "./context.ts";
import { invalid } from "./faults.ts";
import type { JobQueue } from "./jobs/job-queue.ts";
import type { VolumeDeleteCascade } from "./jobs/volume-delete-cascade.ts";
import type { Attachment, Volume } from "./model.ts";
import type { PolicyRule } from "./policy.ts";
import { readAttachments, readVolume, type CinderPorts } from "./ports.ts";
import { jobKind, readRecord, volumeKind, writeRecord } from "./records.ts";
import { checkDelete, deleteRefusal } from "./status.ts";
import { forgetVolume, removeVolume } from "./volume-removal.ts";

export interface DeleteOptions {
  readonly cascade: boolean;
  readonly force: boolean;
  /** Policy rules, all of which must allow it. */
  readonly rules: readonly PolicyRule[];
}

export interface DeletionJobs {
  readonly queue: JobQueue;
  readonly cascade: VolumeDeleteCascade;
}

type Outcome =
  | { readonly next: "gone"; readonly keyId: string | undefined }
  | { readonly next: "queued" }
  | { readonly next: "wait"; readonly jobId: string };

export class VolumeDeletion {
  readonly #ports: CinderPorts;
  readonly #jobs: DeletionJobs;

  constructor(ports: CinderPorts, jobs: DeletionJobs) {
    this.#ports = ports;
    this.#jobs = jobs;
  }

  /** Resolves when the volume is gone, or the job that deletes it is durable. */
  async delete(context: RequestContext, id: string, options: DeleteOptions): Promise<void> {
    for (;;) {
      const jobId = this.#ports.random.uuid();
      const outcome = await this.#ports.store.commit(context.projectId, (tx) => this.#delete(tx, context, id, options, jobId));
      if (outcome.next === "gone" && outcome.keyId === undefined) return;
      if (outcome.next === "gone") return this.#jobs.queue.wake();
      if (outcome.next === "queued") return this.#jobs.queue.wake();
      await this.#jobs.queue.giveWay(outcome.jobId, `the delete of volume ${id}`);
    }
  }

  async #delete(tx: Tx, context: RequestContext, id: string, options: DeleteOptions, jobId: string): Promise<Outcome> {
    const volume = await readVolume(tx, context, id);
    for (const rule of options.rules) this.#ports.policy.enforce(context, rule, volume);
    const attachments = await readAttachments(tx, volume);
    checkDelete(volume, attachments.some(isAttached), options);
    // Kept also when the delete comes to nothing: memory, bounded, and of use to the next one.
    if (volume.encryptionKeyId !== undefined) this.#ports.keys.vouch(volume.encryptionKeyId, context);
    const updatedAtMs = this.#ports.clock.wallMs();
    const present = volume.jobId === undefined ? undefined : await readRecord(tx, jobKind, volume.jobId);
    if (present !== undefined && present.phase !== "ended") {
      const deletes = present.kind === this.#jobs.cascade.name && present.phase === "work" && present.cancel === undefined;
      if (!deletes) return { next: "wait", jobId: present.id };
      writeRecord(tx, volumeKind, id, { ...volume, status: "deleting", updatedAtMs });
      return { next: "queued" };
    }
    if (volume.snapshotCount === 0) {
      await this.#ports.notices.volume(tx, context, volume.host === null ? "deleteUnplaced" : "delete", volume);
      await removeVolume(this.#ports, tx, volume, attachments, context.requestId);
      return { next: "gone", keyId: volume.encryptionKeyId };
    }
    await this.#checkSnapshots(volume, options.force);
    writeRecord(tx, volumeKind, id, { ...volume, status: "deleting", jobId, updatedAtMs });
    await this.#jobs.queue.enqueue(tx, this.#jobs.cascade, this.#jobs.cascade.request(volume, jobId, context.requestId));
    return { next: "queued" };
  }

  /** Gives a cascade that an older build left a job. */
  async adopt(id: string, projectId: string): Promise<void> {
    const jobId = this.#ports.random.uuid();
    await this.#ports.store.commit(projectId, async (tx) => {
      const volume = await readRecord(tx, volumeKind, id);
      if (volume?.intent === undefined) return;
      const { intent: _old, ...rest } = volume;
      writeRecord(tx, volumeKind, id, { ...rest, jobId });
      this.#jobs.queue.put(tx, this.#jobs.cascade, this.#jobs.cascade.request(volume, jobId, systemContext.requestId));
    });
    this.#jobs.queue.wake();
  }

  /** The volume's record was read by the transaction, and every change of its snapshots writes it: what is seen here holds. */
  async #checkSnapshots(volume: Volume, force: boolean): Promise<void> {
    await this.#ports.index.fresh();
    for (const snapshot of this.#ports.index.snapshots.ofVolume(volume.id)) {
      const settled = snapshot.status === "available" || snapshot.status === "error";
      const foreign = snapshot.projectId !== volume.projectId; // stayed behind in a transfer
      if (!settled || foreign || snapshot.groupSnapshotId !== null) throw deleteRefusal(force);
    }
  }

  /** Forgets the volume and keeps its vDisk; what forbids a delete forbids it. */
  async unmanage(context: RequestContext, id: string): Promise<void> {
    await this.#ports.store.commit(context.projectId, async (tx) => {
      const volume = await readVolume(tx, context, id);
      this.#ports.policy.enforce(context, "volume_extension:volume_unmanage", volume);
      const attachments = await readAttachments(tx, volume);
      checkDelete(volume, attachments.some(isAttached), { cascade: false, force: false });
      if (volume.encryptionKeyId !== undefined) throw invalid("Unmanaging encrypted volumes is not supported.");
      await this.#ports.notices.volume(tx, context, "unmanage", volume);
      await forgetVolume(this.#ports, tx, volume, attachments);
    });
  }
}

function isAttached(attachment: Attachment): boolean {
  return attachment.status === "attached";
}
