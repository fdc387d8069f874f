// The verifying writer: some workers on one NBD connection, each with one operation at a time, of random kind, place and
// size, from a seed. It tells the model before it sends and after it was answered. It goes on until stop() or until the
// connection breaks; whether that was expected is for the campaign to say.

import type { Random } from "../../src/common/random.ts";
import type { BlockDevice } from "../../src/engine/device.ts";
import type { Operation, SectorModel } from "./sector-model.ts";
import { sectorBytes, sectorsOf, stampsOf } from "./sector-pattern.ts";

export interface WriterOptions {
  readonly device: BlockDevice;
  readonly model: SectorModel;
  readonly random: Random;
  /** Where on the disk the model's sector 0 is. */
  readonly firstByte: number;
  /** A stamp that no write had before. */
  readonly nextStamp: () => number;
  readonly workers: number;
}

export interface WriterTally {
  operations: number;
  bytesWritten: number;
  flushes: number;
}

const clusterSectors = 8;

export class VerifyingWriter {
  readonly tally: WriterTally = { operations: 0, bytesWritten: 0, flushes: 0 };
  /** Wrong answers to reads of what was surely there. */
  readonly wrong: string[] = [];
  /** The first error of a worker, if any: all end with it. */
  failure: unknown;
  readonly #options: WriterOptions;
  #stopped = false;
  #done: Promise<void> | undefined;

  constructor(options: WriterOptions) {
    this.#options = options;
  }

  start(): void {
    this.#done = Promise.all(Array.from({ length: this.#options.workers }, () => this.#work())).then(() => undefined);
  }

  /** Resolves when the operations in flight have ended, one way or the other. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#done;
  }

  async #work(): Promise<void> {
    while (!this.#stopped) {
      try {
        await this.#step();
        this.tally.operations++;
      } catch (error) {
        this.failure ??= error;
        this.#stopped = true;
      }
    }
  }

  #step(): Promise<void> {
    const dice = this.#options.random.below(100);
    if (dice < 8) return this.#flush();
    const [firstSector, count] = this.#range();
    if (dice < 16) return this.#check(firstSector, count);
    if (!this.#options.model.isIdle(firstSector, count)) return Promise.resolve();
    if (dice < 24) return this.#zero(firstSector, count, dice === 23);
    if (dice < 32) return this.#trim(firstSector, count);
    return this.#write(firstSector, count, dice >= 90);
  }

  async #write(firstSector: number, count: number, fua: boolean): Promise<void> {
    const { device, model, nextStamp } = this.#options;
    const operation = model.issue("write", nextStamp(), firstSector, count);
    await device.write(this.#byteOf(firstSector), sectorsOf(operation.stamp, firstSector, count), { fua });
    model.acknowledge(operation, fua);
    this.tally.bytesWritten += count * sectorBytes;
  }

  async #zero(firstSector: number, count: number, fua: boolean): Promise<void> {
    const { device, model } = this.#options;
    const operation = model.issue("zero", 0, firstSector, count);
    await device.writeZeroes(this.#byteOf(firstSector), count * sectorBytes, { fua, noHole: count % 2 === 0 });
    model.acknowledge(operation, fua);
  }

  async #trim(firstSector: number, count: number): Promise<void> {
    const { device, model } = this.#options;
    const operation: Operation = model.issue("trim", 0, firstSector, count);
    await device.trim(this.#byteOf(firstSector), count * sectorBytes, { fua: false });
    const wrong = model.acknowledgeTrim(operation, await this.#read(firstSector, count));
    if (wrong.length > 0) this.wrong.push(`sectors ${wrong.join()}: neither old nor zero after a trim`);
  }

  async #flush(): Promise<void> {
    const { device, model } = this.#options;
    const issuedAt = model.flushIssued();
    await device.flush();
    model.flushed(issuedAt);
    this.tally.flushes++;
  }

  /** Reads, and checks the sectors that nobody touched from before the read until after it. */
  async #check(firstSector: number, count: number): Promise<void> {
    const { model } = this.#options;
    const sectors = Array.from({ length: count }, (_, index) => firstSector + index);
    const before = sectors.map((sector) => model.valueOf(sector));
    const found = await this.#read(firstSector, count);
    sectors.forEach((sector, index) => {
      const expected = before[index];
      // A value that came and went meanwhile is ruled out: stamps are not used twice, and zeroes are passed over.
      if (expected === undefined || expected === 0 || model.valueOf(sector) !== expected) return;
      if (found[index] !== expected) this.wrong.push(`sector ${sector}: read ${found[index]}, expected ${expected}`);
    });
  }

  async #read(firstSector: number, count: number): Promise<Int32Array> {
    const bytes = Buffer.alloc(count * sectorBytes);
    await this.#options.device.read(this.#byteOf(firstSector), bytes);
    return stampsOf(bytes, firstSector);
  }

  #byteOf(sector: number): number {
    return this.#options.firstByte + sector * sectorBytes;
  }

  /** Mostly small and often on whole clusters, at times up to 256 KiB or 2 MiB, in a hot quarter of the disk most of all. */
  #range(): [firstSector: number, count: number] {
    const { random, model } = this.#options;
    const hot = random.below(4) > 0 ? Math.ceil(model.sectorCount / 4) : model.sectorCount;
    const dice = random.below(64);
    let count = 1 + random.below(dice === 0 ? 4096 : dice < 8 ? 512 : 32);
    let first = random.below(hot);
    if (random.below(2) === 0) {
      first -= first % clusterSectors;
      count = Math.ceil(count / clusterSectors) * clusterSectors;
    }
    return [first, Math.min(count, model.sectorCount - first)];
  }
}
