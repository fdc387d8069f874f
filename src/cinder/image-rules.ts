// When a volume may be made of an image, and what it takes over from it. Pure but for resolveImage(); the sentences are Cinder's.

import { AndironError } from "../common/errors.ts";
import type { RequestContext } from "./context.ts";
import { CinderFault, conflict, invalid, invalidInput, notFound, overLimit } from "./faults.ts";
import type { SignedImage } from "./image-signature.ts";
import type { ImageDescription, ImageToCopy, Images } from "./images.ts";
import { gibBytes, type Metadata } from "./model.ts";

const metadataBytesMax = 16 * 1024;

/** The image that `reference` names, of those that the caller sees: an id, a URL that ends with one, or a name. */
export async function resolveImage(images: Images, context: RequestContext, reference: string): Promise<ImageDescription> {
  const found = await images.find(context, reference).catch(unseen);
  if (found.length > 1) throw conflict(`Multiple matches found for '${reference}', use an ID to be more specific.`);
  if (found[0] === undefined) throw invalid("Invalid image identifier or unable to access requested image.");
  return found[0];
}

/** The image of this very id. */
export async function findImage(images: Images, context: RequestContext, id: string): Promise<ImageDescription> {
  const found = (await images.find(context, id).catch(unseen)).find((image) => image.id === id);
  if (found === undefined) throw notFound(`Image ${id} could not be found.`);
  return found;
}

/** What Glance does not show is not there. */
function unseen(error: unknown): readonly ImageDescription[] {
  if (error instanceof AndironError && (error.kind === "not-found" || error.kind === "forbidden")) return [];
  throw error;
}

/** The snapshot that an image of a server stands for which started from a volume, as Nova writes it; undefined for all others. */
export function snapshotOfImage({ properties }: ImageDescription): string | undefined {
  const disks = parseList(properties["block_device_mapping"]);
  const boot = disks.find((disk) => disk?.["source_type"] === "snapshot" && disk["boot_index"] === 0);
  const id = boot?.["snapshot_id"];
  return typeof id === "string" ? id : undefined;
}

/** Written by a stranger. */
function parseList(text: string | undefined): readonly (Readonly<Record<string, unknown>> | null)[] {
  try {
    const parsed: unknown = JSON.parse(text ?? "");
    return Array.isArray(parsed) ? (parsed as readonly (Readonly<Record<string, unknown>> | null)[]) : [];
  } catch {
    return [];
  }
}

/** Throws unless the image has bytes, and they fit into a volume of that size. */
export function checkImage(image: ImageDescription, sizeGib: number, signed: SignedImage): ImageToCopy {
  const { id, sizeBytes, diskFormat, containerFormat, checksum, hash, owner, minDiskGib, virtualSizeBytes } = image;
  if (image.status !== "active" || sizeBytes === null) throw invalidInput(`Image ${id} is not active.`);
  const imageGib = Math.ceil(sizeBytes / gibBytes);
  if (imageGib > sizeGib) {
    throw invalidInput(`Size of specified image ${imageGib}GB is larger than volume size ${sizeGib}GB.`);
  }
  if (sizeGib < minDiskGib) {
    throw invalidInput(`Volume size ${sizeGib}GB cannot be smaller than the image minDisk size ${minDiskGib}GB.`);
  }
  const virtualGib = Math.ceil((virtualSizeBytes ?? 0) / gibBytes);
  if (virtualGib > sizeGib) {
    const reason = `Image virtual size is ${virtualGib}GB and doesn't fit in a volume of size ${sizeGib}GB.`;
    throw new CinderFault("invalid", `Image ${id} is unacceptable: ${reason}`);
  }
  return { ...signed, id, sizeBytes, diskFormat, containerFormat, checksum, hash, owner };
}

/** What the volume says of the image from then on. */
export function imageMetadataOf(image: ImageDescription, isSignatureLookedAt: boolean): Metadata {
  const { cinder_encryption_key_id: _key, cinder_encryption_key_deletion_policy: _policy, ...properties } = image.properties;
  const metadata: Metadata = {
    ...properties,
    ...(isSignatureLookedAt ? { signature_verified: "False" } : {}),
    image_id: image.id,
    ...(image.name === null || image.name === "" ? {} : { image_name: image.name }),
    ...(image.checksum === null ? {} : { checksum: image.checksum }),
    ...(image.containerFormat === null ? {} : { container_format: image.containerFormat }),
    ...(image.diskFormat === null ? {} : { disk_format: image.diskFormat }),
    min_disk: String(image.minDiskGib),
    min_ram: String(image.minRamMib),
    size: String(image.sizeBytes ?? 0),
  };
  if (Buffer.byteLength(JSON.stringify(metadata)) > metadataBytesMax) {
    throw overLimit(`The properties of image ${image.id} have more than ${metadataBytesMax} bytes.`);
  }
  return metadata;
}

/** Of the image a volume was made from, not of its properties; a new image of the volume has its own. */
const coreProperties = new Set("checksum container_format disk_format image_name image_id min_disk min_ram name size".split(" "));
/** What Glance keeps for itself, and what says who signed the old bytes. */
const reservedPrefixes = ["os_glance", "img_signature"];

/** What an image of the volume takes over from the image that the volume was made from. */
export function uploadedProperties(imageMetadata: Metadata): Metadata {
  const isTaken = (key: string): boolean =>
    !coreProperties.has(key) && !reservedPrefixes.some((prefix) => key.startsWith(prefix));
  return Object.fromEntries(Object.entries(imageMetadata).filter(([key]) => isTaken(key)));
}
