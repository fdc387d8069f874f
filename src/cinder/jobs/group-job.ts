// What the kinds of job that work on a group have in common.

import type { Tx } from "../../registry/atomic.ts";
import type { Group } from "../model.ts";
import type { CinderPorts } from "../ports.ts";
import { groupKind, readRecord } from "../records.ts";
import { type UserMessage, writeMessage } from "../user-messages.ts";
import type { Job } from "./job.ts";

/** Undefined when it is gone, or somebody else's business now. */
export async function groupOfJob(tx: Tx, job: Job): Promise<Group | undefined> {
  const group = await readRecord(tx, groupKind, job.resource.id);
  return group?.jobId === job.id ? group : undefined;
}

/** Adds the message of a job that came to nothing; `id` as JobKind.settle() has it. */
export function writeGroupFailure(
  ports: CinderPorts,
  tx: Tx,
  id: string,
  job: Job,
  failure: Pick<UserMessage, "action"> & { readonly reason: string },
): void {
  const { projectId, requestId, resource } = job;
  const what = { detail: "unknown", resourceType: "VOLUME_GROUP", resourceId: resource.id } as const;
  writeMessage(ports, tx, id, { ...failure, ...what, projectId, requestId });
}
