// The crash campaign: again and again the service is started, everything is checked, it is written to and snapshot, and
// killed with SIGKILL at a random instant. All choices come from one seed (the timing of the processes does not).
//
//   start ──► settle images ──► check every sector ──► vdisk verify, check an image ──► write, snapshot, clone ──► kill -9 ─┐
//     ▲  └─ at times killed in the middle of its start                                                                      │
//     └─────────────────────────────────────────────────────────────────────────────────────────────────────────────────────┘

import { setTimeout as sleep } from "node:timers/promises";
import { seededRandom, type Random } from "../../src/common/random.ts";
import { BlockStorage } from "../harness/block-storage.ts";
import { prepareAndiron, type AndironProcess, type ConfigGroups } from "../harness/service.ts";
import { sectorBytes } from "./sector-pattern.ts";
import { Victim } from "./victim.ts";
import { VerifyingWriter } from "./writer.ts";

export interface CampaignOptions {
  readonly seed: number;
  readonly kills: number;
  /** Sectors of each disk that are written and checked. */
  readonly sectorCount: number;
  readonly report: (line: string) => void;
}

export interface CampaignTally {
  kills: number;
  killsInStart: number;
  operations: number;
  bytesWritten: number;
  flushes: number;
  imagesVerified: number;
  /** By the cleaner, of the volumes that are left. */
  segmentsDropped: number;
}

/** Everything small, so that sealing, folding and cleaning happen all the time. */
const config: ConfigGroups = {
  engine: {
    segment_bytes: 1024 * 1024,
    journal_bytes_max: 64 * 1024 * 1024,
    cache_bytes: 4 * 1024 * 1024,
    checkpoint_bytes: 4 * 1024 * 1024,
    cleaner_dead_percent: 10,
    cleaner_interval: 0.1, // a service lives for a second
    retired_grace: 0.5,
    lease_ttl: 2,
  },
};
const gibibyte = 1024 ** 3;
const forkAfterKills = 3;
const verifyEveryKills = 5;

/** Resolves when all kills were survived; rejects with what was found wrong, and leaves the state there if KEEP_STATE is set. */
export async function runCampaign(options: CampaignOptions): Promise<CampaignTally> {
  const service = await prepareAndiron(config);
  try {
    return await new Campaign(options, service).run();
  } catch (error) {
    options.report(`seed ${options.seed}; state ${service.folder}\n${await service.logTail()}`);
    throw error;
  } finally {
    await service.dispose();
  }
}

class Campaign {
  readonly #options: CampaignOptions;
  readonly #service: AndironProcess;
  readonly #api: BlockStorage;
  readonly #random: Random;
  readonly #victims: Victim[] = [];
  readonly #tally: CampaignTally = {
    kills: 0,
    killsInStart: 0,
    operations: 0,
    bytesWritten: 0,
    flushes: 0,
    imagesVerified: 0,
    segmentsDropped: 0,
  };
  #stamp = 0;

  constructor(options: CampaignOptions, service: AndironProcess) {
    this.#options = options;
    this.#service = service;
    this.#api = new BlockStorage(service);
    this.#random = seededRandom(options.seed);
  }

  async run(): Promise<CampaignTally> {
    await this.#service.start();
    this.#victims.push(await this.#makeVictim());
    while (this.#tally.kills < this.#options.kills) {
      if (this.#victims.length === 1 && this.#tally.kills >= forkAfterKills) await this.#fork();
      await this.#writeUntilKilled();
      await this.#restart();
      await this.#check();
      if (this.#tally.kills % 20 === 0) this.#options.report(JSON.stringify(this.#tally));
    }
    for (const victim of this.#victims) {
      for (const image of victim.images) {
        this.#expectNothing(await victim.verifyImage(image));
        this.#tally.imagesVerified++;
      }
    }
    await this.#stopAndVerify();
    return this.#tally;
  }

  async #makeVictim(): Promise<Victim> {
    const volumeId = await this.#api.createVolume({ name: "victim", size: 1 });
    const { sectorCount } = this.#options;
    // Any cluster will do, but the area should cross pages of the map and need not begin with one.
    const firstByte = this.#random.below((gibibyte - sectorCount * sectorBytes) / 4096) * 4096;
    const options = { api: this.#api, service: this.#service, random: this.#random, volumeId, firstByte, sectorCount };
    return new Victim(options, new Int32Array(sectorCount));
  }

  async #fork(): Promise<void> {
    const { victim, wrong } = await this.#victims[0]!.fork("fork");
    this.#expectNothing(wrong);
    this.#victims.push(victim);
  }

  async #writeUntilKilled(): Promise<void> {
    const writers: VerifyingWriter[] = [];
    for (const victim of this.#victims) writers.push(await this.#startWriter(victim));
    let killed = false;
    const disturber = this.#disturb(() => killed);
    await Promise.race([sleep(20 + this.#random.below(1200)), disturber]);
    killed = true;
    const early = writers.flatMap(({ failure }) => (failure === undefined ? [] : [failure]));
    await this.#service.kill();
    this.#tally.kills++;
    await disturber;
    for (const writer of writers) {
      await writer.stop();
      this.#expectNothing(writer.wrong);
      this.#tally.operations += writer.tally.operations;
      this.#tally.bytesWritten += writer.tally.bytesWritten;
      this.#tally.flushes += writer.tally.flushes;
    }
    if (early.length > 0) throw new Error("a request failed before the service was killed", { cause: early[0] });
  }

  async #startWriter(victim: Victim): Promise<VerifyingWriter> {
    const device = await victim.connect();
    const firstByte = victim.firstByte;
    const nextStamp = (): number => ++this.#stamp;
    const writer = new VerifyingWriter({ device, model: victim.model, random: this.#random, firstByte, nextStamp, workers: 8 });
    writer.start();
    return writer;
  }

  /** Snapshots, clones and deletes until the kill; rejects when one fails before it. */
  async #disturb(isKilled: () => boolean): Promise<void> {
    while (!isKilled()) {
      try {
        await sleep(this.#random.below(100));
        if (isKilled()) return;
        await this.#victims[this.#random.below(this.#victims.length)]!.disturb();
      } catch (error) {
        if (!isKilled()) throw new Error("a request of the API failed before the service was killed", { cause: error });
      }
    }
  }

  async #restart(): Promise<void> {
    while (this.#random.below(100) < 15) {
      await this.#service.launch();
      await sleep(this.#random.below(1500));
      await this.#service.kill();
      this.#tally.killsInStart++;
    }
    await this.#service.start();
  }

  async #check(): Promise<void> {
    for (const victim of this.#victims) {
      this.#expectNothing(await victim.settleImages());
      this.#expectNothing(await victim.verifyContent());
    }
    const images = this.#victims.flatMap((victim) => victim.images.map((image) => ({ victim, image })));
    if (images.length > 0 && this.#random.below(3) === 0) {
      const { victim, image } = images[this.#random.below(images.length)]!;
      this.#expectNothing(await victim.verifyImage(image));
      this.#tally.imagesVerified++;
    }
    if (this.#tally.kills % verifyEveryKills === 0) await this.#verifyDisks();
  }

  async #verifyDisks(): Promise<void> {
    const { code, stdout, stderr } = await this.#service.manage("vdisk", "verify");
    if (code !== 0) throw new Error(`vdisk verify ended with code ${code}\n${stdout}${stderr}`);
  }

  async #stopAndVerify(): Promise<void> {
    const code = await this.#service.stop();
    if (code !== 0) throw new Error(`the service ended with code ${code} on SIGTERM`);
    await this.#verifyDisks();
    const { stdout } = await this.#service.manage("registry", "dump", "engine/relocation/");
    this.#tally.segmentsDropped = stdout.split("\n").filter((line) => line.includes('"dropped":true')).length;
  }

  #expectNothing(wrong: readonly string[]): void {
    if (wrong.length > 0) throw new Error(`after ${this.#tally.kills} kills:\n${wrong.join("\n")}`);
  }
}
