// A file of a stranger, as the inspection reads it: by offset, within its bounds, and not much of it, whatever its header says.

import { AndironError } from "../common/errors.ts";

export interface ImageSource {
  readonly sizeBytes: number;
  /** Exactly `lengthBytes`; the caller stays within sizeBytes. */
  read(offset: number, lengthBytes: number): Promise<Buffer>;
}

/** What makes an image one that we do not take. `why` is shown to the user. */
export function unacceptable(why: string): AndironError {
  return new AndironError("image_unacceptable", `the image is not acceptable: ${why}`);
}

const readsMax = 64;
const bytesMax = 1024 * 1024;

export class BoundedSource implements ImageSource {
  readonly #source: ImageSource;
  #reads = 0;
  #bytes = 0;

  constructor(source: ImageSource) {
    this.#source = source;
  }

  get sizeBytes(): number {
    return this.#source.sizeBytes;
  }

  /** Throws image_unacceptable beyond the file's end, or beyond what an honest header needs. */
  async read(offset: number, lengthBytes: number): Promise<Buffer> {
    const isInside = Number.isSafeInteger(offset) && offset >= 0 && offset + lengthBytes <= this.sizeBytes;
    if (!isInside) throw unacceptable("its header points outside of the file, or the file is too short");
    this.#reads += 1;
    this.#bytes += lengthBytes;
    if (this.#reads > readsMax || this.#bytes > bytesMax) throw unacceptable("its header is too long");
    return this.#source.read(offset, lengthBytes);
  }

  /** From `offset` on, as much of `lengthBytes` as there is. */
  readSome(offset: number, lengthBytes: number): Promise<Buffer> {
    return this.read(offset, Math.max(0, Math.min(lengthBytes, this.sizeBytes - offset)));
  }
}

/** A count of 64 bits that stands for bytes or sectors; throws image_unacceptable when no number holds it. */
export function smallEnough(value: bigint, what: string): number {
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw unacceptable(`${what} is beyond all measure`);
  return Number(value);
}
