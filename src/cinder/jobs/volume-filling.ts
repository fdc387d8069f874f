// The step by which an image's bytes come into a job's volume, through an export of the claim's own (job-exports.ts). What the
// volume is meanwhile, and becomes afterwards, is for the kind of job.

import { AndironError } from "../../common/errors.ts";
import type { Tx } from "../../registry/atomic.ts";
import type { CopyProgress, ImageToCopy } from "../images.ts";
import type { Metadata, Volume } from "../model.ts";
import type { CinderPorts } from "../ports.ts";
import { JobExports } from "./job-exports.ts";
import type { JobRun } from "./job-kind.ts";
import type { Job, JobVerdict } from "./job.ts";
import { volumeOfJob } from "./volume-job.ts";

/** What a step came to; undefined: the volume is gone, or somebody else's business now. */
export type Filled = CopyProgress | undefined;

export interface FillingOptions {
  /** The volume has bytes, which are not to be seen in what the image leaves out. */
  readonly overwrites: boolean;
  /** In the transaction that makes the export. */
  readonly begin?: (tx: Tx, volume: Volume) => void;
}

/** Of a job that an older build left. */
const signatureReason = "the image is signed, and its signature was not read when it was asked for";

export class VolumeFilling {
  readonly #ports: CinderPorts;
  readonly #exports: JobExports;
  readonly #options: FillingOptions;

  constructor(ports: CinderPorts, options: FillingOptions) {
    this.#ports = ports;
    this.#exports = new JobExports(ports);
    this.#options = options;
  }

  /** Once it is done the export is gone, and nobody can have written into the volume since. */
  async step(job: Job, run: JobRun): Promise<Filled> {
    const image = imageOf(job);
    if (image.isSigned && image.signature === undefined) {
      throw new AndironError("image_unacceptable", image.signatureProblem ?? signatureReason);
    }
    const [exportName] = (await this.#open(job)) ?? [];
    if (exportName === undefined) return undefined;
    const { id: jobId, generation, requestId } = job;
    const { overwrites } = this.#options;
    const offset = Number(job.checkpoint["offset"] ?? 0);
    const progress = await this.#ports.images.copy({ jobId, generation, requestId, image, exportName, offset, overwrites }, run);
    if (progress.isDone) await this.end(job);
    return progress;
  }

  async end(job: Job): Promise<void> {
    await this.#ports.images.endCopy(job.id);
    await this.#exports.close(job);
  }

  #open(job: Job): Promise<readonly string[] | undefined> {
    return this.#exports.open(job, async (tx) => {
      const volume = await volumeOfJob(tx, job);
      if (volume === undefined) return undefined;
      this.#options.begin?.(tx, volume);
      return [{ vdiskId: volume.id, readOnly: false }];
    });
  }
}

/** What the volume says of its image once the bytes are there, and right. */
export function verifiedMetadata(job: Job, imageMetadata: Metadata): Metadata {
  return imageOf(job).isSigned ? { ...imageMetadata, signature_verified: "True" } : imageMetadata;
}

/** What a user is told first of a failure. */
export function detailOf(job: Job, { reason }: JobVerdict): "signature" | "unknown" {
  return imageOf(job).isSigned && /signature|verifier/i.test(reason) ? "signature" : "unknown";
}

export function imageOf(job: Job): ImageToCopy {
  return job.params["image"] as ImageToCopy;
}
