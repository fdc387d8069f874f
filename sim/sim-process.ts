// One simulated process: a storage router and the verbs over it, on a simulated disk, with everything it asks of the world
// going through its life.

import type { Random } from "../src/common/random.ts";
import { AndironError } from "../src/common/errors.ts";
import { systemCodeOf } from "../src/common/system-errors.ts";
import type { ObjectBackend } from "../src/engine/backend/backend.ts";
import { withRetries } from "../src/engine/backend/retrying.ts";
import type { EngineSettings } from "../src/engine/engine-context.ts";
import { KiB, MiB } from "../src/engine/limits.ts";
import { RecordControl } from "../src/engine/record-control.ts";
import { StorageRouter } from "../src/engine/router.ts";
import type { Tx } from "../src/registry/atomic.ts";
import { atomically } from "../src/registry/atomic.ts";
import type { Registry } from "../src/registry/registry.ts";
import { Life } from "./life.ts";
import { backendOf } from "./memory-backend.ts";
import { registryOf } from "./registry-port.ts";
import type { World } from "./world.ts";
import { describeError } from "./world.ts";

/** Small everything: a run of some hundred writes seals, folds, compacts and fills. */
const settings: EngineSettings = {
  segmentBytes: 64 * KiB,
  checkpointBytes: 200 * KiB,
  checkpointEntries: 60,
  journalBytesMax: 2 * MiB,
  cacheBytes: 256 * KiB,
  cacheDedupe: false,
  mapCacheBytes: 128 * KiB,
  readAheadBytes: 32 * KiB,
  cleanerDeadShare: 0.3,
  cleanerIntervalMs: 4000,
  retiredGraceMs: 12_000,
  leaseTtlMs: 10_000,
};

const stateDirectory = "/var/state";
const journalDirectory = "/var/state/journal";

export class SimProcess {
  readonly life: Life;
  readonly world: World;
  readonly random: Random;
  readonly registry: Registry;
  readonly router: StorageRouter;
  readonly control: RecordControl;

  /** `fuse`: how many calls to the world it lives. */
  constructor(world: World, fuse: number) {
    this.world = world;
    this.random = world.fork();
    this.life = new Life(world.clock, world.fork(), fuse);
    this.registry = registryOf(this.life, world.registry);
    const retrying = (backend: ObjectBackend): ObjectBackend =>
      withRetries(backendOf(this.life, backend), { clock: this.life, random: world.fork() });
    const backends = new Map([...world.backends].map(([pool, backend]) => [pool, retrying(backend)]));
    const shared = { registry: this.registry, clock: this.life, random: world.fork(), log: world.logOf(() => this.life.isAlive) };
    world.disk.prepare(stateDirectory);
    this.router = new StorageRouter({
      ...shared,
      threadMs: () => 0,
      backends,
      settings,
      host: "simulated",
      disk: world.disk.mount(this.life),
      stateDirectory,
      journalDirectory,
      nbdAddress: () => ({ hosts: ["127.0.0.1"], port: 10809 }),
      drainMsMax: 600_000,
    });
    const pools = new Map([...backends].map(([pool, backend]) => [pool, () => backend.capacity()]));
    // Cuts are taken at once by some, and wished for by others, as when the verbs and the router are two processes.
    const cuts = world.fork().below(2) === 0 ? { cuts: this.router } : {};
    this.control = new RecordControl({ ...shared, pools, ...cuts });
  }

  async start(): Promise<void> {
    await this.control.start();
    await this.router.start();
  }

  /** A service that cannot sync its state directory does not start: it says so and ends. */
  async startOrDie(): Promise<void> {
    try {
      await this.start();
    } catch (error) {
      if (this.world.disk.faults.syncFailShare === 0 || systemCodeOf(error) !== "EIO") throw error;
      this.world.note(`cannot start: ${describeError(error)}`);
      this.life.kill();
      await this.life.sleep(0); // the dead go no further
    }
  }

  async stop(): Promise<void> {
    await this.router.stop();
    await this.control.stop();
  }

  async atomically<T>(body: (tx: Tx) => Promise<T>): Promise<T> {
    return (await atomically(this.registry, { clock: this.life, random: this.random }, body)).value;
  }

  /** True for a failure that the world's faults explain: the caller looks again later. Anything else is the engine's. */
  excuses(error: unknown): boolean {
    if (!(error instanceof AndironError)) return false;
    if (error.code === "journal_poisoned") return this.world.disk.faults.syncFailShare > 0;
    return ["unavailable", "fenced", "no-space", "conflict"].includes(error.kind) || error.code === "export_not_found";
  }

  /** Does it until it works; failures that nothing explains end the run. */
  async insist<T>(what: string, operation: () => Promise<T>): Promise<T> {
    for (let delayMs = 20; ; delayMs = Math.min(delayMs * 2, 2000)) {
      try {
        return await operation();
      } catch (error) {
        this.refuse(what, error);
      }
      await this.life.sleep(delayMs);
    }
  }

  /** The engine broke a promise, as this process sees it; what the dead see does not count. */
  accuse(what: string): void {
    if (this.life.isAlive) this.world.accuse(what);
  }

  /** Notes a failure; throws it, and ends the run, when nothing explains it. */
  refuse(what: string, error: unknown): void {
    if (!this.life.isAlive) return;
    this.world.note(`${what} failed: ${describeError(error)}`);
    if (this.excuses(error)) return;
    this.accuse(`${what} failed: ${describeError(error)}`);
    throw error;
  }
}
