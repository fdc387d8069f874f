// A vDisk on its way to another log of this router, while it is used: what changes is noted, until whoever copies it has all of
// it, and then everything goes on at the other log. docs/design/migration.md, "Live", has the argument.
//
//   begin ──► noting ──hold()──► held ──permit()──► permitted ──┬─ the record says: moved ──► on the other log
//               ▲                  │                            └─ in time it does not ──► permit taken back ─┐
//               └──── letGo() ─────┴───────────────────────────────────────────────────────────────────────┘
//
// - Held: no write is under way, new ones wait, reads and flushes go on. At most engineLimits.moveHoldMsMax in all.
// - Permitted: the registry alone says how it ends. Nothing is written before that is known.
// - A log that was given up (lease lost, journal poisoned) ends the move: what was noted is not all. A new one says by `since`
//   whether anything was written between.

import { AndironError } from "../common/errors.ts";
import type { Clock, Timer } from "../common/clock.ts";
import type { Random } from "../common/random.ts";
import { atomically } from "../registry/atomic.ts";
import type { Registry } from "../registry/registry.ts";
import { ChangedAreas } from "./changed-areas.ts";
import type { ChangedRanges, DiskMove, MoveOutcome } from "./device.ts";
import { engineLimits } from "./limits.ts";
import { givePermit, takePermitBack } from "./move-edits.ts";
import type { LogUse, OpenLogs } from "./open-logs.ts";
import type { VdiskRecord } from "./records.ts";
import { keys, parseRecord } from "./records.ts";

export interface MoveParts {
  readonly registry: Registry;
  readonly clock: Clock;
  readonly random: Random;
  readonly router: string;
  readonly openLogs: OpenLogs;
  /** Has the sessions of the vDisk use its other log. Told right after the move. */
  readonly moved: (vdiskId: string, from: string, to: string) => Promise<void>;
}

const lookMs = 10;

export class RouterDiskMove implements DiskMove {
  readonly since: string;
  readonly copyIsNew: boolean;
  readonly #parts: MoveParts;
  readonly #vdiskId: string;
  readonly #copyId: string;
  readonly #from: LogUse;
  readonly #to: LogUse;
  #changed = new ChangedAreas();
  #heldUntilMs = 0;
  #lateTimer: Timer | undefined;
  #settling: Promise<MoveOutcome> | undefined;
  #ended = false;

  private constructor(parts: MoveParts, ids: readonly [vdisk: string, copy: string], uses: readonly [LogUse, LogUse]) {
    this.#parts = parts;
    [this.#vdiskId, this.#copyId] = ids;
    [this.#from, this.#to] = uses;
    const { log } = this.#from;
    this.since = `${log.id} ${log.sequence}`;
    this.copyIsNew = this.#to.log.sequence === 0;
    log.onApplied = (first, count) => this.#changed.note(first, count);
  }

  /** Opens both logs. vdisk_not_found, vdisk_busy when one of them moves already, and what opening rejects with. */
  static async begin(parts: MoveParts, vdiskId: string, copyId: string): Promise<RouterDiskMove> {
    const logOf = async (id: string): Promise<LogUse> => {
      const entry = await parts.registry.get(keys.vdisk(id));
      if (entry === undefined) throw new AndironError("vdisk_not_found", `vDisk ${id} does not exist`);
      return parts.openLogs.use(parseRecord<VdiskRecord>(entry.key, entry.value).log);
    };
    const uses: LogUse[] = [];
    try {
      const from = await logOf(vdiskId);
      uses.push(from);
      const to = await logOf(copyId);
      uses.push(to);
      if (from.log.onApplied !== undefined || from.log === to.log) {
        throw new AndironError("vdisk_busy", `vDisk ${vdiskId} is being moved`);
      }
      // With nothing under way and all of it durable: the sequence says exactly what is in it, whatever happens later.
      await from.log.queue.hold();
      try {
        await from.log.flush();
        return new RouterDiskMove(parts, [vdiskId, copyId], [from, to]);
      } finally {
        from.log.queue.letGo();
      }
    } catch (error) {
      for (const use of uses) use.done();
      throw error;
    }
  }

  get isBroken(): boolean {
    return this.#ended || this.#from.log.failure !== undefined || this.#to.log.failure !== undefined;
  }

  get changed(): ChangedRanges {
    return this.#changed;
  }

  takeChanged(): ChangedRanges {
    const taken = this.#changed;
    this.#changed = new ChangedAreas();
    return taken;
  }

  putBack(ranges: ChangedRanges): void {
    this.#changed.add(ranges);
  }

  async hold(): Promise<void> {
    await this.#settling;
    this.#refuseBroken();
    const { clock } = this.#parts;
    this.#heldUntilMs = clock.monotonicMs() + engineLimits.moveHoldMsMax;
    const late = Promise.withResolvers<void>();
    this.#lateTimer = clock.after(engineLimits.moveHoldMsMax, () => {
      this.letGo();
      late.resolve();
    });
    await Promise.race([this.#from.log.queue.hold(), late.promise]);
    this.#refuseLate();
  }

  letGo(): void {
    this.#lateTimer?.cancel();
    // What is permitted is the registry's to say.
    if (this.#settling !== undefined) return;
    this.#heldUntilMs = 0;
    this.#from.log.queue.letGo();
  }

  async permit(): Promise<void> {
    this.#refuseBroken();
    this.#refuseLate();
    this.#lateTimer?.cancel();
    const { registry, router } = this.#parts;
    const permit = { router, epoch: this.#from.log.epoch, toLog: this.#to.log.id, toEpoch: this.#to.log.epoch };
    const settled = Promise.withResolvers<MoveOutcome>();
    this.#settling = settled.promise;
    try {
      await atomically(registry, this.#parts, (tx) => givePermit(tx, this.#vdiskId, this.#copyId, permit));
      this.#refuseLate();
    } catch (error) {
      this.#heldUntilMs = 0;
      throw error;
    } finally {
      void this.#settle().then(settled.resolve);
    }
  }

  async settled(): Promise<MoveOutcome> {
    return (await this.#settling) ?? "stays";
  }

  async end(): Promise<void> {
    if (this.#ended) return;
    this.#ended = true;
    this.#heldUntilMs = 0;
    this.#lateTimer?.cancel();
    await this.#settling;
    this.#from.log.onApplied = undefined;
    this.#from.log.queue.letGo();
    this.#from.done();
    this.#to.done();
  }

  /** Until the registry has said which log is the disk's. */
  async #settle(): Promise<MoveOutcome> {
    const { registry, clock } = this.#parts;
    const to = this.#to.log.id;
    for (;;) {
      try {
        const isLate = clock.monotonicMs() >= this.#heldUntilMs || this.isBroken;
        const hasMoved = isLate
          ? (await atomically(registry, this.#parts, (tx) => takePermitBack(tx, this.#vdiskId, to))).value
          : await this.#isAt(to);
        if (hasMoved) return await this.#goOnThere();
        if (isLate) return this.#goOnHere();
      } catch {
        // The registry is away, so nothing is known: writes wait on. Without the disk they will not be answered in any case.
        if (this.#from.log.failure !== undefined) return this.#goOnHere();
      }
      await clock.sleep(lookMs);
    }
  }

  async #isAt(logId: string): Promise<boolean> {
    const entry = await this.#parts.registry.get(keys.vdisk(this.#vdiskId));
    return entry !== undefined && parseRecord<VdiskRecord>(entry.key, entry.value).log === logId;
  }

  #goOnHere(): MoveOutcome {
    this.#settling = undefined;
    this.#from.log.queue.letGo();
    return "stays";
  }

  async #goOnThere(): Promise<MoveOutcome> {
    const [from, to] = [this.#from.log, this.#to.log];
    // In one turn of the loop: what reads and what writes finds the other log.
    from.onApplied = undefined;
    from.movedTo = to;
    from.queue.letGo(to.queue);
    // Fails only where the other log does: then its sessions' requests do too, until their clients connect anew.
    await this.#parts.moved(this.#vdiskId, from.id, to.id).catch(() => undefined);
    return "moved";
  }

  #refuseBroken(): void {
    if (!this.isBroken) return;
    throw this.#from.log.failure ?? this.#to.log.failure ?? new AndironError("vdisk_busy", "the move has ended");
  }

  #refuseLate(): void {
    if (this.#parts.clock.monotonicMs() < this.#heldUntilMs) return;
    throw new AndironError("overloaded", "writes were held for as long as they may be");
  }
}
