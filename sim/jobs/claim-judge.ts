// Watches every write of jobs and runners, in the order of the registry, and says which breaks the rules:
//
// - a generation has one claimant, for ever; once given back it is claimed by the next generation only
// - a claim is taken only from nobody, from the absent, or from oneself
// - phases go work, undo, ended; what has ended changes no more

import { parseRecord, jobKind, jobRunnerKind } from "../../src/cinder/records.ts";
import type { Job } from "../../src/cinder/jobs/job.ts";
import type { Watch, WatchEvent } from "../../src/registry/registry.ts";
import type { World } from "../world.ts";

const phaseOrder = { work: 0, undo: 1, ended: 2 } as const;

export class ClaimJudge {
  readonly #world: World;
  readonly #jobs = new Map<string, Job>();
  readonly #runners = new Set<string>();
  readonly #watch: Watch;
  takeovers = 0;
  readonly outcomes = { done: 0, failed: 0, cancelled: 0 };
  /** How often one of each kind was done. */
  readonly done = new Map<string, number>();

  constructor(world: World) {
    this.#world = world;
    this.#watch = world.registry.watch({ prefix: "cinder/job", fromRevision: 1 });
    void this.#follow();
  }

  close(): void {
    this.#watch.close();
  }

  async #follow(): Promise<void> {
    for await (const batch of this.#watch) for (const event of batch.events) this.#see(event);
  }

  #see({ key, entry }: WatchEvent): void {
    if (key.startsWith(jobRunnerKind.prefix)) {
      const id = key.slice(jobRunnerKind.prefix.length);
      if (entry === undefined) this.#runners.delete(id);
      else this.#runners.add(id);
      return;
    }
    if (entry === undefined) return;
    const now = parseRecord(jobKind, key, entry.value);
    const before = this.#jobs.get(now.id);
    this.#jobs.set(now.id, now);
    const wrong = before === undefined ? undefined : this.#judge(before, now);
    if (wrong !== undefined) this.#world.accuse(`job ${now.id}: ${wrong}`);
    if (now.phase !== "ended") return;
    const { outcome } = now.verdict!;
    this.outcomes[outcome]++;
    if (outcome === "done") this.done.set(now.kind, (this.done.get(now.kind) ?? 0) + 1);
  }

  #judge(before: Job, now: Job): string | undefined {
    if (before.phase === "ended") return "changed after its end";
    if (phaseOrder[now.phase] < phaseOrder[before.phase]) return `went from ${before.phase} to ${now.phase}`;
    if (now.generation === before.generation) {
      if (now.runner !== null && now.runner !== before.runner) return `generation ${now.generation} has two claimants`;
      return undefined;
    }
    if (now.generation !== before.generation + 1 || now.runner === null) return "a claim that is none";
    if (!this.#runners.has(now.runner)) return "claimed by the absent";
    if (before.runner === null) return undefined;
    this.takeovers++;
    return before.runner !== now.runner && this.#runners.has(before.runner) ? "taken from a living process" : undefined;
  }
}
