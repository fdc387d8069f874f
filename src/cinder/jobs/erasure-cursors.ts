// How far the undoing of jobs has come with their objects, in memory: an undo has no checkpoint, and to begin anew does no harm,
// only more work.

import type { BackupStep } from "../backups/backup-bytes.ts";
import type { JobData } from "./job.ts";

export class ErasureCursors {
  readonly #cursors = new Map<string, JobData>();

  async erase(jobId: string, step: (cursor: JobData) => Promise<BackupStep>): Promise<"more" | "done"> {
    const { cursor, isDone } = await step(this.#cursors.get(jobId) ?? {});
    if (isDone) this.#cursors.delete(jobId);
    else this.#cursors.set(jobId, cursor);
    return isDone ? "done" : "more";
  }
}
