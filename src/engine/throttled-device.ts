// A block device whose reads and writes wait until the limits of its vDisk let them go (throttle.ts). Trims and zeroes count as
// one write without bytes; flushes, extents and what is read ahead into the cache do not wait.

import { AndironError } from "../common/errors.ts";
import type { RequestKind } from "./control.ts";
import type { BlockDevice, Extent, WriteOptions, ZeroOptions } from "./device.ts";
import type { Throttle } from "./throttle.ts";

export interface RevocableDevice extends BlockDevice {
  /** Nothing is written any more; what waits is refused. */
  revoke(): void;
}

export class ThrottledDevice implements RevocableDevice {
  readonly readOnly: boolean;
  readonly #device: RevocableDevice;
  readonly #throttle: Throttle;
  #isRevoked = false;

  constructor(device: RevocableDevice, throttle: Throttle) {
    this.readOnly = device.readOnly;
    this.#device = device;
    this.#throttle = throttle;
  }

  get sizeBytes(): number {
    return this.#device.sizeBytes;
  }

  read(offset: number, target: Buffer): Promise<void> | undefined {
    const wait = this.#wait("read", target.length);
    return wait === undefined ? this.#device.read(offset, target) : wait.then(() => this.#device.read(offset, target));
  }

  write(offset: number, data: Buffer, options: WriteOptions): Promise<void> {
    return this.#after(this.#wait("write", data.length), () => this.#device.write(offset, data, options));
  }

  flush(): Promise<void> {
    return this.#device.flush();
  }

  trim(offset: number, lengthBytes: number, options: WriteOptions): Promise<void> {
    return this.#after(this.#wait("write", 0), () => this.#device.trim(offset, lengthBytes, options));
  }

  writeZeroes(offset: number, lengthBytes: number, options: ZeroOptions): Promise<void> {
    return this.#after(this.#wait("write", 0), () => this.#device.writeZeroes(offset, lengthBytes, options));
  }

  cache(offset: number, lengthBytes: number): Promise<void> {
    return this.#device.cache(offset, lengthBytes);
  }

  extents(offset: number, lengthBytes: number, countMax: number): Extent[] | Promise<Extent[]> {
    return this.#device.extents(offset, lengthBytes, countMax);
  }

  revoke(): void {
    this.#isRevoked = true;
    this.#throttle.cancel(this);
    this.#device.revoke();
  }

  #wait(kind: RequestKind, bytes: number): Promise<void> | undefined {
    if (this.#isRevoked) return Promise.reject(new AndironError("export_revoked", "the export was revoked"));
    return this.#throttle.take(kind, bytes, this);
  }

  #after(wait: Promise<void> | undefined, run: () => Promise<void>): Promise<void> {
    return wait === undefined ? run() : wait.then(run);
  }
}
