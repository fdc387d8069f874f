// An image as Glance describes it (GET /v2/images/{id}), checked. Glance answers one flat object: what is not one of its own
// attributes is a property that somebody gave the image, and was written by a stranger. Pure.

import { AndironError } from "../common/errors.ts";

export interface ImageFacts {
  readonly id: string;
  readonly name: string | null;
  /** "active" when its bytes may be had. */
  readonly status: string;
  /** Of its file; null while there is none. */
  readonly sizeBytes: number | null;
  /** Of the disk in it, as far as Glance knows. */
  readonly virtualSizeBytes: number | null;
  readonly minDiskGib: number;
  readonly minRamMib: number;
  readonly diskFormat: string | null;
  readonly containerFormat: string | null;
  /** MD5, in hex. */
  readonly checksum: string | null;
  readonly hash: ImageHash | null;
  readonly owner: string | null;
  readonly visibility: string;
  readonly isProtected: boolean;
  readonly properties: Readonly<Record<string, string>>;
}

export interface ImageHash {
  /** As hashlib and OpenSSL call it: "sha512". */
  readonly algorithm: string;
  /** In hex. */
  readonly value: string;
}

/** Attributes that Glance gives to every image; all others are properties. */
const attributes = new Set(
  (
    "id name status size virtual_size min_disk min_ram disk_format container_format checksum os_hash_algo os_hash_value owner " +
    "visibility created_at updated_at tags self file schema protected os_hidden locations direct_url stores"
  ).split(" "),
);

/** Throws glance_unavailable for what is no image, or another than the one asked for. */
export function parseImage(body: unknown, askedId?: string): ImageFacts {
  const image = readObject(body);
  const id = readText(image, "id");
  const status = readText(image, "status");
  if (id === null || status === null) throw nonsense("id or status is not there");
  if (askedId !== undefined && id.toLowerCase() !== askedId.toLowerCase()) throw nonsense("it is another image");
  const [algorithm, value] = [readText(image, "os_hash_algo"), readText(image, "os_hash_value")];
  return {
    id,
    name: readText(image, "name"),
    status,
    sizeBytes: readCount(image, "size"),
    virtualSizeBytes: readCount(image, "virtual_size"),
    minDiskGib: readCount(image, "min_disk") ?? 0,
    minRamMib: readCount(image, "min_ram") ?? 0,
    diskFormat: readText(image, "disk_format"),
    containerFormat: readText(image, "container_format"),
    checksum: readText(image, "checksum"),
    hash: algorithm === null || value === null ? null : { algorithm, value },
    owner: readText(image, "owner"),
    visibility: readText(image, "visibility") ?? "private",
    isProtected: image["protected"] === true,
    properties: readProperties(image),
  };
}

/** The images of a list's answer; throws glance_unavailable. */
export function parseImageList(body: unknown): ImageFacts[] {
  const { images } = readObject(body);
  if (!Array.isArray(images)) throw nonsense("there is no list in it");
  return images.map((image) => parseImage(image));
}

function readProperties(image: Readonly<Record<string, unknown>>): Record<string, string> {
  const given = Object.entries(image).filter(([key, value]) => !attributes.has(key) && value !== null);
  return Object.fromEntries(given.map(([key, value]) => [key, typeof value === "string" ? value : JSON.stringify(value)]));
}

function readObject(value: unknown): Readonly<Record<string, unknown>> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw nonsense("it is no object");
  return value as Readonly<Record<string, unknown>>;
}

function readText(image: Readonly<Record<string, unknown>>, key: string): string | null {
  const value = image[key] ?? null;
  if (value !== null && typeof value !== "string") throw nonsense(`${key} is no text`);
  return value;
}

function readCount(image: Readonly<Record<string, unknown>>, key: string): number | null {
  const value = image[key] ?? null;
  if (value !== null && !(Number.isSafeInteger(value) && (value as number) >= 0)) throw nonsense(`${key} is no count`);
  return value as number | null;
}

function nonsense(what: string): AndironError {
  return new AndironError("glance_unavailable", `Glance's answer makes no sense: ${what}`);
}
