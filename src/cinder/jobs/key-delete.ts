// The delete of a key that no volume has any more. It comes with the transaction after which nobody has it, bears its id, and is
// tried for days: a key manager that is away is asked again, one that refuses ends it, and the key stays.

import { AndironError } from "../../common/errors.ts";
import type { CinderPorts } from "../ports.ts";
import type { JobAdvance, JobKind, NewJob } from "./job-kind.ts";
import type { Job } from "./job.ts";

export const keyDeletionKind = {
  name: "key-delete",
  version: 1,
  unit: "keys",
  deadlineMs: 7 * 24 * 3600 * 1000,
} as const;

export function keyDeletion(keyId: string, projectId: string, requestId: string): NewJob {
  return { id: keyId, projectId, requestId, resource: { type: "key", id: keyId }, params: {}, total: 1 };
}

export class KeyDelete implements JobKind<void> {
  readonly name = keyDeletionKind.name;
  readonly version = keyDeletionKind.version;
  readonly unit = keyDeletionKind.unit;
  readonly deadlineMs = keyDeletionKind.deadlineMs;
  readonly runningMax = 4;
  readonly stepTimeoutMs = 300_000;
  /** Only its deadline ends it. */
  readonly triesMax = Number.MAX_SAFE_INTEGER;
  readonly #ports: CinderPorts;

  constructor(ports: CinderPorts) {
    this.#ports = ports;
  }

  async work({ id, requestId, resource }: Job): Promise<void> {
    await this.#ports.keys.delete({ jobId: id, requestId, keyId: resource.id });
    this.#ports.keys.forget(id);
  }

  async advance(): Promise<JobAdvance> {
    return { next: "done", done: 1 };
  }

  async undo({ id, verdict }: Job): Promise<"done"> {
    this.#ports.keys.forget(id);
    const error = new AndironError("key_refused", verdict?.reason ?? "");
    this.#ports.onTrouble(`key ${id}, which no volume has any more, stays in the key manager`, error);
    return "done";
  }

  async settle(): Promise<void> {}
}
