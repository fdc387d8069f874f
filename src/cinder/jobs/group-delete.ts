// The delete of a group with its volumes: some of them in each step, the group in the last.
//
//   group and volumes   deleting, jobId ──► some volumes less ──► ... ──► none left ──► gone
//                       └── cancelled ──► available, with the volumes that are left
//                       └── failed ──► error_deleting, and a message
//
// No volume of it has snapshots: the request refuses those, and nobody snapshots what is being deleted.

import type { Tx } from "../../registry/atomic.ts";
import { readMembers } from "../groups/group-records.ts";
import { removeGroup } from "../groups/group-removal.ts";
import { cinderLimits, type Group } from "../model.ts";
import { ownersContext } from "../notifications/message-context.ts";
import { readAttachments, type CinderPorts } from "../ports.ts";
import { groupKind, readRecord, volumeKind, writeRecord } from "../records.ts";
import { removeVolume } from "../volume-removal.ts";
import { groupOfJob, writeGroupFailure } from "./group-job.ts";
import type { JobAdvance, JobKind, NewJob } from "./job-kind.ts";
import type { Job, JobVerdict } from "./job.ts";

export class GroupDelete implements JobKind<void> {
  readonly name = "group-delete";
  readonly version = 1;
  readonly unit = "volumes";
  readonly runningMax = 4;
  readonly stepTimeoutMs = 600_000;
  readonly deadlineMs = 24 * 3600 * 1000;
  readonly #ports: CinderPorts;

  constructor(ports: CinderPorts) {
    this.#ports = ports;
  }

  /** `jobId`: also to be written into the group and its volumes, in the same transaction. */
  request({ id, projectId, volumeIds }: Group, jobId: string, requestId: string): NewJob {
    return { id: jobId, projectId, requestId, resource: { type: "group", id }, params: {}, total: volumeIds.length };
  }

  /** Nothing outside of the registry. */
  async work(): Promise<void> {}

  async advance(tx: Tx, job: Job): Promise<JobAdvance> {
    const group = await groupOfJob(tx, job);
    if (group === undefined) return { next: "done", done: job.progress.done };
    const taken = await this.#removeSome(tx, job, group);
    const rest = { ...group, volumeIds: group.volumeIds.slice(taken) };
    const done = job.progress.done + taken;
    if (rest.volumeIds.length === 0) {
      await removeGroup(this.#ports, tx, ownersContext(group, job.requestId), rest);
      return { next: "done", done };
    }
    writeRecord(tx, groupKind, group.id, rest);
    return { next: "more", checkpoint: {}, done };
  }

  /** How many: fewer, when much was left of attachments. */
  async #removeSome(tx: Tx, job: Job, group: Group): Promise<number> {
    let [taken, attachments] = [0, 0];
    for (const id of group.volumeIds.slice(0, cinderLimits.groupStepVolumes)) {
      const volume = await readRecord(tx, volumeKind, id);
      attachments += volume?.attachmentIds.length ?? 0;
      if (taken > 0 && attachments > cinderLimits.attachmentsPerVolumeMax) break;
      taken++;
      if (volume !== undefined) {
        await removeVolume(this.#ports, tx, volume, await readAttachments(tx, volume), job.requestId);
      }
    }
    return taken;
  }

  async settle(tx: Tx, job: Job, verdict: JobVerdict, messageId: string): Promise<void> {
    const group = await groupOfJob(tx, job);
    if (group === undefined) return;
    const isCancelled = verdict.outcome === "cancelled";
    const updatedAtMs = this.#ports.clock.wallMs();
    const left = isCancelled ? "available" : "error_deleting";
    for (const { jobId: _ended, ...volume } of await readMembers(tx, group)) {
      // An administrator's word stands.
      const status = volume.status === "deleting" ? left : volume.status;
      writeRecord(tx, volumeKind, volume.id, { ...volume, status, updatedAtMs });
    }
    const { jobId: _ended, ...free } = group;
    const status = group.status === "deleting" ? left : group.status;
    writeRecord(tx, groupKind, group.id, { ...free, status, updatedAtMs });
    if (!isCancelled) writeGroupFailure(this.#ports, tx, messageId, job, { action: "delete-group", reason: verdict.reason });
  }
}
