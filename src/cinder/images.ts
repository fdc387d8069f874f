// What cinder/ knows of images, as ports that bin/ fills: what Glance says of one, how its bytes come into a volume, and how an
// image is made of one.

import { AndironError } from "../common/errors.ts";
import type { RequestContext } from "./context.ts";
import type { JobRun } from "./jobs/job-kind.ts";

export interface ImageDescription {
  readonly id: string;
  readonly name: string | null;
  /** "active" when its bytes may be had. */
  readonly status: string;
  readonly sizeBytes: number | null;
  readonly virtualSizeBytes: number | null;
  readonly minDiskGib: number;
  readonly minRamMib: number;
  readonly diskFormat: string | null;
  readonly containerFormat: string | null;
  /** MD5, in hex. */
  readonly checksum: string | null;
  readonly hash: { readonly algorithm: string; readonly value: string } | null;
  readonly owner: string | null;
  /** Written by strangers. */
  readonly properties: Readonly<Record<string, string>>;
}

export interface ImageSignature {
  /** In base64, over the image's bytes. */
  readonly value: string;
  readonly hashMethod: string;
  readonly keyType: string;
  /** PEM. */
  readonly certificate: string;
}

/** Part of a job's params: what is to be copied, as it was when it was asked for. */
export interface ImageToCopy extends Pick<
  ImageDescription,
  "id" | "diskFormat" | "containerFormat" | "checksum" | "hash" | "owner"
> {
  readonly sizeBytes: number;
  /** It bears a signature that is to be verified. */
  readonly isSigned: boolean;
  /** What to verify it with. */
  readonly signature?: ImageSignature;
  /** Why that is not known. */
  readonly signatureProblem?: string;
}

export interface CopyTask {
  readonly jobId: string;
  /** Of the claim: what an earlier one left in memory is not gone on with. */
  readonly generation: number;
  readonly requestId: string;
  readonly image: ImageToCopy;
  /** A live export of the volume. */
  readonly exportName: string;
  /** Bytes of the image that are durable in the volume. */
  readonly offset: number;
  /** The volume may hold other bytes, which give way to zeroes before the first one is written. */
  readonly overwrites: boolean;
}

export interface CopyProgress {
  /** Of the image; beyond the task's unless it is done. */
  readonly offset: number;
  readonly isDone: boolean;
}

export const imageVisibilities = ["private", "shared", "community", "public"] as const;

/** An image that is to be made of a volume. */
export interface NewImage {
  /** A UUID of ours. */
  readonly id: string;
  readonly name: string;
  readonly diskFormat: string;
  readonly containerFormat: string;
  /** Absent: as Glance likes it. */
  readonly visibility?: (typeof imageVisibilities)[number];
  readonly isProtected?: boolean;
  readonly properties: Readonly<Record<string, string>>;
}

/** The image as Glance made it; it has no bytes yet. */
export interface EmptyImage {
  readonly id: string;
  readonly name: string | null;
  readonly diskFormat: string | null;
  readonly containerFormat: string | null;
  readonly visibility: string;
  readonly isProtected: boolean;
}

export interface UploadTask {
  readonly jobId: string;
  /** Of the claim. */
  readonly generation: number;
  readonly requestId: string;
  readonly image: { readonly id: string; readonly diskFormat: string };
  /** A live export of what is to be uploaded. */
  readonly exportName: string;
  /** Bytes that an earlier step sent. */
  readonly sent: number;
}

export interface UploadProgress {
  /** Beyond the task's unless it is done. */
  readonly sent: number;
  readonly isDone: boolean;
}

/** For one step of a job with an image: more than its conversion may take (images/conversion.ts). */
export const imageStepMsMax = 7 * 3600 * 1000;

export interface Images {
  /** Those that the caller sees under this id, or else this name; at most two. May reject with glance_unavailable. */
  find(context: RequestContext, reference: string): Promise<readonly ImageDescription[]>;
  /** The caller's word for a job that is about to be queued: kept in memory, and forgotten with endCopy() or endUpload(). */
  vouch(jobId: string, context: RequestContext): void;
  /** Copies some of it, or the rest of it. Rejects with image_unacceptable and others; what was begun is then given up. */
  copy(task: CopyTask, run: Pick<JobRun, "signal" | "shouldYield">): Promise<CopyProgress>;
  /** Forgets the job: connections, files, the caller's word. */
  endCopy(jobId: string): Promise<void>;
  /** Makes an image without bytes, of the caller's. Rejects with image_forbidden, image_unacceptable, glance_unavailable. */
  create(context: RequestContext, image: NewImage): Promise<EmptyImage>;
  /** Sends some of it, or the rest of it. What was begun is given up when it rejects. */
  upload(task: UploadTask, run: Pick<JobRun, "signal" | "shouldYield">): Promise<UploadProgress>;
  /** Takes an image away that came to nothing; not one that has all its bytes. */
  discard(task: Pick<UploadTask, "jobId" | "requestId" | "image">): Promise<void>;
  endUpload(jobId: string): Promise<void>;
}

/** There is no Glance: nobody has an image. */
export const noImages: Images = {
  find: () => Promise.resolve([]),
  vouch: () => undefined,
  copy: () => Promise.reject(noGlance()),
  endCopy: () => Promise.resolve(),
  create: () => Promise.reject(noGlance()),
  upload: () => Promise.reject(noGlance()),
  discard: () => Promise.resolve(),
  endUpload: () => Promise.resolve(),
};

function noGlance(): AndironError {
  return new AndironError("glance_unavailable", "there is no Glance", { hint: "set glance_api_servers, or use Keystone" });
}
