// A store of backups for the simulator: numbers of objects, put some in each step. Its steps fail, hang, kill their process and
// do nothing, as chance has it.

import { AndironError } from "../../src/common/errors.ts";
import {
  type BackupBytes,
  type BackupErase,
  type BackupRestore,
  type BackupRestored,
  type BackupStep,
  type BackupWrite,
  type BackupWritten,
  type StepRun,
} from "../../src/cinder/backups/backup-bytes.ts";
import type { Life } from "../life.ts";
import type { World } from "../world.ts";
import { JobFaults } from "./job-faults.ts";
import type { Outside } from "./outside.ts";

interface StoreWorld {
  readonly world: World;
  readonly life: Life;
  readonly outside: Outside;
  /** The process may have lost a lease that it believes to have. */
  readonly isBetrayed: () => boolean;
}

const restoreSteps = 5;

/** How many objects a whole backup has: of 1 to 16. */
export function objectCountOf(backupId: string): number {
  return 1 + Number.parseInt(backupId.slice(0, 1), 16);
}

export class SimBackups implements BackupBytes {
  readonly isConfigured = true;
  readonly defaultContainer = "c";
  readonly checkContainer = (): void => undefined;
  readonly locationOf: BackupBytes["locationOf"] = ({ backupId }) => ({ at: backupId });
  readonly #at: StoreWorld;
  readonly #faults: JobFaults;

  constructor(at: StoreWorld) {
    this.#at = at;
    this.#faults = new JobFaults(at.life, at.outside);
  }

  async write({ backupId, cursor }: BackupWrite, run: StepRun): Promise<BackupWritten> {
    const count = objectCountOf(backupId);
    const next = await this.#some(backupId, Number(cursor["next"] ?? 0), count, run, (objects, at) => objects.add(at));
    const result = { location: { at: backupId }, objectCount: count, encryptionKeyId: null };
    return { cursor: { next }, done: next, ...(next === count ? { result } : {}) };
  }

  /** What a backup builds on is there for as long as it is. */
  async restore({ chain, cursor }: BackupRestore, run: StepRun): Promise<BackupRestored> {
    const { world, life, outside, isBetrayed } = this.#at;
    await this.#faults.strike();
    for (const { id } of chain) {
      await life.later(300);
      if (!run.mayAct()) throw new AndironError("lease_lost", "not certain to have the job");
      if (isBetrayed() || outside.tainted.has(id) || outside.objects.get(id)?.size === objectCountOf(id)) continue;
      if (life.isAlive) world.accuse(`backup ${id} is restored, and is not whole`);
    }
    const step = Number(cursor["step"] ?? 0) + (this.#faults.isHit() ? 0 : 1);
    return { cursor: { step }, done: step, isDone: step === restoreSteps };
  }

  async erase({ backupId, location, cursor }: BackupErase, run: StepRun): Promise<BackupStep> {
    if (location === null) return { cursor, done: 0, isDone: true };
    const count = objectCountOf(backupId);
    const next = await this.#some(backupId, Number(cursor["next"] ?? 0), count, run, (objects, at) => objects.delete(at));
    return { cursor: { next }, done: next, isDone: next === count };
  }

  /** Does so to some of the objects; answers with the next one. */
  async #some(
    backupId: string,
    from: number,
    count: number,
    run: StepRun,
    effect: (objects: Set<number>, at: number) => void,
  ): Promise<number> {
    const { life, outside, isBetrayed } = this.#at;
    await this.#faults.strike();
    const until = Math.min(from + 1 + this.#faults.below(4), count);
    for (let at = from; at < until; at++) {
      await life.later(300);
      if (!run.mayAct()) throw new AndironError("lease_lost", "not certain to have the job");
      if (isBetrayed()) outside.tainted.add(backupId);
      effect(outside.objectsOf(backupId), at);
      if (run.shouldYield()) return at + 1;
    }
    return this.#faults.isHit() ? from : until;
  }
}
