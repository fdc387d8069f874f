// Buffers that are shared by several requests and used again. A slab is what a socket is read into, what small replies
// are gathered in, or one big payload.
//
// - `users` counts those who may still look at the bytes: a request whose WRITE data lies in the slab until the device
//   has settled, a reply that the kernel has not taken. Only at zero may the bytes change.
// - The pool keeps free slabs by powers of two, up to a total; what does not fit is left to the garbage collector.
// - What a device lends is a slab too, of one use: it goes back to the device and not to a pool.
// - Contents are not cleared: whoever sends a slab's bytes has written every one of them.

import { assert } from "../common/assert.ts";
import type { LentBytes } from "../engine/device.ts";

/** Smaller ones are not kept. Payloads of 4 KiB that two reads have cut are many. */
const classBytesMin = 4 * 1024;

/** Where a slab goes when its last user has gone. */
interface SlabHome {
  give(slab: Slab): void;
}

export class Slab {
  readonly buffer: Buffer;
  users = 0;
  readonly #home: SlabHome | undefined;

  constructor(buffer: Buffer, home?: SlabHome) {
    this.buffer = buffer;
    this.#home = home;
  }

  hold(): this {
    this.users += 1;
    return this;
  }

  /** Ends one use; the last one gives the slab back. */
  release(): void {
    assert(this.users > 0, "a slab was released more often than held");
    this.users -= 1;
    if (this.users === 0) this.#home?.give(this);
  }
}

/** Held once. */
export const slabOf = (lent: LentBytes): Slab => new Slab(lent.bytes, { give: () => lent.giveBack() }).hold();

export class SlabPool implements SlabHome {
  readonly #retainedBytesMax: number;
  readonly #free = new Map<number, Slab[]>();
  #retainedBytes = 0;

  constructor(retainedBytesMax: number) {
    this.#retainedBytesMax = retainedBytesMax;
  }

  get retainedBytes(): number {
    return this.#retainedBytes;
  }

  /** A slab of at least `lengthBytes`, held once by the caller. */
  take(lengthBytes: number): Slab {
    if (lengthBytes < classBytesMin) return new Slab(Buffer.allocUnsafeSlow(lengthBytes)).hold();
    const classBytes = 2 ** Math.ceil(Math.log2(lengthBytes));
    const slab = this.#free.get(classBytes)?.pop();
    if (slab === undefined) return new Slab(Buffer.allocUnsafeSlow(classBytes), this).hold();
    this.#retainedBytes -= classBytes;
    return slab.hold();
  }

  /** Called by the slab itself when its last user has gone. */
  give(slab: Slab): void {
    const classBytes = slab.buffer.length;
    if (this.#retainedBytes + classBytes > this.#retainedBytesMax) return;
    this.#retainedBytes += classBytes;
    const free = this.#free.get(classBytes);
    if (free === undefined) this.#free.set(classBytes, [slab]);
    else free.push(slab);
  }
}
