// A notification as oslo.messaging puts it on the wire: the context and an id beside the message, and (version 2.0) all of it as
// text in an envelope. Pure.

import { AndironError } from "../common/errors.ts";
import { messagingLimits } from "./limits.ts";

/** "1.0": without the envelope, for consumers of long ago. */
export type EnvelopeVersion = "1.0" | "2.0";

/** Throws record_too_large. */
export function encodeNotification(body: Readonly<Record<string, unknown>>, uniqueId: string, version: EnvelopeVersion): Buffer {
  const message = { ...body, _unique_id: uniqueId };
  const envelope = version === "1.0" ? message : { "oslo.version": "2.0", "oslo.message": JSON.stringify(message) };
  const bytes = Buffer.from(JSON.stringify(envelope));
  if (bytes.length <= messagingLimits.messageBytesMax) return bytes;
  throw new AndironError("record_too_large", `a notification of ${bytes.length} bytes is more than a message may have`);
}
