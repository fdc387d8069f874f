// Everything around the simulated processes, from one seed: time, chance, the disk, the object store, the registry, and the
// record of what happened.
//
// The registry is the embedded one, in this thread and on simulated time: it is taken to survive everything (its own tests
// see to that). Its file is on the real disk; nothing else is.

import { createHash } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Random } from "../src/common/random.ts";
import { seededRandom } from "../src/common/random.ts";
import { FaultyBackend } from "../src/engine/backend/faulty.ts";
import type { EngineLog } from "../src/engine/engine-context.ts";
import type { Registry } from "../src/registry/registry.ts";
import { openInlineRegistry } from "../src/registry/sqlite/open.ts";
import { MemoryBackend } from "./memory-backend.ts";
import { SimDisk } from "./sim-disk.ts";
import { VirtualClock } from "./virtual-clock.ts";

export const simPools: readonly string[] = ["pool1", "pool2"];

const eventsKept = 400;
/** How often the embedded registry looks for leases to renew or to end. */
const registryTickMs = 250;

/** The engine broke a promise; the run ends. */
export class Violation extends Error {
  override readonly name = "Violation";
}

export class World {
  readonly clock: VirtualClock;
  readonly random: Random;
  readonly registry: Registry;
  /** By vPool. */
  readonly memories: ReadonlyMap<string, MemoryBackend>;
  readonly backends: ReadonlyMap<string, FaultyBackend>;
  disk: SimDisk;
  violation: Violation | undefined;
  readonly events: string[] = [];
  readonly #directory: string;
  readonly #hash = createHash("sha256");
  #tick = 0;

  private constructor(options: { clock: VirtualClock; random: Random; registry: Registry; directory: string }) {
    const { clock, random } = options;
    this.clock = clock;
    this.random = random;
    this.registry = options.registry;
    this.#directory = options.directory;
    this.disk = new SimDisk(this.fork());
    const readFile = (path: string): Buffer => {
      const { bytes, isSynced } = this.disk.readFile(path);
      if (!isSynced) this.accuse(`${path} is uploaded, but not all of it is on the local disk`);
      return bytes;
    };
    const memoryOf = (): MemoryBackend => new MemoryBackend({ readFile, onMisuse: (what) => this.accuse(what) });
    this.memories = new Map(simPools.map((pool) => [pool, memoryOf()]));
    const faultyOf = (memory: MemoryBackend): FaultyBackend =>
      new FaultyBackend(memory, { clock, random: this.fork(), faults: {} });
    this.backends = new Map([...this.memories].map(([pool, memory]) => [pool, faultyOf(memory)]));
  }

  static async make(seed: number): Promise<World> {
    const clock = new VirtualClock();
    const random = seededRandom(seed);
    const directory = await mkdtemp(join(tmpdir(), "andiron-sim-"));
    const path = join(directory, "registry.db");
    const opening = openInlineRegistry({
      path,
      random: seededRandom(seed ^ 0x5eed),
      bootId: "simulated",
      tickMs: registryTickMs,
      clock,
      durable: false,
    });
    return new World({ clock, random, registry: await opening, directory });
  }

  async close(): Promise<void> {
    let closed = false;
    const closing = this.registry.close().finally(() => {
      closed = true;
    });
    while (!closed) await this.clock.step();
    await closing;
    await rm(this.#directory, { recursive: true, force: true });
  }

  /** The number of the next moment of the run. */
  tick(): number {
    return ++this.#tick;
  }

  /** A generator of its own, so that one part's chances don't depend on how often another asks. */
  fork(): Random {
    return seededRandom(this.random.below(2 ** 32));
  }

  /** Notes what happened: the run's identity, and what a person reads when it failed. */
  note(event: string): void {
    const line = `${this.clock.monotonicMs().toFixed(3)} ${event}`;
    this.#hash.update(`${line}\n`);
    this.events.push(line);
    if (this.events.length > eventsKept) this.events.shift();
  }

  /** The engine broke a promise. */
  accuse(what: string): void {
    if (this.violation !== undefined) return;
    this.note(`VIOLATION ${what}`);
    this.violation = new Violation(what);
  }

  /** The same for a run means: the same happened. Ends the trace. */
  traceHash(): string {
    return this.#hash.digest("hex");
  }

  /** A logger whose lines are events, while `isHeard`. */
  logOf(isHeard: () => boolean): EngineLog {
    const writing =
      (level: string) =>
      (message: string, fields?: Readonly<Record<string, unknown>>): void => {
        if (!isHeard()) return;
        const error = fields?.["error"];
        this.note(`${level} ${message}${error === undefined ? "" : `: ${describeError(error)}`}`);
      };
    return { debug: () => undefined, info: writing("info"), warning: writing("warning"), error: writing("error") };
  }
}

export function describeError(error: unknown): string {
  const { cause } = error instanceof Error ? error : { cause: undefined };
  return `${String(error)}${cause === undefined ? "" : ` (${describeError(cause)})`}`;
}
