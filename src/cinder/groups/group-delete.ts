// Deletes groups. Without volumes it is one transaction; with them the request leaves a job that deletes some in each step.
//
//   available | error ── delete ──► gone                                  (no volumes)
//            any ── delete with volumes ──► deleting, jobId ──► gone       (jobs/group-delete.ts)
//
// Jobs of another kind that work on the group or on one of its volumes are cancelled, and their end waited for.

import type { Tx } from "../../registry/atomic.ts";
import type { RequestContext } from "../context.ts";
import { isSourceOfGroup, readGroup, readMembers } from "./group-records.ts";
import { checkGroupDelete, checkMemberDelete, isSourceRefusal } from "./group-status.ts";
import type { GroupDelete } from "../jobs/group-delete.ts";
import type { JobQueue } from "../jobs/job-queue.ts";
import type { Job } from "../jobs/job.ts";
import type { Group, Volume } from "../model.ts";
import type { CinderPorts } from "../ports.ts";
import { groupKind, jobKind, readRecord, volumeKind, writeRecord } from "../records.ts";
import { removeGroup } from "./group-removal.ts";

export interface GroupDeletionJobs {
  readonly queue: JobQueue;
  readonly groupDelete: GroupDelete;
}

type Outcome = { readonly next: "gone" } | { readonly next: "queued" } | { readonly next: "wait"; readonly jobId: string };

export class GroupDeletion {
  readonly #ports: CinderPorts;
  readonly #jobs: GroupDeletionJobs;

  constructor(ports: CinderPorts, jobs: GroupDeletionJobs) {
    this.#ports = ports;
    this.#jobs = jobs;
  }

  /** Resolves when the group is gone, or the job that deletes it is durable. `check` may refuse it. */
  async delete(context: RequestContext, id: string, withVolumes: boolean, check: (group: Group) => void): Promise<void> {
    for (;;) {
      const jobId = this.#ports.random.uuid();
      const outcome = await this.#ports.store.commit(context.projectId, async (tx) => {
        const group = await readGroup(tx, context, id);
        this.#ports.policy.enforce(context, "group:delete", group);
        check(group);
        return this.#delete(tx, context, group, withVolumes, jobId);
      });
      if (outcome.next === "gone") return;
      if (outcome.next === "queued") return this.#jobs.queue.wake();
      await this.#jobs.queue.giveWay(outcome.jobId, `the delete of group ${id}`);
    }
  }

  async #delete(tx: Tx, context: RequestContext, group: Group, withVolumes: boolean, jobId: string): Promise<Outcome> {
    if (group.host !== null) checkGroupDelete(group, withVolumes);
    const present = await workingJob(tx, group);
    if (present !== undefined) {
      const deletes = present.kind === this.#jobs.groupDelete.name && present.phase === "work" && present.cancel === undefined;
      return deletes ? { next: "queued" } : { next: "wait", jobId: present.id };
    }
    // What is made of it writes its record, which was read here: what is seen now holds.
    await this.#ports.index.fresh();
    if (isSourceOfGroup(this.#ports, group.id)) throw isSourceRefusal(group);
    const volumes = await readMembers(tx, group);
    for (const volume of volumes) {
      checkMemberDelete(group, volume);
      if (volume.encryptionKeyId !== undefined) this.#ports.keys.vouch(volume.encryptionKeyId, context);
      if (volume.encryptionKeyId !== undefined) this.#ports.keys.vouch(volume.encryptionKeyId, context);
      const busy = await workingJob(tx, volume);
      if (busy !== undefined) return { next: "wait", jobId: busy.id };
    }
    if (volumes.length === 0) {
      await this.#ports.notices.group(tx, context, "deleteBegins", group);
      await removeGroup(this.#ports, tx, context, group);
      return { next: "gone" };
    }
    const deleting = { status: "deleting", jobId, updatedAtMs: this.#ports.clock.wallMs() } as const;
    for (const volume of volumes) writeRecord(tx, volumeKind, volume.id, { ...volume, ...deleting });
    writeRecord(tx, groupKind, group.id, { ...group, ...deleting });
    await this.#ports.notices.group(tx, context, "deleteBegins", group);
    const { groupDelete, queue } = this.#jobs;
    await queue.enqueue(tx, groupDelete, groupDelete.request(group, jobId, context.requestId));
    return { next: "queued" };
  }
}

async function workingJob(tx: Tx, { jobId }: Pick<Group | Volume, "jobId">): Promise<Job | undefined> {
  const job = jobId === undefined ? undefined : await readRecord(tx, jobKind, jobId);
  return job === undefined || job.phase === "ended" ? undefined : job;
}
