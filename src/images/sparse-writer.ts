// Bytes in order onto a device, without the zeroes: a block of zeroes is not written, so that a device that reads as zeroes
// keeps its holes. A few writes are under way at a time; flush() waits for all of them, and for the device.

import type { BlockDevice } from "../engine/device.ts";

const blockBytes = 64 * 1024;
const bufferBytes = 1024 * 1024;
const writesMax = 4;
const zeroes = Buffer.alloc(blockBytes);

export class SparseWriter {
  readonly #device: Pick<BlockDevice, "write" | "flush">;
  /** Of the first byte in the buffer. */
  #position: number;
  #buffer = Buffer.allocUnsafe(bufferBytes);
  #filled = 0;
  readonly #writes = new Set<Promise<void>>();
  #failure: { readonly error: unknown } | undefined;

  /** `position`: of the first byte, a multiple of 64 KiB for the holes to be found. */
  constructor(device: Pick<BlockDevice, "write" | "flush">, position: number) {
    this.#device = device;
    this.#position = position;
  }

  /** Where the next byte goes. */
  get position(): number {
    return this.#position + this.#filled;
  }

  /** Resolves when there is room for more. Rejects with what an earlier write rejected with. */
  async write(bytes: Buffer): Promise<void> {
    for (let at = 0; at < bytes.length;) {
      const count = bytes.copy(this.#buffer, this.#filled, at);
      at += count;
      this.#filled += count;
      if (this.#filled === bufferBytes) await this.#pass();
    }
  }

  /** Resolves when all of it is on the device and durable. */
  async flush(): Promise<void> {
    await this.#pass();
    await this.settle();
  }

  /** Makes durable what has left the buffer; resolves with where that ends, a whole number of MiB from the start. */
  async settle(): Promise<number> {
    await this.idle();
    this.#throwFailure();
    await this.#device.flush();
    return this.#position;
  }

  /** Resolves when no write is under way. */
  async idle(): Promise<void> {
    while (this.#writes.size > 0) await Promise.all(this.#writes);
  }

  /** Hands on what is in the buffer. */
  async #pass(): Promise<void> {
    const full = this.#buffer.subarray(0, this.#filled);
    const start = this.#position;
    this.#position += this.#filled;
    this.#filled = 0;
    this.#buffer = Buffer.allocUnsafe(bufferBytes);
    for (const [from, to] of dataRuns(full)) {
      while (this.#writes.size >= writesMax) await Promise.race(this.#writes);
      this.#throwFailure();
      this.#start(start + from, full.subarray(from, to));
    }
  }

  #start(offset: number, data: Buffer): void {
    const writing: Promise<void> = this.#device
      .write(offset, data, { fua: false })
      .catch((error: unknown) => void (this.#failure ??= { error }))
      .finally(() => this.#writes.delete(writing));
    this.#writes.add(writing);
  }

  #throwFailure(): void {
    if (this.#failure !== undefined) throw this.#failure.error;
  }
}

/** The runs of blocks that hold anything but zeroes. */
function dataRuns(bytes: Buffer): [from: number, to: number][] {
  const runs: [number, number][] = [];
  for (let at = 0; at < bytes.length; at += blockBytes) {
    const block = bytes.subarray(at, at + blockBytes);
    if (block.equals(zeroes.subarray(0, block.length))) continue;
    const last = runs.at(-1);
    if (last !== undefined && last[1] === at) last[1] = at + block.length;
    else runs.push([at, at + block.length]);
  }
  return runs;
}
