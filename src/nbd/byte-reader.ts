// Takes whole fields out of a stream of chunks, for the handshake (both sides), where clarity counts more than copies.
//
// - Nothing handed out refers to a chunk: take() copies, so that the chunk's buffer may be read into again.
// - A take() that comes back undefined keeps what it has; the next call must ask for the same count.

import { assert } from "../common/assert.ts";

export class ByteReader {
  #chunk: Buffer = Buffer.alloc(0);
  #position = 0;
  #end = 0;
  #partial: Buffer | undefined;
  #partialBytes = 0;

  /** Bytes of the last chunk not taken yet. */
  get remainingBytes(): number {
    return this.#end - this.#position;
  }

  /** The place in the last chunk where the untaken bytes begin. */
  get position(): number {
    return this.#position;
  }

  /** True while a field has been begun and is not whole. */
  get midField(): boolean {
    return this.#partial !== undefined;
  }

  /** Gives the next chunk: bytes `start` to `end` of `chunk`. The one before must have been used up. */
  offer(chunk: Buffer, start: number, end: number): void {
    assert(this.#position === this.#end, "a chunk was offered before the last one was used up");
    this.#chunk = chunk;
    this.#position = start;
    this.#end = end;
  }

  /** The next `count` bytes as a buffer of their own, or undefined until they have all come. */
  take(count: number): Buffer | undefined {
    const target = this.#partial ?? Buffer.allocUnsafeSlow(count);
    assert(target.length === count, "a field changed its length while it was read");
    const copied = Math.min(count - this.#partialBytes, this.remainingBytes);
    this.#chunk.copy(target, this.#partialBytes, this.#position, this.#position + copied);
    this.#position += copied;
    this.#partialBytes += copied;
    if (this.#partialBytes < count) {
      this.#partial = target;
      return undefined;
    }
    this.#partial = undefined;
    this.#partialBytes = 0;
    return target;
  }

  /** Drops up to `count` bytes; says how many there were. */
  skip(count: number): number {
    const skipped = Math.min(count, this.remainingBytes);
    this.#position += skipped;
    return skipped;
  }
}
