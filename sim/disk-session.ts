// A guest's use of one attached disk: reads, writes, zeroes, trims, flushes, several at once, each of them told to the model
// when it begins and when it ends.

import type { ExportSession } from "../src/engine/device.ts";
import { clusterBytes } from "../src/engine/limits.ts";
import type { Effect } from "./disk-model.ts";
import type { DiskEntry, Ledger } from "./ledger.ts";
import { judgeImage, judgeInstant } from "./ledger.ts";
import { readStamps, sectorBytes, stampSectors, zeroes } from "./sector-stamp.ts";
import type { SimProcess } from "./sim-process.ts";

const sectorsPerCluster = clusterBytes / sectorBytes;
const readSectorsMax = 512;
const inFlightMax = 6;

export class DiskSession {
  readonly #process: SimProcess;
  readonly #ledger: Ledger;
  readonly #disk: DiskEntry;
  readonly #session: ExportSession;
  readonly #inFlight = new Set<Promise<void>>();
  /** An operation failed or the router took the disk away: it has to be attached anew. */
  #broken = false;

  constructor(process: SimProcess, ledger: Ledger, disk: DiskEntry, session: ExportSession) {
    this.#process = process;
    this.#ledger = ledger;
    this.#disk = disk;
    this.#session = session;
    session.onRevoked(() => {
      this.#broken = true;
      void this.close();
    });
  }

  get isBroken(): boolean {
    return this.#broken;
  }

  async close(): Promise<void> {
    while (this.#inFlight.size > 0) await Promise.race(this.#inFlight);
    await this.#session.close();
  }

  /** Reads the whole disk; false when that could not be done now. Afterwards it is known what it holds. */
  async look(): Promise<boolean> {
    const operations: number[] = [];
    const { model } = this.#disk;
    for (let first = 0; first < model.sectorCount; first += readSectorsMax) {
      const part = await this.#read(first, Math.min(readSectorsMax, model.sectorCount - first));
      if (part === undefined) return false;
      operations.push(...part);
    }
    const problem = this.#judge(operations);
    if (problem !== undefined) this.#accuse(problem);
    const { world } = this.#process;
    model.settle(operations, world.tick());
    this.#disk.origin = undefined;
    this.#disk.unseen = undefined;
    world.note(`${this.#disk.label} looked at`);
    return true;
  }

  /** Begins one operation at random; waits only when many are under way. */
  async step(): Promise<void> {
    const { random } = this.#process;
    while (this.#inFlight.size >= inFlightMax) await Promise.race(this.#inFlight);
    if (this.#broken) return;
    const kind = random.below(100);
    if (kind < 55) this.#begin(this.#write());
    else if (kind < 65) this.#begin(this.#zero(false));
    else if (kind < 72) this.#begin(this.#zero(true));
    else if (kind < 84) this.#begin(this.#check());
    else if (kind < 92) this.#begin(this.#flush());
    else await this.#process.life.sleep(random.below(120));
  }

  #begin(operation: Promise<void>): void {
    const run = operation.finally(() => this.#inFlight.delete(run));
    this.#inFlight.add(run);
    run.catch(() => undefined);
  }

  /** Whole clusters mostly, or any sectors; mostly small, and some places more often than others. */
  #range(): { readonly first: number; readonly count: number } {
    const { random } = this.#process;
    const { sectorCount } = this.#disk.model;
    const aligned = random.below(3) > 0;
    const unit = aligned ? sectorsPerCluster : 1;
    const units = sectorCount / unit;
    const hot = random.below(2) === 0 ? units : Math.max(1, units >> 3);
    const first = random.below(hot);
    const longest = random.below(10) === 0 ? 24 : 4;
    const count = Math.min(1 + random.below(longest), units - first);
    return { first: first * unit, count: count * unit };
  }

  #write(): Promise<void> {
    const { first, count } = this.#range();
    const operation = this.#ledger.takeOperation();
    const fua = this.#process.random.below(6) === 0;
    const bytes = stampSectors(operation, first, count);
    const what = `${this.#disk.label} write ${operation} at ${first}+${count}${fua ? " fua" : ""}`;
    return this.#change(what, first, count, operation, fua, () =>
      this.#session.device.write(first * sectorBytes, bytes, { fua }),
    );
  }

  #zero(trim: boolean): Promise<void> {
    const { first, count } = this.#range();
    const fua = this.#process.random.below(6) === 0;
    const offset = first * sectorBytes;
    const what = `${this.#disk.label} ${trim ? "trim" : "zero"} at ${first}+${count}${fua ? " fua" : ""}`;
    if (!trim) {
      const zero = (): Promise<void> => this.#session.device.writeZeroes(offset, count * sectorBytes, { fua, noHole: false });
      return this.#change(what, first, count, zeroes, fua, zero);
    }
    // Only whole clusters of it become zeroes.
    const start = Math.ceil(first / sectorsPerCluster) * sectorsPerCluster;
    const end = Math.floor((first + count) / sectorsPerCluster) * sectorsPerCluster;
    const run = (): Promise<void> => this.#session.device.trim(offset, count * sectorBytes, { fua });
    return this.#change(what, start, Math.max(0, end - start), zeroes, fua, run);
  }

  async #change(
    what: string,
    first: number,
    count: number,
    operation: number,
    fua: boolean,
    run: () => Promise<void>,
  ): Promise<void> {
    const { world } = this.#process;
    const { model } = this.#disk;
    world.note(what);
    const effect: Effect = model.begin(first, count, operation, world.tick());
    try {
      await this.#process.life.guard(run());
      model.end(effect, fua ? "durable" : "done", world.tick());
      world.note(`${what} done`);
    } catch (error) {
      model.end(effect, "failed", world.tick());
      this.#broken = true;
      this.#process.refuse(what, error);
    }
  }

  async #flush(): Promise<void> {
    const { world } = this.#process;
    const begunAt = world.tick();
    try {
      await this.#process.life.guard(this.#session.device.flush());
      this.#disk.model.flushed(begunAt, world.tick());
      world.note(`${this.#disk.label} flush of ${begunAt} done`);
    } catch (error) {
      this.#broken = true;
      this.#process.refuse(`${this.#disk.label} flush`, error);
    }
  }

  async #check(): Promise<void> {
    const { first, count } = this.#range();
    const since = this.#process.world.tick();
    const operations = await this.#read(first, count);
    if (operations === undefined) return;
    const until = this.#process.world.tick();
    const problem = this.#disk.model.judge(operations, first, { since, until, lossy: false });
    if (problem !== undefined) this.#accuse(`a read since ${since} until ${until}: ${problem}`);
  }

  async #read(first: number, count: number): Promise<number[] | undefined> {
    const target = Buffer.alloc(count * sectorBytes, 0xee);
    try {
      await this.#process.life.guard(this.#session.device.read(first * sectorBytes, target) ?? Promise.resolve());
      return readStamps(target, first);
    } catch (error) {
      this.#broken = true;
      this.#process.refuse(`${this.#disk.label} read`, error);
      return undefined;
    }
  }

  #judge(operations: readonly number[]): string | undefined {
    const { origin, unseen, model } = this.#disk;
    if (origin !== undefined) {
      const sets = this.#ledger.together.filter((set) => set.some((snapshot) => snapshot.image === origin));
      return judgeImage(origin, operations) ?? sets.map(judgeInstant).find((problem) => problem !== undefined);
    }
    const now = this.#process.world.tick();
    return model.judge(operations, 0, { since: unseen?.since ?? now, until: now, lossy: unseen?.lossy ?? false });
  }

  #accuse(problem: string): void {
    this.#process.accuse(`${this.#disk.label}: ${problem}`);
  }
}
