// The bytes of an image over those of a volume that exists (os-reimage).
//
//   volume   available, error, reserved ──► downloading, jobId ──► some of it ──► ... ──► all of it, checked
//                                                  │                                        │
//                                                  │      as it was; bootable, the image's metadata ──► (reserved) Nova is told
//                                                  └── cancelled, failed ──► error, and a message
//
// - The checkpoint is the offset up to which the image is durable in the volume; after the last byte it says that only Nova is to
//   be told. Nova waits for that: it comes after the transaction that gives the volume back, and is tried again as a step is.
// - A volume in `error` stays there, as in Cinder: the bytes are new, what was wrong with it is an operator's to say.

import type { Tx } from "../../registry/atomic.ts";
import { type ImageToCopy, imageStepMsMax } from "../images.ts";
import type { Metadata, Volume } from "../model.ts";
import { ownersContext } from "../notifications/message-context.ts";
import { readAttachments, type CinderPorts } from "../ports.ts";
import { volumeKind, writeRecord } from "../records.ts";
import { statusByAttachments } from "../status.ts";
import type { JobAdvance, JobKind, JobRun, NewJob } from "./job-kind.ts";
import type { Job, JobVerdict } from "./job.ts";
import { type Filled, VolumeFilling, detailOf, verifiedMetadata } from "./volume-filling.ts";
import { volumeOfJob, writeFailure } from "./volume-job.ts";

export interface ReimageRequest {
  readonly image: ImageToCopy;
  readonly imageMetadata: Metadata;
  readonly jobId: string;
  readonly requestId: string;
}

type Effect = Filled | { readonly told: true };

export class VolumeReimage implements JobKind<Effect> {
  readonly name = "volume-reimage";
  readonly version = 1;
  readonly unit = "bytes";
  readonly runningMax = 4;
  readonly stepTimeoutMs = imageStepMsMax;
  readonly deadlineMs = 24 * 3600 * 1000;
  readonly #ports: CinderPorts;
  readonly #filling: VolumeFilling;

  constructor(ports: CinderPorts) {
    this.#ports = ports;
    this.#filling = new VolumeFilling(ports, { overwrites: true });
  }

  /** `jobId`: also to be written into the volume, in the same transaction. */
  request({ id, projectId }: Volume, { image, imageMetadata, jobId, requestId }: ReimageRequest): NewJob {
    const params = { image, imageMetadata };
    return { id: jobId, projectId, requestId, resource: { type: "volume", id }, params, total: image.sizeBytes };
  }

  async work(job: Job, run: JobRun): Promise<Effect> {
    if (!isFilled(job)) return this.#filling.step(job, run);
    const volume = this.#ports.index.volumes.get(job.resource.id);
    const servers = job.checkpoint["servers"] as readonly string[];
    if (volume?.jobId === job.id) {
      await this.#ports.servers.volumeReimaged(ownersContext(volume, job.requestId), servers, volume.id);
    }
    return { told: true };
  }

  async advance(tx: Tx, job: Job, effect: Effect): Promise<JobAdvance> {
    const volume = await volumeOfJob(tx, job);
    if (volume === undefined || effect === undefined) return { next: "done", done: job.progress.done };
    if ("told" in effect) {
      await this.#free(tx, volume);
      return { next: "done" };
    }
    if (!effect.isDone) return { next: "more", checkpoint: { offset: effect.offset }, done: effect.offset };
    const ready = await this.#fill(tx, job, volume);
    const servers = ready.status === "reserved" ? await serversOf(tx, ready) : [];
    if (servers.length > 0) {
      writeRecord(tx, volumeKind, ready.id, ready);
      const done = job.progress.total ?? 0;
      // A job that moved no byte in its last step has moved all the same: the next step is another one.
      return { next: "more", checkpoint: { servers }, done: Math.max(done, job.progress.done + 1) };
    }
    await this.#free(tx, ready);
    return { next: "done" };
  }

  async undo(job: Job): Promise<"done"> {
    if (!isFilled(job)) await this.#filling.end(job);
    return "done";
  }

  async settle(tx: Tx, job: Job, verdict: JobVerdict, messageId: string): Promise<void> {
    const volume = await volumeOfJob(tx, job);
    if (volume === undefined) return;
    const isOurs = volume.status === "downloading";
    await this.#free(tx, isOurs ? { ...volume, previousStatus: volume.status, status: "error" } : volume);
    writeFailure(this.#ports, tx, messageId, job, {
      action: "reimage-volume",
      detail: isFilled(job) ? "reimage-failed" : detailOf(job, verdict),
      projectId: volume.projectId,
      reason: verdict.reason,
    });
  }

  /** The volume as it is with the image in it; what an administrator or an attachment made of it meanwhile stands. */
  async #fill(tx: Tx, job: Job, volume: Volume): Promise<Volume> {
    const imageMetadata = verifiedMetadata(job, job.params["imageMetadata"] as Metadata);
    const filled: Volume = { ...volume, bootable: true, imageMetadata };
    if (volume.status !== "downloading") return filled;
    if (volume.previousStatus === "error") return { ...filled, status: "error" };
    return { ...filled, ...statusByAttachments(await readAttachments(tx, volume)) };
  }

  /** A volume that waited for Nova is by then what its attachments say. */
  async #free(tx: Tx, volume: Volume): Promise<void> {
    const { jobId: _ended, ...free } = volume;
    const status = volume.status === "reserved" ? statusByAttachments(await readAttachments(tx, volume)) : undefined;
    writeRecord(tx, volumeKind, volume.id, { ...free, ...status, updatedAtMs: this.#ports.clock.wallMs() });
  }
}

function isFilled(job: Job): boolean {
  return job.checkpoint["servers"] !== undefined;
}

async function serversOf(tx: Tx, volume: Volume): Promise<string[]> {
  return (await readAttachments(tx, volume)).flatMap(({ instanceId }) => instanceId ?? []);
}
