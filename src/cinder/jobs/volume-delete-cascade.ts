// The delete of a volume with its snapshots, of which there may be any number: some of them in each step, the volume in the last.
//
//   volume   deleting, jobId ──► some snapshots less ──► ... ──► none left ──► gone
//                            └── cancelled ──► available       └── failed ──► error_deleting, and a message
//
// Each step finds out from the records what is left. What changes a volume's snapshots writes its record, which the step reads:
// what it sees in the index, fresh since that reading, holds when it commits.

import type { Tx } from "../../registry/atomic.ts";
import { systemContext } from "../context.ts";
import { cinderLimits, type Volume } from "../model.ts";
import { ownersContext } from "../notifications/message-context.ts";
import { readAttachments, readSnapshot, type CinderPorts } from "../ports.ts";
import { deleteRecord, snapshotKind, volumeKind, writeRecord } from "../records.ts";
import { snapshotCharge } from "../snapshot-records.ts";
import { removeVolume } from "../volume-removal.ts";
import type { JobAdvance, JobKind, NewJob } from "./job-kind.ts";
import type { Job, JobVerdict } from "./job.ts";
import { volumeOfJob, writeFailure } from "./volume-job.ts";

export class VolumeDeleteCascade implements JobKind<void> {
  readonly name = "volume-delete-cascade";
  readonly version = 1;
  readonly unit = "snapshots";
  readonly runningMax = 4;
  readonly stepTimeoutMs = 600_000;
  readonly deadlineMs = 24 * 3600 * 1000;
  readonly #ports: CinderPorts;

  constructor(ports: CinderPorts) {
    this.#ports = ports;
  }

  /** `jobId`: also to be written into the volume, in the same transaction. */
  request(volume: Volume, jobId: string, requestId: string): NewJob {
    const { id, projectId, snapshotCount } = volume;
    return { id: jobId, projectId, requestId, resource: { type: "volume", id }, params: {}, total: snapshotCount };
  }

  /** Nothing outside of the registry. */
  async work(): Promise<void> {}

  async advance(tx: Tx, job: Job): Promise<JobAdvance> {
    const volume = await volumeOfJob(tx, job);
    if (volume === undefined) return { next: "done", done: job.progress.done };
    await this.#ports.index.fresh();
    const listed = [...this.#ports.index.snapshots.ofVolume(volume.id)];
    const batch = listed.slice(0, cinderLimits.cascadeStepSnapshots);
    for (const { id } of batch) {
      const snapshot = await readSnapshot(tx, systemContext, id);
      await this.#ports.notices.snapshot(tx, ownersContext(volume, job.requestId), "delete", snapshot);
      await this.#ports.control.deleteSnapshot(tx, id);
      deleteRecord(tx, snapshotKind, id);
      if (snapshot.consumesQuota) await this.#ports.ledger.release(tx, snapshotCharge(this.#ports.settings, snapshot));
    }
    const done = job.progress.done + batch.length;
    const left = listed.length - batch.length;
    if (left === 0) {
      await this.#ports.notices.volume(tx, ownersContext(volume, job.requestId), "delete", volume);
      await removeVolume(this.#ports, tx, volume, await readAttachments(tx, volume), job.requestId);
      return { next: "done", done };
    }
    writeRecord(tx, volumeKind, volume.id, { ...volume, snapshotCount: left });
    return { next: "more", checkpoint: {}, done, total: done + left };
  }

  async settle(tx: Tx, job: Job, verdict: JobVerdict, messageId: string): Promise<void> {
    const volume = await volumeOfJob(tx, job);
    if (volume === undefined) return;
    const { jobId: _ended, ...free } = volume;
    const isCancelled = verdict.outcome === "cancelled";
    // An administrator's word stands.
    const status = volume.status === "deleting" ? (isCancelled ? "available" : "error_deleting") : volume.status;
    writeRecord(tx, volumeKind, volume.id, { ...free, status, updatedAtMs: this.#ports.clock.wallMs() });
    if (isCancelled) return;
    writeFailure(this.#ports, tx, messageId, job, {
      action: "delete-snapshot",
      detail: "unknown",
      projectId: volume.projectId,
      reason: verdict.reason,
    });
  }
}
