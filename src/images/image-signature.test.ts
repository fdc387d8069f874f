// Signatures of images: those of each kind of key, other bytes, another key, and what cannot be verified at all.

import assert from "node:assert/strict";
import { type KeyObject, constants, generateKeyPairSync, sign } from "node:crypto";
import { test } from "node:test";
import { AndironError } from "../common/errors.ts";
import { type ImageSignature, RunningSignature } from "./image-signature.ts";

const bytes = Buffer.from("the bytes of an image");

interface Signer {
  readonly keyType: string;
  readonly publicKey: KeyObject;
  readonly privateKey: KeyObject;
}

const signers: readonly Signer[] = [
  { keyType: "RSA-PSS", ...generateKeyPairSync("rsa", { modulusLength: 2048 }) },
  { keyType: "ECC_SECP384R1", ...generateKeyPairSync("ec", { namedCurve: "secp384r1" }) },
  { keyType: "DSA", ...generateKeyPairSync("dsa", { modulusLength: 2048, divisorLength: 256 }) },
];

function signed({ keyType, publicKey, privateKey }: Signer, hash = "256"): ImageSignature {
  const pss = { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_MAX_SIGN };
  const value = sign(`sha${hash}`, bytes, { key: privateKey, ...(keyType === "RSA-PSS" ? pss : {}) }).toString("base64");
  const certificate = publicKey.export({ type: "spki", format: "pem" }).toString();
  return { keyType, hashMethod: `SHA-${hash}`, value, certificate };
}

function verify(signature: ImageSignature, content = bytes): void {
  const running = new RunningSignature(signature);
  for (const byte of content) running.update(Buffer.of(byte));
  running.check();
}

const refused =
  (why: RegExp) =>
  (error: unknown): boolean =>
    error instanceof AndironError && error.code === "image_unacceptable" && why.test(error.message);

for (const signer of signers)
  test(`${signer.keyType}: good with each hash, wrong for other bytes and for nobody's signature`, () => {
    for (const hash of ["224", "256", "384", "512"]) verify(signed(signer, hash));
    const good = signed(signer);
    const wrong = refused(/signature is wrong/);
    assert.throws(() => verify(good, Buffer.concat([bytes, Buffer.of(0)])), wrong);
    assert.throws(() => verify({ ...good, hashMethod: "SHA-512" }), wrong);
    for (const value of ["", "AAAA", good.value.slice(8)]) assert.throws(() => verify({ ...good, value }), wrong);
  });

test("an unknown method, a key of another kind, and no certificate at all are refused before any byte", () => {
  const good = signed(signers[0]!);
  assert.throws(() => verify({ ...good, hashMethod: "MD5" }), refused(/unknown hash method/));
  assert.throws(() => verify({ ...good, hashMethod: "constructor" }), refused(/unknown hash method/));
  assert.throws(() => verify({ ...good, keyType: "ECC_SECP256R1" }), refused(/unknown type of key/));
  assert.throws(() => verify({ ...good, keyType: "ECC_SECP384R1" }), refused(/differ in the key/));
  assert.throws(() => verify({ ...good, certificate: "no key" }), refused(/certificate of its signature is none/));
});
