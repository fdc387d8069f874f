// The signature that an image's owner made over its bytes, held against the bytes that come to us, by the certificate that the
// image names. As OpenStack's tools sign: the bytes of the file, base64, RSA-PSS or DSA or ECDSA over SHA-2.

import { type KeyObject, type Verify, constants, createPublicKey, createVerify } from "node:crypto";
import { unacceptable } from "./image-source.ts";

export interface ImageSignature {
  /** In base64. */
  readonly value: string;
  readonly hashMethod: string;
  readonly keyType: string;
  /** PEM. */
  readonly certificate: string;
}

const hashes: ReadonlyMap<string, string> = new Map(
  ["224", "256", "384", "512"].map((bits) => [`SHA-${bits}`, `sha${bits}`] as const),
);
const curves = ["SECP384R1", "SECP521R1", "SECT409K1", "SECT409R1", "SECT571K1", "SECT571R1"];
/** What kind of key each type of signature is made with. */
const keyKinds: ReadonlyMap<string, string> = new Map([
  ["RSA-PSS", "rsa"],
  ["DSA", "dsa"],
  ...curves.map((curve) => [`ECC_${curve}`, "ec"] as const),
]);

export class RunningSignature {
  readonly #verify: Verify;
  readonly #key: KeyObject;
  readonly #value: Buffer;
  readonly #padding: number | undefined;

  /** Throws image_unacceptable for a signature that nobody could verify. */
  constructor({ value, hashMethod, keyType, certificate }: ImageSignature) {
    const hash = hashes.get(hashMethod);
    if (hash === undefined) throw unacceptable(`its signature has an unknown hash method`);
    const kind = keyKinds.get(keyType);
    if (kind === undefined) throw unacceptable(`its signature has an unknown type of key`);
    this.#key = readKey(certificate);
    if (this.#key.asymmetricKeyType !== kind) throw unacceptable("its signature and its certificate differ in the key");
    this.#verify = createVerify(hash);
    this.#value = Buffer.from(value, "base64");
    this.#padding = keyType === "RSA-PSS" ? constants.RSA_PKCS1_PSS_PADDING : undefined;
  }

  update(bytes: Buffer): void {
    this.#verify.update(bytes);
  }

  /** After the last byte. Throws image_unacceptable when they are others than were signed. */
  check(): void {
    const padding = this.#padding === undefined ? {} : { padding: this.#padding, saltLength: constants.RSA_PSS_SALTLEN_AUTO };
    if (!this.#verify.verify({ key: this.#key, ...padding }, this.#value)) throw unacceptable("its signature is wrong");
  }
}

function readKey(certificate: string): KeyObject {
  try {
    return createPublicKey(certificate);
  } catch {
    throw unacceptable("the certificate of its signature is none");
  }
}
