// Whose signature an image bears: its four properties, and the certificate that they name, which the caller may read. The
// certificate is public; it goes into the job, so that no token is needed when the bytes come.

import { AndironError } from "../common/errors.ts";
import type { RequestContext } from "./context.ts";
import type { ImageDescription, ImageToCopy } from "./images.ts";
import type { CinderPorts } from "./ports.ts";

export type SignedImage = Required<Pick<ImageToCopy, "isSigned">> & Pick<ImageToCopy, "signature" | "signatureProblem">;

const certificateLengthMax = 8 * 1024;

/** An image that bears none of the properties, or is not to be looked at, is not signed. May reject with barbican_unavailable. */
export async function readSignature(
  { keys, settings }: CinderPorts,
  context: RequestContext,
  { id, properties }: ImageDescription,
): Promise<SignedImage> {
  const { img_signature: value, img_signature_hash_method: hashMethod, img_signature_key_type: keyType } = properties;
  const { img_signature_certificate_uuid: certificateId } = properties;
  const given = [value, hashMethod, keyType, certificateId].filter((property) => property !== undefined);
  if (!settings.verifiesImageSignatures || given.length === 0) return { isSigned: false };
  if (value === undefined || hashMethod === undefined || keyType === undefined || certificateId === undefined) {
    return { isSigned: true, signatureProblem: `Signature metadata is incomplete for image: ${id}.` };
  }
  try {
    const certificate = await keys.certificate(context, certificateId);
    if (certificate.length > certificateLengthMax) throw new AndironError("key_refused", "the certificate is too long");
    return { isSigned: true, signature: { value, hashMethod, keyType, certificate } };
  } catch (error) {
    const isRefusal = error instanceof AndironError && (error.kind === "forbidden" || error.kind === "not-found");
    if (!isRefusal) throw error;
    return { isSigned: true, signatureProblem: `Failed to get verifier for image: ${id} (${error.message})` };
  }
}
