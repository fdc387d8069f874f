// What lies outside of the registry, and who put it there.

import type { Job } from "../../src/cinder/jobs/job.ts";
import type { World } from "../world.ts";

export class Outside {
  /** By volume: the chunks that are there. */
  readonly chunks = new Map<string, Set<number>>();
  /** By backup: the objects that are there. */
  readonly objects = new Map<string, Set<number>>();
  /** By job: the highest generation that acted. */
  readonly #acted = new Map<string, number>();
  /** Runners whose lease was taken from them behind their back: they can't know, and are not judged. */
  readonly betrayed = new Set<string>();
  /** Volumes and backups that a betrayed one touched. */
  readonly tainted = new Set<string>();
  /** Chance of each fault, in a thousand. */
  faults = 0;

  act(world: World, job: Job, effect: (chunks: Set<number>) => void): void {
    const last = this.#acted.get(job.id) ?? 0;
    if (this.betrayed.has(job.runner ?? "")) this.tainted.add(job.resource.id);
    else if (job.generation < last) world.accuse(`job ${job.id}: generation ${job.generation} acts after ${last}`);
    this.#acted.set(job.id, Math.max(last, job.generation));
    effect(entry(this.chunks, job.resource.id));
  }

  objectsOf(backupId: string): Set<number> {
    return entry(this.objects, backupId);
  }
}

function entry(map: Map<string, Set<number>>, id: string): Set<number> {
  const present = map.get(id) ?? new Set<number>();
  map.set(id, present);
  return present;
}
