// The bytes of an image into a volume that was made for it.
//
//   volume   creating ──► downloading, jobId ──► some of it ──► ... ──► all of it, checked ──► available, bootable
//                                                └── cancelled, failed ──► error, and a message
//
// The checkpoint is the offset up to which the image is durable in the volume. What the bytes are is not known here.

import type { Tx } from "../../registry/atomic.ts";
import type { ImageCache } from "../image-cache.ts";
import { type ImageToCopy, imageStepMsMax } from "../images.ts";
import { gibBytes, type Volume } from "../model.ts";
import { ownersContext } from "../notifications/message-context.ts";
import type { CinderPorts } from "../ports.ts";
import { volumeKind, writeRecord } from "../records.ts";
import { poolOfHost } from "../scheduler.ts";
import { ClaimLost } from "./job-claims.ts";
import type { JobAdvance, JobKind, JobRun, NewJob } from "./job-kind.ts";
import type { Job, JobVerdict } from "./job.ts";
import { type Filled, VolumeFilling, detailOf, imageOf, verifiedMetadata } from "./volume-filling.ts";
import { volumeOfJob, writeFailure } from "./volume-job.ts";

export class VolumeFromImage implements JobKind<Filled> {
  readonly name = "volume-from-image";
  readonly version = 1;
  readonly unit = "bytes";
  readonly runningMax = 4;
  readonly stepTimeoutMs = imageStepMsMax;
  readonly deadlineMs = 24 * 3600 * 1000;
  readonly #ports: CinderPorts;
  readonly #filling: VolumeFilling;
  readonly #cache: ImageCache;

  constructor(ports: CinderPorts, cache: ImageCache) {
    this.#ports = ports;
    this.#cache = cache;
    this.#filling = new VolumeFilling(ports, { overwrites: false, begin: (tx, volume) => this.#begin(tx, volume) });
  }

  /** `jobId`: also to be written into the volume, in the same transaction. */
  request(volume: Volume, image: ImageToCopy, jobId: string, requestId: string): NewJob {
    const { id, projectId } = volume;
    return { id: jobId, projectId, requestId, resource: { type: "volume", id }, params: { image }, total: image.sizeBytes };
  }

  async work(job: Job, run: JobRun): Promise<Filled> {
    const progress = await this.#filling.step(job, run);
    if (progress?.isDone === true) await this.#cutForCache(job, imageOf(job));
    return progress;
  }

  async advance(tx: Tx, job: Job, effect: Filled): Promise<JobAdvance> {
    const volume = await volumeOfJob(tx, job);
    if (volume === undefined || effect === undefined) {
      await this.#cache.drop(tx, job);
      return { next: "done", done: job.progress.done };
    }
    if (!effect.isDone) return { next: "more", checkpoint: { offset: effect.offset }, done: effect.offset };
    const { jobId: _ended, ...free } = volume;
    const isOurs = volume.status === "downloading";
    await this.#cache.keep(tx, job, volume, imageOf(job));
    await this.#growToSize(tx, volume);
    const nowMs = this.#ports.clock.wallMs();
    const status = isOurs ? "available" : volume.status;
    const imageMetadata = verifiedMetadata(job, volume.imageMetadata);
    const ready: Volume = { ...free, status, bootable: true, imageMetadata, launchedAtMs: nowMs, updatedAtMs: nowMs };
    writeRecord(tx, volumeKind, volume.id, ready);
    await this.#ports.notices.volume(tx, ownersContext(volume, job.requestId), "createEnds", ready);
    return { next: "done" };
  }

  async undo(job: Job): Promise<"done"> {
    await this.#filling.end(job);
    return "done";
  }

  async settle(tx: Tx, job: Job, verdict: JobVerdict, messageId: string): Promise<void> {
    const volume = await volumeOfJob(tx, job);
    await this.#cache.drop(tx, job);
    if (volume === undefined) return;
    await this.#growToSize(tx, volume);
    const { jobId: _ended, ...free } = volume;
    // An administrator's word stands.
    const isOurs = volume.status === "creating" || volume.status === "downloading";
    writeRecord(tx, volumeKind, volume.id, {
      ...free,
      status: isOurs ? "error" : volume.status,
      updatedAtMs: this.#ports.clock.wallMs(),
    });
    writeFailure(this.#ports, tx, messageId, job, {
      action: "copy-image-to-volume",
      detail: detailOf(job, verdict),
      projectId: volume.projectId,
      reason: verdict.reason,
    });
  }

  #begin(tx: Tx, volume: Volume): void {
    if (volume.status !== "creating") return;
    writeRecord(tx, volumeKind, volume.id, { ...volume, status: "downloading", updatedAtMs: this.#ports.clock.wallMs() });
  }

  /** Without an entry of the cache the volume is as good. */
  async #cutForCache(job: Job, image: ImageToCopy): Promise<void> {
    const { host, encryptionKeyId } = this.#ports.index.volumes.get(job.resource.id) ?? {};
    try {
      if (host != null && encryptionKeyId === undefined) await this.#cache.cut(job, poolOfHost(host), image.id);
    } catch (error) {
      if (error instanceof ClaimLost) throw error;
      this.#ports.onTrouble(`image ${image.id} could not be kept in the cache`, error);
    }
  }

  /** It began with the image's size when the image was for the cache too. */
  async #growToSize(tx: Tx, { id, sizeGib }: Volume): Promise<void> {
    const disk = await this.#ports.control.vdisk(id);
    if (disk !== undefined && disk.sizeBytes < sizeGib * gibBytes)
      await this.#ports.control.growVdisk(tx, id, sizeGib * gibBytes);
  }
}
