// The hash that Glance gave an image when its bytes came, held against the bytes that come to us.

import { type Hash, createHash } from "node:crypto";
import { unacceptable } from "./image-source.ts";

export interface ExpectedHash {
  readonly algorithm: string;
  /** In hex. */
  readonly value: string;
}

const algorithms = new Set("sha224 sha256 sha384 sha512 sha3-224 sha3-256 sha3-384 sha3-512".split(" "));

/** The stronger one of what is there: os_hash_value, else the checksum, which is MD5. undefined: there is none that we know. */
export function chooseHash(image: {
  readonly hash: ExpectedHash | null;
  readonly checksum: string | null;
}): ExpectedHash | undefined {
  const algorithm = image.hash?.algorithm.toLowerCase().replaceAll("_", "-");
  if (image.hash !== null && algorithm !== undefined && algorithms.has(algorithm)) return { algorithm, value: image.hash.value };
  return image.checksum === null ? undefined : { algorithm: "md5", value: image.checksum };
}

export class RunningHash {
  readonly #expected: ExpectedHash | undefined;
  readonly #hash: Hash | undefined;

  constructor(expected: ExpectedHash | undefined) {
    this.#expected = expected;
    this.#hash = expected === undefined ? undefined : createHash(expected.algorithm);
  }

  update(bytes: Buffer): void {
    this.#hash?.update(bytes);
  }

  /** After the last byte. Throws image_unacceptable when they are others than Glance was given. */
  check(): void {
    if (this.#hash === undefined || this.#expected === undefined) return;
    const { algorithm, value } = this.#expected;
    if (this.#hash.digest("hex") !== value.toLowerCase()) throw unacceptable(`its bytes are not those of its ${algorithm}`);
  }
}
