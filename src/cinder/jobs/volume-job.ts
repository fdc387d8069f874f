// What all kinds of job that work on a volume have in common: whose the volume is, and what its owner is told of a failure.

import type { Tx } from "../../registry/atomic.ts";
import type { Volume } from "../model.ts";
import type { CinderPorts } from "../ports.ts";
import { readRecord, volumeKind } from "../records.ts";
import { type UserMessage, writeMessage } from "../user-messages.ts";
import type { Job } from "./job.ts";

/** Undefined when it is gone, or somebody else's business now. */
export async function volumeOfJob(tx: Tx, job: Job): Promise<Volume | undefined> {
  const volume = await readRecord(tx, volumeKind, job.resource.id);
  return volume?.jobId === job.id ? volume : undefined;
}

/** Adds the message of a job that came to nothing; `id` as JobKind.settle() has it. */
export function writeFailure(
  ports: CinderPorts,
  tx: Tx,
  id: string,
  job: Job,
  failure: Pick<UserMessage, "action" | "detail" | "projectId"> & { readonly reason: string },
): void {
  const { requestId, resource } = job;
  writeMessage(ports, tx, id, { ...failure, resourceType: "VOLUME", resourceId: resource.id, requestId });
}
