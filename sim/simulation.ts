// One run: a process lives, dies at a moment that the seed chooses, with the power or alone, and the next one starts on what
// is left; after each death everything is read and compared with what it may be.
//
//     live ──fuse burnt──► dead ──kill, or power loss──► live: what was asked for is looked up, every disk is read, work goes on
//       └ the last one: all is read and verified, drained, stopped; the local disk is thrown away; all is read again, deleted

import { keys } from "../src/engine/records.ts";
import { Verifier } from "../src/engine/verify.ts";
import { Guest } from "./guest.ts";
import { Ledger } from "./ledger.ts";
import { SimDisk } from "./sim-disk.ts";
import { SimProcess } from "./sim-process.ts";
import { describeError, simPools, World } from "./world.ts";

export interface Outcome {
  readonly seed: number;
  /** The same for every run of the seed. */
  readonly traceHash: string;
  readonly problem: string | undefined;
  /** The last events, oldest first. */
  readonly events: readonly string[];
  readonly deaths: number;
  readonly operations: number;
}

const livesMax = 6;
/** Simulated time that a process may take; beyond it something is stuck. */
const lifeMsMax = 30 * 60_000;
const workMsMax = 90_000;
const guests = 3;
const emptyMsMax = 5 * 60_000;
const verifyAttempts = 4;
const forever = Number.MAX_SAFE_INTEGER;

/** Runs the seed's program. Resolves with what was found; never rejects for what the engine did. */
export async function simulate(seed: number): Promise<Outcome> {
  const world = await World.make(seed);
  const rejected = (error: unknown): void => world.accuse(`a promise was rejected and nobody listened: ${describeError(error)}`);
  process.on("unhandledRejection", rejected);
  try {
    const run = new Run(world);
    await run.all();
    const { violation, events } = world;
    const { deaths, operations } = run;
    return { seed, traceHash: world.traceHash(), problem: violation?.message, events: [...events], deaths, operations };
  } finally {
    process.off("unhandledRejection", rejected);
    await world.close();
  }
}

class Run {
  readonly #world: World;
  readonly #ledger = new Ledger();
  deaths = 0;

  constructor(world: World) {
    this.#world = world;
  }

  get operations(): number {
    return this.#ledger.takeOperation() - 1;
  }

  async all(): Promise<void> {
    const { random } = this.#world;
    const lives = 1 + random.below(livesMax);
    this.#setFaults();
    for (let life = 0; life < lives && this.#world.violation === undefined; life++) {
      // From a death during the first start to one after thousands of calls.
      const fuse = random.below(2 ** (4 + random.below(10)));
      const process = new SimProcess(this.#world, fuse);
      await this.#live(process, () => this.#work(process), workMsMax);
      this.#die(process);
    }
    this.#endFaults();
    await this.#whole("the last life", (process) => this.#audit(process));
    this.#world.disk = new SimDisk(this.#world.fork());
    this.#world.note("the local disk is thrown away");
    await this.#whole("the life on a new local disk", (process) => this.#empty(process));
  }

  /** A life without a death: it has to come to its end. */
  async #whole(what: string, body: (process: SimProcess) => Promise<void>): Promise<void> {
    if (this.#world.violation !== undefined) return;
    const process = new SimProcess(this.#world, forever);
    const run = async (): Promise<void> => {
      await process.start();
      await this.#catchUp(process);
      await body(process);
      await process.stop();
    };
    const ended = await this.#live(process, run, lifeMsMax);
    if (!ended) this.#world.accuse(`${what} did not come to an end`);
    process.life.kill();
    this.#ledger.died(this.#world.tick(), false);
  }

  /** Lets time go by until the process is dead, `body` is done (true), time is up, or the engine broke a promise. */
  async #live(process: SimProcess, body: () => Promise<void>, durationMs: number): Promise<boolean> {
    const { clock } = this.#world;
    const endMs = clock.monotonicMs() + durationMs;
    let done = false;
    body().then(
      () => (done = true),
      (error: unknown) => process.accuse(`unexpected: ${describeError(error)}`),
    );
    while (!done && process.life.isAlive && this.#world.violation === undefined && clock.monotonicMs() < endMs)
      await clock.step();
    return done;
  }

  #die(process: SimProcess): void {
    const { random } = this.#world;
    process.life.kill();
    const lossy = random.below(2) === 0;
    if (lossy) this.#world.disk.losePower();
    this.#world.disk.faults.full = false;
    for (const backend of this.#world.backends.values()) backend.release();
    this.deaths++;
    this.#world.note(lossy ? "POWER LOSS" : "KILL");
    this.#ledger.died(this.#world.tick(), lossy);
  }

  async #work(process: SimProcess): Promise<void> {
    await process.startOrDie();
    await this.#catchUp(process);
    this.#world.note("caught up");
    const workers = Array.from({ length: guests }, () => new Guest(process, this.#ledger).work());
    await Promise.all([...workers, this.#makeTrouble(process)]);
  }

  /** What the last process was in the middle of is looked up, and every disk is read. */
  async #catchUp(process: SimProcess): Promise<void> {
    const guest = new Guest(process, this.#ledger);
    const { control } = process;
    for (const disk of this.#ledger.disks.filter((entry) => entry.fate !== "gone")) {
      const info = await process.insist(`look for ${disk.label}`, () => control.vdisk(disk.id));
      if (info === undefined && disk.fate === "here") process.accuse(`${disk.label} has vanished`);
      if (info !== undefined) disk.pool = info.pool;
      if (info === undefined) disk.fate = "gone";
      else if (disk.fate === "deleting") await guest.deleteDisk(disk);
      else await guest.awaitDisk(disk);
    }
    for (const copy of this.#ledger.copies.filter((entry) => !entry.isGone)) await guest.dropCopy(copy);
    for (const snapshot of this.#ledger.snapshots.filter((entry) => entry.fate !== "gone")) {
      const info = await process.insist(`look for ${snapshot.label}`, () => control.snapshot(snapshot.id));
      if (info === undefined && snapshot.fate === "here") process.accuse(`${snapshot.label} has vanished`);
      if (info === undefined) snapshot.fate = "gone";
      else if (snapshot.fate === "deleting") await guest.deleteSnapshot(snapshot);
      else if (snapshot.fate === "creating") await guest.awaitSnapshot(snapshot);
    }
    for (const disk of this.#ledger.disks.filter((entry) => entry.fate === "here")) await guest.useDisk(disk, 0);
  }

  async #audit(process: SimProcess): Promise<void> {
    const guest = new Guest(process, this.#ledger);
    for (const snapshot of this.#ledger.snapshots.filter((entry) => entry.fate === "here")) await guest.checkSnapshot(snapshot);
    for (const disk of this.#ledger.disks.filter((entry) => entry.fate === "here")) await guest.useMovingDisk(disk);
    // The cleaner may remove what was deleted while it is being looked at: what is wrong is wrong every time.
    for (let attempt = 1; attempt <= verifyAttempts; attempt++) {
      const findings: string[] = [];
      for (const pool of simPools) {
        findings.push(...(await new Verifier(process.router.contextOf(pool), { readData: true }).run()).findings);
      }
      if (findings.length === 0) break;
      if (attempt === verifyAttempts) process.accuse(`verify: ${findings.join("; ")}`);
      await process.life.sleep(5000);
    }
    for (const disk of this.#ledger.disks.filter((entry) => entry.fate === "here")) await guest.detach(disk);
  }

  /** Everything was drained to the backend: it is all there without the local disk. Then nothing may be left of it. */
  async #empty(process: SimProcess): Promise<void> {
    const guest = new Guest(process, this.#ledger);
    for (const snapshot of this.#ledger.snapshots.filter((entry) => entry.fate === "here")) {
      await guest.checkSnapshot(snapshot);
      await guest.deleteSnapshot(snapshot);
    }
    for (const disk of this.#ledger.disks.filter((entry) => entry.fate === "here")) await guest.deleteDisk(disk);
    // The end of whatever is not stuck is a matter of the cleaner's pauses.
    const { clock, memories } = this.#world;
    const untilMs = clock.monotonicMs() + emptyMsMax;
    for (;;) {
      const { entries } = await process.registry.range({ prefix: keys.logs });
      const left = [...memories.values()].flatMap((memory) => memory.names).concat(entries.map(({ key }) => key));
      if (left.length === 0) return;
      if (clock.monotonicMs() >= untilMs) return process.accuse(`left behind: ${left.slice(0, 20).join(", ")}`);
      await process.life.sleep(1000);
    }
  }

  /** What else goes wrong while it works. */
  async #makeTrouble(process: SimProcess): Promise<void> {
    const { random, life } = process;
    const { disk, backends, clock } = this.#world;
    for (;;) {
      await life.sleep(200 + random.below(4000));
      const kind = random.below(20);
      if (kind < 3) {
        this.#world.note("local disk full");
        disk.faults.full = true;
        await life.sleep(random.below(300));
        disk.faults.full = false;
        this.#world.note("local disk has room");
      } else if (kind < 6) {
        this.#world.note("backend hangs");
        const backend = backends.get(simPools[random.below(simPools.length)]!)!;
        backend.hold();
        await life.sleep(random.below(5000));
        backend.release();
        this.#world.note("backend goes on");
      } else if (kind === 6) {
        this.#world.note("suspended");
        clock.jump(15_000);
      }
    }
  }

  #setFaults(): void {
    const { random, disk, backends } = this.#world;
    if (random.below(4) === 0) disk.faults.syncFailShare = 0.01;
    const share = [0, 0, 0.01, 0.1][random.below(4)]!;
    const delayMsMax = random.below(40);
    for (const { faults } of backends.values()) {
      Object.assign(faults, { failBeforeShare: share, failAfterShare: share / 2, delayMsMax, listLagCount: 5 });
    }
  }

  #endFaults(): void {
    this.#world.disk.faults.syncFailShare = 0;
    for (const { faults } of this.#world.backends.values()) {
      Object.assign(faults, { failBeforeShare: 0, failAfterShare: 0, delayMsMax: 0, listLagCount: 0 });
    }
  }
}
