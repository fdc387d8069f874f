// A block device in memory and a directory of such, for the tests of nbd/ (the engine has its own). It knows which
// clusters hold data, can be told to wait or to fail, and says what it was asked.

import assert from "node:assert/strict";
import { test } from "node:test";
import { AndironError } from "../common/errors.ts";
import type {
  BlockDevice,
  ExportDirectory,
  ExportSession,
  Extent,
  LentBytes,
  WriteOptions,
  ZeroOptions,
} from "../engine/device.ts";

const clusterBytes = 4096;

export class RamDevice implements BlockDevice {
  readonly bytes: Buffer;
  readonly clusters: Uint8Array;
  readOnly = false;
  /** Every request waits for this before it is done. */
  gate: Promise<void> | undefined;
  /** Every request but reads rejects, and reads reject too, with this. */
  failure: Error | undefined;
  /** Answer reads with a promise although they are done at once. */
  asynchronousReads = false;
  /** Bytes in a piece that is lent; 0: nothing is. */
  lentBytesMax = 0;
  /** Pieces that are lent now, and all that were. */
  lentCount = 0;
  lentTotal = 0;
  /** Extents are told without a promise. */
  immediateExtents = false;
  readonly calls: string[] = [];
  active = 0;
  activeMax = 0;
  /** Asked for by reads. */
  readBytes = 0;
  /** Told of each read. */
  onRead: () => void = () => {};
  /** Told of each other request. */
  onChange: () => void = () => {};

  constructor(sizeBytes: number) {
    this.bytes = Buffer.alloc(sizeBytes);
    this.clusters = new Uint8Array(Math.ceil(sizeBytes / clusterBytes));
  }

  get sizeBytes(): number {
    return this.bytes.length;
  }

  read(offset: number, target: Buffer): Promise<void> | undefined {
    this.readBytes += target.length;
    this.onRead();
    if (this.gate !== undefined || this.failure !== undefined || this.asynchronousReads) {
      return this.#when(() => void this.bytes.copy(target, 0, offset, offset + target.length));
    }
    this.bytes.copy(target, 0, offset, offset + target.length);
    return undefined;
  }

  /** In pieces, which have other bytes as soon as they are given back. */
  lend(offset: number, lengthBytes: number): LentBytes[] | undefined {
    if (this.lentBytesMax === 0) return undefined;
    const lent: LentBytes[] = [];
    for (let at = offset; at < offset + lengthBytes; at += this.lentBytesMax) {
      const bytes = Buffer.from(this.bytes.subarray(at, Math.min(at + this.lentBytesMax, offset + lengthBytes)));
      this.lentCount++;
      this.lentTotal++;
      const giveBack = (): void => {
        this.lentCount--;
        bytes.fill(0xee);
      };
      lent.push({ bytes, giveBack });
    }
    return lent;
  }

  write(offset: number, data: Buffer, options: WriteOptions): Promise<void> {
    this.#note(`write ${offset} ${data.length}${options.fua ? " fua" : ""}`);
    return this.#when(() => {
      data.copy(this.bytes, offset);
      this.clusters.fill(1, Math.floor(offset / clusterBytes), Math.ceil((offset + data.length) / clusterBytes));
    });
  }

  flush(): Promise<void> {
    this.#note("flush");
    return this.#when(() => {});
  }

  trim(offset: number, lengthBytes: number, options: WriteOptions): Promise<void> {
    this.#note(`trim ${offset} ${lengthBytes}${options.fua ? " fua" : ""}`);
    return this.#when(() => {
      const first = Math.ceil(offset / clusterBytes);
      const end = Math.max(first, Math.floor((offset + lengthBytes) / clusterBytes));
      this.bytes.fill(0, first * clusterBytes, end * clusterBytes);
      this.clusters.fill(0, first, end);
    });
  }

  async writeZeroes(offset: number, lengthBytes: number, options: ZeroOptions): Promise<void> {
    this.#note(`zero ${offset} ${lengthBytes}${options.fua ? " fua" : ""}${options.noHole ? " no-hole" : ""}`);
    await this.#when(() => void this.bytes.fill(0, offset, offset + lengthBytes));
    const first = Math.ceil(offset / clusterBytes);
    this.clusters.fill(0, first, Math.max(first, Math.floor((offset + lengthBytes) / clusterBytes)));
  }

  cache(offset: number, lengthBytes: number): Promise<void> {
    this.#note(`cache ${offset} ${lengthBytes}`);
    return this.#when(() => {});
  }

  extents(offset: number, lengthBytes: number, countMax: number): Extent[] | Promise<Extent[]> {
    const look = (): Extent[] => this.#extents(offset, lengthBytes, countMax);
    return this.immediateExtents ? look() : this.#when(() => {}).then(look);
  }

  #extents(offset: number, lengthBytes: number, countMax: number): Extent[] {
    const extents: Extent[] = [];
    const end = offset + lengthBytes;
    for (let at = offset; at < end && extents.length < countMax;) {
      const allocated = this.clusters[Math.floor(at / clusterBytes)] === 1;
      let cluster = Math.floor(at / clusterBytes) + 1;
      while (cluster * clusterBytes < end && (this.clusters[cluster] === 1) === allocated) cluster += 1;
      const extentEnd = Math.min(cluster * clusterBytes, end);
      extents.push({ lengthBytes: extentEnd - at, allocated });
      at = extentEnd;
    }
    return extents;
  }

  #note(call: string): void {
    this.onChange();
    if (this.calls.length < 1000) this.calls.push(call);
  }

  async #when(run: () => void): Promise<void> {
    this.active += 1;
    this.activeMax = Math.max(this.activeMax, this.active);
    try {
      if (this.gate !== undefined) await this.gate;
      if (this.failure !== undefined) throw this.failure;
      run();
    } finally {
      this.active -= 1;
    }
  }
}

/** Exports by name; counts the sessions that are open, and can revoke them. */
export class RamDirectory implements ExportDirectory {
  readonly devices = new Map<string, RamDevice>();
  readonly cuts = new Set<() => void>();
  openSessions = 0;
  closedSessions = 0;
  /** Sessions whose client went without a word. */
  readonly gone = new Set<object>();

  add(name: string, sizeBytes: number): RamDevice {
    const device = new RamDevice(sizeBytes);
    this.devices.set(name, device);
    return device;
  }

  async open(exportName: string): Promise<ExportSession> {
    await Promise.resolve();
    const device = this.devices.get(exportName);
    if (device === undefined) throw new AndironError("export_not_found", "no such export");
    this.openSessions += 1;
    let cutThis: (() => void) | undefined;
    const session = {};
    return {
      device,
      description: `a RAM disk of ${device.sizeBytes} bytes`,
      onRevoked: (cut) => {
        cutThis = cut;
        this.cuts.add(cut);
      },
      clientGone: () => {
        this.gone.add(session);
      },
      close: async () => {
        assert.equal(device.active === 0 || device.gate === undefined, true, "closed with requests in the device");
        if (cutThis !== undefined) this.cuts.delete(cutThis);
        this.openSessions -= 1;
        this.closedSessions += 1;
      },
    };
  }
}

test("a RAM device tells holes from data", async () => {
  const device = new RamDevice(64 * 1024);
  await device.write(8192, Buffer.alloc(4096, 1), { fua: false });
  assert.deepEqual(await device.extents(0, 65536, 10), [
    { lengthBytes: 8192, allocated: false },
    { lengthBytes: 4096, allocated: true },
    { lengthBytes: 65536 - 12288, allocated: false },
  ]);
});
