// The volumes of a group that is made of a group snapshot or of another group: clones of snapshots, some in each step.
//
//   group and volumes   creating, jobId ──► cuts are there ──► some clones ──► ... ──► all ──► available together
//                       └── cancelled, failed ──► error, and a message
//
// The checkpoint is the number of volumes that have their vDisk. Cuts of the copy's own (their ids are the new volumes') go in
// the last step, or when it comes to nothing; a volume without vDisk has no host then, and can be deleted.

import { AndironError } from "../../common/errors.ts";
import type { Tx } from "../../registry/atomic.ts";
import { invalidGroup } from "../faults.ts";
import { readMembers } from "../groups/group-records.ts";
import { cinderLimits, gibBytes, type Group, type Volume } from "../model.ts";
import { ownersContext } from "../notifications/message-context.ts";
import type { CinderPorts } from "../ports.ts";
import { groupKind, readRecord, volumeKind, writeRecord } from "../records.ts";
import { poolOfHost } from "../scheduler.ts";
import { vdiskName } from "../volume-create.ts";
import { groupOfJob, writeGroupFailure } from "./group-job.ts";
import type { JobAdvance, JobKind, JobRun, NewJob } from "./job-kind.ts";
import type { Job, JobVerdict } from "./job.ts";

export interface GroupCopy {
  /** Of the new volume. */
  readonly id: string;
  readonly snapshotId: string;
}

const cutLookMs = 50;

export class GroupFromSource implements JobKind<void> {
  readonly name = "group-from-source";
  readonly version = 1;
  readonly unit = "volumes";
  readonly runningMax = 4;
  readonly stepTimeoutMs = 600_000;
  readonly deadlineMs = 24 * 3600 * 1000;
  readonly #ports: CinderPorts;

  constructor(ports: CinderPorts) {
    this.#ports = ports;
  }

  /** The group bears the job's id, and so do its volumes. `isOwn`: the snapshots are cuts of the copy's own. */
  request(group: Group, copies: readonly GroupCopy[], isOwn: boolean, requestId: string): NewJob {
    const { id, projectId, jobId = "" } = group;
    const params = { copies, isOwn };
    return { id: jobId, projectId, requestId, resource: { type: "group", id }, params, total: copies.length };
  }

  /** Waits for the cuts. */
  async work(job: Job, run: JobRun): Promise<void> {
    if (madeBy(job) > 0 || !isOwnOf(job)) return;
    for (const { snapshotId } of copiesOf(job)) {
      for (;;) {
        const cut = await this.#ports.control.snapshot(snapshotId);
        if (cut?.state === "ready") break;
        if (cut?.state !== "pending") throw invalidGroup(`a volume could not be cut: ${cut?.message ?? "its snapshot is gone"}`);
        run.signal.throwIfAborted();
        await this.#ports.clock.sleep(cutLookMs);
      }
    }
  }

  async advance(tx: Tx, job: Job): Promise<JobAdvance> {
    const group = await groupOfJob(tx, job);
    if (group === undefined) {
      await this.#dropCuts(tx, job);
      return { next: "done", done: job.progress.done };
    }
    const made = madeBy(job);
    const copies = copiesOf(job);
    const batch = copies.slice(made, made + cinderLimits.groupStepVolumes);
    for (const copy of batch) await this.#clone(tx, group, copy);
    const done = made + batch.length;
    if (done < copies.length) return { next: "more", checkpoint: { made: done }, done };
    await this.#dropCuts(tx, job);
    const nowMs = this.#ports.clock.wallMs();
    for (const { jobId: _ended, ...volume } of await readMembers(tx, group)) {
      writeRecord(tx, volumeKind, volume.id, {
        ...volume,
        ...endOf(volume, "available"),
        launchedAtMs: nowMs,
        updatedAtMs: nowMs,
      });
    }
    const { jobId: _ended, ...free } = group;
    const ready: Group = { ...free, ...endOf(group, "available"), updatedAtMs: nowMs };
    writeRecord(tx, groupKind, group.id, ready);
    await this.#ports.notices.group(tx, ownersContext(group, job.requestId), "copyEnds", ready);
    return { next: "done", done };
  }

  async settle(tx: Tx, job: Job, verdict: JobVerdict, messageId: string): Promise<void> {
    await this.#dropCuts(tx, job);
    const group = await groupOfJob(tx, job);
    if (group === undefined) return;
    const updatedAtMs = this.#ports.clock.wallMs();
    const made = new Set(
      copiesOf(job)
        .slice(0, madeBy(job))
        .map((copy) => copy.id),
    );
    for (const { jobId: _ended, ...volume } of await readMembers(tx, group)) {
      const host = made.has(volume.id) ? volume.host : null;
      writeRecord(tx, volumeKind, volume.id, { ...volume, ...endOf(volume, "error"), host, updatedAtMs });
    }
    const { jobId: _ended, ...free } = group;
    writeRecord(tx, groupKind, group.id, { ...free, ...endOf(group, "error"), updatedAtMs });
    writeGroupFailure(this.#ports, tx, messageId, job, { action: "create-volume", reason: verdict.reason });
  }

  async #clone(tx: Tx, group: Group, { id, snapshotId }: GroupCopy): Promise<void> {
    const volume = await readRecord(tx, volumeKind, id);
    if (volume === undefined) throw invalidGroup(`volume ${id} is gone`);
    await this.#ports.control.createVdisk(tx, {
      id,
      pool: poolOfHost(group.host ?? ""),
      name: vdiskName(id, volume.name),
      sizeBytes: volume.sizeGib * gibBytes,
      source: { kind: "snapshot", snapshotId },
    });
  }

  async #dropCuts(tx: Tx, job: Job): Promise<void> {
    if (!isOwnOf(job)) return;
    for (const { snapshotId } of copiesOf(job)) {
      await this.#ports.control.deleteSnapshot(tx, snapshotId).catch((error: unknown) => {
        if (!(error instanceof AndironError) || error.code !== "snapshot_not_found") throw error;
      });
    }
  }
}

/** An administrator's word stands. */
function endOf<S extends Volume["status"] | Group["status"]>(
  { status }: { readonly status: S },
  end: "available" | "error",
): { readonly status: S | "available" | "error" } {
  return { status: status === "creating" ? end : status };
}

function copiesOf(job: Job): readonly GroupCopy[] {
  return job.params["copies"] as readonly GroupCopy[];
}

function isOwnOf(job: Job): boolean {
  return job.params["isOwn"] === true;
}

function madeBy(job: Job): number {
  return Number(job.checkpoint["made"] ?? 0);
}
