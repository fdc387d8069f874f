// The bytes of an image, in order and all of them, from any offset on: a stream that breaks is opened again where it broke.
//
//   open at the offset (Range) ──► pieces ──► all there ──► end
//      ▲                             │
//      └── pause ◄── broke, away ────┘      `retriesMax` times without a byte between: glance_unavailable
//
// - It yields exactly sizeBytes - offset bytes, or throws: image_unacceptable when there are more, glance_unavailable when there
//   are less and no more come, image_not_found or image_forbidden as Glance says.
// - A server without Range sends all from the start; what is known already is skipped. That the bytes are those of before is not
//   known here: who needs to know hashes all of them.

import type { Clock } from "../common/clock.ts";
import { AndironError } from "../common/errors.ts";
import type { BytesReply } from "./glance-http.ts";
import { refusalOf } from "./refusal.ts";

export interface ImageStreamOptions {
  readonly imageId: string;
  readonly offset: number;
  /** Of the whole image, as Glance described it. */
  readonly sizeBytes: number;
  readonly signal: AbortSignal;
  /** In a row, without a byte between. */
  readonly retriesMax: number;
  readonly clock: Clock;
  /** One request for the bytes from `offset` on; rejects when there is no answer. `attempt`: 0 is the first. */
  readonly open: (offset: number, attempt: number, signal: AbortSignal) => Promise<BytesReply>;
}

const firstPauseMs = 100;
const pauseMsMax = 5000;

export async function* streamImage(options: ImageStreamOptions): AsyncGenerator<Buffer, void, undefined> {
  const { sizeBytes, retriesMax, clock, signal } = options;
  let position = options.offset;
  let failures = 0;
  for (let attempt = 0; position < sizeBytes || attempt === 0; attempt++) {
    let cause: unknown;
    try {
      for await (const piece of readOnce(options, position, attempt)) {
        position += piece.length;
        failures = 0;
        yield piece;
      }
      if (position === sizeBytes) return;
      cause = new Error(`it ends after ${position} of ${sizeBytes} bytes`);
    } catch (error) {
      if (error instanceof AndironError && error.kind !== "unavailable") throw error;
      signal.throwIfAborted();
      cause = error;
    }
    if (failures >= retriesMax) {
      throw new AndironError("glance_unavailable", `the bytes of image ${options.imageId} cannot be had`, { cause });
    }
    await clock.sleep(Math.min(firstPauseMs * 2 ** failures, pauseMsMax));
    signal.throwIfAborted();
    failures++;
  }
}

/** From `position` to wherever this one answer ends. */
async function* readOnce(options: ImageStreamOptions, position: number, attempt: number): AsyncGenerator<Buffer> {
  const { imageId, sizeBytes, signal } = options;
  const reply = await options.open(position, attempt, signal);
  try {
    if (reply.status === 204 && sizeBytes === 0) return;
    if (reply.status !== 200 && reply.status !== 206) throw refusalOf(reply.status, imageId);
    let skip = reply.status === 200 ? position : position - rangeStart(reply);
    if (skip < 0) throw new AndironError("glance_unavailable", "Glance answers another range than the one asked for");
    let left = sizeBytes - position;
    for await (const whole of reply.body) {
      const piece = whole.subarray(Math.min(skip, whole.length));
      skip -= whole.length - piece.length;
      if (piece.length > left) {
        throw new AndironError("image_unacceptable", `image ${imageId} is longer than the ${sizeBytes} bytes that Glance said`);
      }
      left -= piece.length;
      if (piece.length > 0) yield piece;
    }
  } finally {
    reply.body.destroy();
  }
}

/** Of `Content-Range: bytes 5-9/10`. Without one that can be read the answer is refused: no place is before infinity. */
function rangeStart(reply: BytesReply): number {
  const header = reply.headers["content-range"];
  const start = typeof header === "string" ? /^bytes (\d{1,15})-/.exec(header)?.[1] : undefined;
  return start === undefined ? Number.POSITIVE_INFINITY : Number(start);
}
