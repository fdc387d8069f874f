// One simulated process of the API: all of cinder/ over the registry, with the engine of records, and a life that may end
// between any two calls to the registry.

import { createCinder, type CinderService } from "../../src/cinder/cinder.ts";
import { CinderFault } from "../../src/cinder/faults.ts";
import { RulePolicy } from "../../src/cinder/policy/rule-policy.ts";
import { jobKind, jobRunnerKind, parseRecord } from "../../src/cinder/records.ts";
import { noDiskCopies } from "../../src/cinder/disk-copies.ts";
import { noKeys } from "../../src/cinder/keys.ts";
import { anyProject, noServers, type CinderPorts } from "../../src/cinder/ports.ts";
import { RecordControl } from "../../src/cinder/record-control.ts";
import { defaultSettings } from "../../src/cinder/settings.ts";
import { AndironError } from "../../src/common/errors.ts";
import type { Random } from "../../src/common/random.ts";
import type { Registry } from "../../src/registry/registry.ts";
import { Life } from "../life.ts";
import { registryOf } from "../registry-port.ts";
import { describeError, type World } from "../world.ts";
import { SimCopy } from "./copy-kind.ts";
import type { Outside } from "./outside.ts";
import { SimBackups } from "./sim-backups.ts";
import { simImages } from "./sim-images.ts";

const { quotas } = defaultSettings;
const endless = { ...quotas, volumes: -1, snapshots: -1, gigabytes: -1, backups: -1, backup_gigabytes: -1, groups: -1 };

export class JobProcess {
  readonly life: Life;
  readonly cinder: CinderService;
  copy!: SimCopy;
  ports!: CinderPorts;
  isServing = false;
  /** Requests that it has not answered. */
  asked = 0;
  readonly #world: World;
  readonly #outside: Outside;
  readonly #runners = new Set<string>();
  readonly #control: RecordControl;

  constructor(world: World, outside: Outside, fuse: number) {
    this.#world = world;
    this.#outside = outside;
    this.life = new Life(world.clock, world.fork(), fuse);
    const shared = { registry: this.#watched(registryOf(this.life, world.registry)), clock: this.life, random: world.fork() };
    this.#control = new RecordControl(shared.registry, shared);
    this.#control.holdBack = true;
    this.cinder = createCinder({
      ...shared,
      control: this.#control,
      policy: new RulePolicy(),
      servers: noServers,
      projects: anyProject,
      images: simImages(this.life, outside),
      keys: noKeys,
      copies: noDiskCopies,
      backups: new SimBackups({ world, life: this.life, outside, isBetrayed: () => this.#isBetrayed() }),
      log: { level: () => "INFO", setLevel: () => undefined },
      settings: { ...defaultSettings, quotas: endless },
      jobObserver: { progressed: () => undefined, failed: () => undefined, ended: () => undefined },
      jobKinds: (ports) => {
        this.ports = ports;
        this.copy = new SimCopy({ world, life: this.life, outside, ports });
        return [this.copy];
      },
      onTrouble: (what, error) => this.#note(`${what}: ${describeError(error)}`),
    });
  }

  /** Accuses this process when it writes a job under a claim that it never made. A cancel, and a new job, need none. */
  #watched(registry: Registry): Registry {
    const runners = this.#runners;
    const claims = new Set<string>();
    return {
      ...registry,
      transact: async (transaction) => {
        const result = await registry.transact(transaction);
        for (const operation of result.succeeded ? transaction.success : []) {
          const { key } = operation;
          if (operation.kind === "put" && key.startsWith(jobRunnerKind.prefix))
            runners.add(key.slice(jobRunnerKind.prefix.length));
          if (operation.kind === "delete" || !key.startsWith(jobKind.prefix)) continue;
          const job = parseRecord(jobKind, key, operation.value);
          const claim = `${job.id} ${job.generation}`;
          if (job.runner !== null && runners.has(job.runner)) claims.add(claim);
          if (claims.has(claim) || job.generation === 0 || job.cancel !== undefined) continue;
          this.#world.accuse(`job ${job.id} is written under the claim ${job.generation} of another process`);
        }
        return result;
      },
    };
  }

  #isBetrayed(): boolean {
    return [...this.#runners].some((id) => this.#outside.betrayed.has(id));
  }

  start(): void {
    this.cinder.start().then(
      () => (this.isServing = true),
      (error: unknown) => {
        this.#note(`cannot start: ${describeError(error)}`);
        this.life.kill();
      },
    );
  }

  /** What the owners of disks do: some of what is pending is there now, or cannot be had. */
  async settle(random: Random): Promise<void> {
    for (const kind of ["vdisk", "snapshot"] as const) {
      const { entries } = await this.#world.registry.range({ prefix: `${kind}/` });
      for (const { key, value } of entries) {
        if ((JSON.parse(value) as { readonly state: string }).state !== "pending" || random.below(2) === 0) continue;
        const isLost = random.below(1000) < this.#outside.faults;
        const [state, silently] = [isLost ? "error" : "ready", random.below(2) === 0] as const;
        void this.#control.settle(kind, key.slice(kind.length + 1), state, silently).catch(() => undefined);
      }
    }
  }

  /** A request of a user: refusals are answers, trouble of the moment is noted, anything else breaks a promise. */
  async ask(what: string, request: () => Promise<unknown>): Promise<void> {
    this.asked++;
    try {
      await request();
      this.#note(`${what}: done`);
    } catch (error) {
      this.#note(`${what}: ${describeError(error)}`);
      if (error instanceof CinderFault) return;
      if (error instanceof AndironError && !["internal", "data", "invalid"].includes(error.kind)) return;
      if (this.life.isAlive) this.#world.accuse(`${what}: ${describeError(error)}`);
    } finally {
      this.asked--;
    }
  }

  #note(event: string): void {
    if (this.life.isAlive) this.#world.note(event);
  }
}
