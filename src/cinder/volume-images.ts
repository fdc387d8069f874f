// Images of volumes, and images into volumes that exist.
//
// - Of a volume: one transaction makes it `uploading` and leaves the job that fills the image (jobs/volume-to-image.ts), held
//   back; then the request makes the image in Glance, without bytes and in the caller's name, and lets the job go. So no image is
//   ever there that no job knows of. When Glance refuses, the volume is free at once, and the job takes back what there is.
// - Into a volume: one transaction makes it `downloading` and leaves the job that fills it anew (jobs/volume-reimage.ts).

import { AndironError } from "../common/errors.ts";
import type { RequestContext } from "./context.ts";
import { type CinderFault, invalid, invalidVolume } from "./faults.ts";
import { checkImage, findImage, imageMetadataOf, uploadedProperties } from "./image-rules.ts";
import { readSignature } from "./image-signature.ts";
import type { EmptyImage, NewImage } from "./images.ts";
import { type JobQueue, releaseJob } from "./jobs/job-queue.ts";
import type { VolumeReimage } from "./jobs/volume-reimage.ts";
import type { VolumeToImage } from "./jobs/volume-to-image.ts";
import type { Volume } from "./model.ts";
import { ownTarget } from "./policy.ts";
import { findVolume, readVolume, type CinderPorts } from "./ports.ts";
import { volumeKind, writeRecord } from "./records.ts";
import { poolOfHost } from "./scheduler.ts";
import { checkReimage, checkUpload } from "./status.ts";
import { copyKey, discardKey } from "./volume-keys.ts";
import type { ReimageVolume, UploadedVolume, UploadVolume, VolumeImages, VolumeTypes } from "./verbs.ts";

export interface VolumeImageParts {
  readonly queue: JobQueue;
  readonly toImage: VolumeToImage;
  readonly reimage: VolumeReimage;
  readonly types: Pick<VolumeTypes, "visibleExtraSpecs">;
}

const cutMsMax = 10_000;
/** How long Glance has to make an image; later a job goes on, or fails, without its request. */
const creationMsMax = 30_000;

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
    const isEncrypted = seen.encryptionKeyId !== undefined;
    if (isEncrypted && (request.diskFormat !== "raw" || request.containerFormat !== "bare")) {
      throw invalid(
        "An encrypted volume uploaded as an image must use 'raw' disk_format and 'bare' container_format, " +
          "which are the defaults for these options.",
      );
    }
    const [jobId, imageId] = [random.uuid(), random.uuid()];
    const volume = await this.#begin(context, id, force, { id: imageId, diskFormat: request.diskFormat }, jobId);
    images.vouch(jobId, context);
    const image = await this.#makeImage(context, newImage(seen, request, imageId), jobId, volume.encryptionKeyId);
    this.#parts.queue.wake();
    await this.#awaitCut(jobId);
    const type = volume.typeId === null ? undefined : index.types.get(volume.typeId);
    const extraSpecs = type === undefined ? {} : this.#parts.types.visibleExtraSpecs(context, type);
    return { volume, image, type, extraSpecs };
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
    const signed = await readSignature(this.#ports, context, described);
    const jobId = random.uuid();
    images.vouch(jobId, context);
    try {
      await store.commit(context.projectId, async (tx) => {
        const volume = await readVolume(tx, context, id);
        check(volume);
        const image = checkImage(described, volume.sizeGib, signed);
        if (volume.host === null) throw withoutBackend(id);
        if (volume.encryptionKeyId !== undefined) {
          throw invalidVolume(`Volume ${id} is encrypted, and its key is not that of the image: it cannot be re-imaged.`);
        }
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
      const notBeforeMs = this.#ports.clock.wallMs() + creationMsMax;
      await this.#parts.queue.enqueue(tx, this.#parts.toImage, { ...job, notBeforeMs });
      const updatedAtMs = this.#ports.clock.wallMs();
      const next: Volume = { ...volume, status: "uploading", previousStatus: volume.status, jobId, updatedAtMs };
      writeRecord(tx, volumeKind, id, next);
      return next;
    });
  }

  /** The image without bytes, for a job that waits for it. What comes to nothing is left to the job to take back. */
  async #makeImage(context: RequestContext, image: NewImage, jobId: string, keyId?: string): Promise<EmptyImage> {
    const { images, store } = this.#ports;
    // The volume's own key goes with the volume; this one is the image's, and Glance deletes it with the image.
    let copy: string | undefined;
    try {
      copy = keyId === undefined ? undefined : await copyKey(this.#ports, context, keyId);
      const properties = { ...image.properties, ...(copy === undefined ? {} : keyProperties(copy)) };
      const made = await images.create(context, { ...image, properties }).catch(refuse);
      const isReleased = await store.commit(context.projectId, (tx) => releaseJob(tx, jobId));
      if (isReleased) return made;
      throw new AndironError("glance_unavailable", `Glance took too long to make image ${image.id}`);
    } catch (error) {
      const job = await store.commit(context.projectId, (tx) => this.#parts.toImage.giveUp(tx, jobId));
      this.#parts.queue.wake();
      // The answer came late, or not at all, and the job has filled the image meanwhile: that needs its key.
      if (job?.verdict?.outcome === "done") throw error;
      if (job?.phase === "ended") await this.#takeBack(context, image, jobId);
      if (copy !== undefined) await discardKey(this.#ports, copy, context);
      throw error;
    }
  }

  /** Its job has ended; when it looked there was no such image yet. */
  async #takeBack(context: RequestContext, { id, diskFormat }: NewImage, jobId: string): Promise<void> {
    const { images, onTrouble } = this.#ports;
    images.vouch(jobId, context);
    try {
      await images.discard({ jobId, requestId: context.requestId, image: { id, diskFormat } });
    } catch (error) {
      onTrouble(`taking back image ${id}, which nobody fills, failed: an operator should look`, error);
    } finally {
      await images.endUpload(jobId);
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

function keyProperties(keyId: string): NewImage["properties"] {
  return { cinder_encryption_key_id: keyId, cinder_encryption_key_deletion_policy: "on_image_deletion" };
}

function withoutBackend(id: string): CinderFault {
  return invalidVolume(`Volume ${id} has no backend.`);
}

/** Glance's no is the request's fault. */
function refuse(error: unknown): never {
  const isRefusal = error instanceof AndironError && ["invalid", "forbidden", "not-found"].includes(error.kind);
  throw isRefusal ? invalid(error.message) : error;
}
