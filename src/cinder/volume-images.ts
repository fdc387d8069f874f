// Images of volumes, and images into volumes that exist.
//
// - Of a volume: the request makes an image without bytes in Glance, in the caller's name; one transaction then makes the volume
//   `uploading` and leaves the job that fills the image (jobs/volume-to-image.ts). An image whose transaction came to nothing is
//   taken away again.
// - Into a volume: one transaction makes it `downloading` and leaves the job that fills it anew (jobs/volume-reimage.ts).

import { AndironError } from "../common/errors.ts";
import type { RequestContext } from "./context.ts";
import { type CinderFault, invalid, invalidVolume } from "./faults.ts";
import { checkImage, findImage, imageMetadataOf, uploadedProperties } from "./image-rules.ts";
import type { EmptyImage, NewImage } from "./images.ts";
import type { JobQueue } from "./jobs/job-queue.ts";
import type { VolumeReimage } from "./jobs/volume-reimage.ts";
import type { VolumeToImage } from "./jobs/volume-to-image.ts";
import type { Volume } from "./model.ts";
import { ownTarget } from "./policy.ts";
import { findVolume, readVolume, type CinderPorts } from "./ports.ts";
import { volumeKind, writeRecord } from "./records.ts";
import { poolOfHost } from "./scheduler.ts";
import { checkReimage, checkUpload } from "./status.ts";
import type { ReimageVolume, UploadedVolume, UploadVolume, VolumeImages, VolumeTypes } from "./verbs.ts";

export interface VolumeImageParts {
  readonly queue: JobQueue;
  readonly toImage: VolumeToImage;
  readonly reimage: VolumeReimage;
  readonly types: Pick<VolumeTypes, "visibleExtraSpecs">;
}

const cutMsMax = 10_000;

export class VolumeImageService implements VolumeImages {
  readonly #ports: CinderPorts;
  readonly #parts: VolumeImageParts;

  constructor(ports: CinderPorts, parts: VolumeImageParts) {
    this.#ports = ports;
    this.#parts = parts;
  }

  async upload(context: RequestContext, id: string, request: UploadVolume): Promise<UploadedVolume> {
    const { policy, index, images, random, settings } = this.#ports;
    await index.fresh();
    const seen = findVolume(this.#ports, context, id);
    policy.enforce(context, "volume_extension:volume_actions:upload_image", ownTarget(context));
    if (request.visibility === "public") {
      policy.enforce(context, "volume_extension:volume_actions:upload_public", ownTarget(context));
    }
    const force = request.force && settings.allowsForcedUpload;
    checkUpload(seen, force);
    if (request.containerFormat === "compressed") {
      throw invalid("Image compression upload disallowed, but container_format is compressed");
    }
    const jobId = random.uuid();
    const image = await images.create(context, newImage(seen, request, random.uuid())).catch(refuse);
    images.vouch(jobId, context);
    try {
      const volume = await this.#begin(context, id, force, { id: image.id, diskFormat: request.diskFormat }, jobId);
      this.#parts.queue.wake();
      await this.#awaitCut(jobId);
      const type = volume.typeId === null ? undefined : index.types.get(volume.typeId);
      const extraSpecs = type === undefined ? {} : this.#parts.types.visibleExtraSpecs(context, type);
      return { volume, image, type, extraSpecs };
    } catch (error) {
      await this.#takeBack(context, image, jobId);
      throw error;
    }
  }

  async reimage(context: RequestContext, id: string, { imageId, reserved }: ReimageVolume): Promise<void> {
    const { policy, index, images, random, settings, store } = this.#ports;
    await index.fresh();
    const check = (volume: Volume): void => {
      policy.enforce(context, volume.status === "reserved" ? "volume:reimage_reserved" : "volume:reimage", volume);
      checkReimage(volume, reserved);
    };
    check(findVolume(this.#ports, context, id));
    const described = await findImage(images, context, imageId);
    const jobId = random.uuid();
    images.vouch(jobId, context);
    try {
      await store.commit(context.projectId, async (tx) => {
        const volume = await readVolume(tx, context, id);
        check(volume);
        const image = checkImage(described, volume.sizeGib, settings.verifiesImageSignatures);
        if (volume.host === null) throw withoutBackend(id);
        const imageMetadata = imageMetadataOf(described, settings.verifiesImageSignatures);
        const job = this.#parts.reimage.request(volume, { image, imageMetadata, jobId, requestId: context.requestId });
        await this.#parts.queue.enqueue(tx, this.#parts.reimage, job);
        const updatedAtMs = this.#ports.clock.wallMs();
        const next: Volume = { ...volume, status: "downloading", previousStatus: volume.status, jobId, updatedAtMs };
        writeRecord(tx, volumeKind, id, next);
      });
    } catch (error) {
      await images.endCopy(jobId);
      throw error;
    }
    this.#parts.queue.wake();
  }

  /** So that the image is the volume as it was before the answer. What is wrong with the cut is the job's to find. */
  async #awaitCut(jobId: string): Promise<void> {
    const { clock } = this.#ports;
    const untilMs = clock.monotonicMs() + cutMsMax;
    await this.#parts.toImage.cut(jobId, () => clock.monotonicMs() >= untilMs).catch(() => undefined);
  }

  #begin(
    context: RequestContext,
    id: string,
    force: boolean,
    image: { readonly id: string; readonly diskFormat: string },
    jobId: string,
  ): Promise<Volume> {
    return this.#ports.store.commit(context.projectId, async (tx) => {
      const volume = await readVolume(tx, context, id);
      checkUpload(volume, force);
      if (volume.host === null) throw withoutBackend(id);
      const ids = { jobId, requestId: context.requestId };
      const job = await this.#parts.toImage.request(tx, volume, poolOfHost(volume.host), image, ids);
      await this.#parts.queue.enqueue(tx, this.#parts.toImage, job);
      const updatedAtMs = this.#ports.clock.wallMs();
      const next: Volume = { ...volume, status: "uploading", previousStatus: volume.status, jobId, updatedAtMs };
      writeRecord(tx, volumeKind, id, next);
      return next;
    });
  }

  async #takeBack(context: RequestContext, { id, diskFormat }: EmptyImage, jobId: string): Promise<void> {
    const image = { id, diskFormat: diskFormat ?? "" };
    try {
      await this.#ports.images.discard({ jobId, requestId: context.requestId, image });
    } catch (error) {
      this.#ports.onTrouble(`image ${id}, which came to nothing, could not be deleted`, error);
    } finally {
      await this.#ports.images.endUpload(jobId);
    }
  }
}

function newImage(volume: Volume, request: UploadVolume, id: string): NewImage {
  const { imageName, diskFormat, containerFormat, visibility, isProtected } = request;
  return {
    id,
    name: imageName,
    diskFormat,
    containerFormat,
    ...(visibility === undefined ? {} : { visibility }),
    ...(isProtected === undefined ? {} : { isProtected }),
    properties: uploadedProperties(volume.imageMetadata),
  };
}

function withoutBackend(id: string): CinderFault {
  return invalidVolume(`Volume ${id} has no backend.`);
}

/** Glance's no is the request's fault. */
function refuse(error: unknown): never {
  const isRefusal = error instanceof AndironError && ["invalid", "forbidden", "not-found"].includes(error.kind);
  throw isRefusal ? invalid(error.message) : error;
}
