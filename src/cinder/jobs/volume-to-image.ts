// The bytes of a volume into an image that the request made in Glance. What is uploaded is a clone of the volume that the request
// made in its transaction: the image is the volume at that one instant, whoever goes on writing. The clone is a vDisk under the
// job's id; nobody sees it, no quota has it, and the transaction that ends the job deletes it.
//
//   volume   available | in-use ──► uploading, jobId ──► some of it sent ──► ... ──► image active ──► available | in-use
//                                                   └── cancelled, failed ──► image deleted ──► the same, and a message
//
// Nothing can be gone on with after a claim is lost: the next one sends all of it again, or finds that the image has its bytes.

import { AndironError } from "../../common/errors.ts";
import type { Tx } from "../../registry/atomic.ts";
import { type UploadProgress, type UploadTask, imageStepMsMax } from "../images.ts";
import { gibBytes, type Volume } from "../model.ts";
import { readAttachments, type CinderPorts } from "../ports.ts";
import { jobKind, readRecord, volumeKind, writeRecord } from "../records.ts";
import { statusByAttachments } from "../status.ts";
import { JobExports } from "./job-exports.ts";
import type { JobAdvance, JobKind, JobRun, NewJob } from "./job-kind.ts";
import { cancelJob } from "./job-queue.ts";
import type { Job, JobVerdict } from "./job.ts";
import { volumeOfJob, writeFailure } from "./volume-job.ts";

const cutLookMs = 50;

/** What a step came to; undefined: the volume is gone, or somebody else's business now. */
type Uploaded = UploadProgress | undefined;

export class VolumeToImage implements JobKind<Uploaded> {
  readonly name = "volume-to-image";
  readonly version = 1;
  readonly unit = "bytes";
  readonly runningMax = 4;
  readonly stepTimeoutMs = imageStepMsMax;
  readonly deadlineMs = 24 * 3600 * 1000;
  readonly #ports: CinderPorts;
  readonly #exports: JobExports;

  constructor(ports: CinderPorts) {
    this.#ports = ports;
    this.#exports = new JobExports(ports);
  }

  /** Makes the clone too. `jobId`: also to be written into the volume, in the same transaction. */
  async request(tx: Tx, volume: Volume, pool: string, image: UploadTask["image"], ids: RequestIds): Promise<NewJob> {
    const { jobId, requestId } = ids;
    const sizeBytes = volume.sizeGib * gibBytes;
    const source = { kind: "vdisk", vdiskId: volume.id } as const;
    await this.#ports.control.createVdisk(tx, { id: jobId, pool, name: `upload-${jobId}`, sizeBytes, source });
    return {
      id: jobId,
      projectId: volume.projectId,
      requestId,
      resource: { type: "volume", id: volume.id },
      params: { image },
      total: image.diskFormat === "raw" ? sizeBytes : null,
    };
  }

  async work(job: Job, run: JobRun): Promise<Uploaded> {
    const trouble = await this.cut(job.id, () => run.shouldYield());
    if (trouble !== undefined) throw trouble;
    const [exportName] =
      (await this.#exports.open(job, async (tx) => {
        return (await volumeOfJob(tx, job)) === undefined ? undefined : [{ vdiskId: job.id, readOnly: true }];
      })) ?? [];
    if (exportName === undefined) return undefined;
    const progress = await this.#ports.images.upload({ ...taskOf(job), exportName, sent: job.progress.done }, run);
    if (progress.isDone) await this.#close(job);
    return progress;
  }

  async advance(tx: Tx, job: Job, effect: Uploaded): Promise<JobAdvance> {
    if (effect !== undefined && !effect.isDone) return { next: "more", checkpoint: {}, done: effect.sent };
    await this.#end(tx, job);
    return effect === undefined ? { next: "done", done: job.progress.done } : { next: "done" };
  }

  async undo(job: Job): Promise<"done"> {
    await this.#ports.images.discard(taskOf(job));
    await this.#close(job);
    return "done";
  }

  async settle(tx: Tx, job: Job, verdict: JobVerdict, messageId: string): Promise<void> {
    const volume = await this.#end(tx, job);
    if (volume === undefined) return;
    writeFailure(this.#ports, tx, messageId, job, {
      action: "copy-volume-to-image",
      detail: "failed-to-upload",
      projectId: volume.projectId,
      reason: verdict.reason,
    });
  }

  /**
   * Its request has come to nothing: the volume is free at once, and the job is left to take back image and clone, unless it has
   * ended. Answers the job as it was.
   */
  async giveUp(tx: Tx, jobId: string): Promise<Job | undefined> {
    const job = await readRecord(tx, jobKind, jobId);
    if (job === undefined) return undefined;
    await this.#free(tx, job);
    await cancelJob(tx, jobId, "its request", this.#ports.clock.wallMs());
    return job;
  }

  async #end(tx: Tx, job: Job): Promise<Volume | undefined> {
    if ((await this.#ports.control.vdisk(job.id)) !== undefined) await this.#ports.control.deleteVdisk(tx, job.id);
    return this.#free(tx, job);
  }

  /** The volume is what its attachments say; an administrator's word stands. Undefined when it is not the job's. */
  async #free(tx: Tx, job: Job): Promise<Volume | undefined> {
    const volume = await volumeOfJob(tx, job);
    if (volume === undefined) return undefined;
    const { jobId: _ended, ...free } = volume;
    const isOurs = volume.status === "uploading";
    const { status } = isOurs ? statusByAttachments(await readAttachments(tx, volume)) : volume;
    writeRecord(tx, volumeKind, volume.id, { ...free, status, updatedAtMs: this.#ports.clock.wallMs() });
    return volume;
  }

  /**
   * Resolves when the clone is there, with what is wrong with it otherwise. Of a volume in use it is cut by the router that has
   * it, in a moment: what is written after that is not in the image.
   */
  async cut(jobId: string, shouldYield: () => boolean): Promise<AndironError | undefined> {
    for (;;) {
      const clone = await this.#ports.control.vdisk(jobId);
      if (clone?.state === "ready") return undefined;
      if (clone?.state !== "pending") {
        const why = clone?.message ?? "it is gone";
        return new AndironError("vdisk_not_found", `the copy of the volume cannot be had: ${why}`);
      }
      if (shouldYield()) return new AndironError("owner_unreachable", "the volume's router does not make the copy");
      await this.#ports.clock.sleep(cutLookMs);
    }
  }

  async #close(job: Job): Promise<void> {
    await this.#ports.images.endUpload(job.id);
    await this.#exports.close(job);
  }
}

interface RequestIds {
  readonly jobId: string;
  readonly requestId: string;
}

function taskOf(job: Job): Pick<UploadTask, "jobId" | "generation" | "requestId" | "image"> {
  const image = job.params["image"] as UploadTask["image"];
  return { jobId: job.id, generation: job.generation, requestId: job.requestId, image };
}
