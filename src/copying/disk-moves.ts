// A disk onto its copy, in steps, while the disk is used: in the process of the router that serves both.
//
//   copy, offset ──► compare, offset ──► rounds: what was written meanwhile, again and again ──► little is left, or enough rounds
//        ▲                                                                                           │
//        │ written between two processes                   permitted ◄── copy the rest, flush ◄── hold ◄┘
//
// - The caller keeps the state between two steps. `since` says of what the copy is one: when another process (or another
//   claim after a failure) finds that something was written which nobody noted, it begins anew.
// - Whether the copy may have old data the engine says, not the state: a step whose end nobody noted has copied too.
// - A step opens both exports and closes both: whoever revokes one of them waits for no more than the pieces that are under way.
// - What a step took of the changes and did not copy goes back to them.

import { AndironError } from "../common/errors.ts";
import type { BlockDevice, ChangedRanges, DiskMove, DiskMoves, ExportDirectory, ExportSession } from "../engine/device.ts";
import { compareDisks, copyDisk, copyRanges, type CopyRun } from "./disk-copy.ts";

export interface MoveState {
  readonly phase: "copy" | "compare" | "rounds" | "permitted";
  /** Copied and durable, or compared, up to here. */
  readonly offset: number;
  /** Of the disk that is copied; empty at the beginning. */
  readonly since: string;
  /** How often what was written meanwhile was copied. */
  readonly round: number;
}

export interface MoveTask {
  readonly vdiskId: string;
  readonly copyId: string;
  readonly sourceExport: string;
  readonly targetExport: string;
  readonly state: MoveState;
}

export interface MoveStep {
  readonly state: MoveState;
  /** Bytes that the step is further: copied, looked at, compared. */
  readonly doneBytes: number;
}

/** `restBytesMax`: so little that writes may wait for it. */
const moveLimits = { roundsMax: 10, restBytesMax: 4 * 1024 * 1024 };

export class RouterDiskMoves {
  readonly #directory: ExportDirectory;
  readonly #router: DiskMoves;
  readonly #limits: typeof moveLimits;
  /** By the copy's id. */
  readonly #moves = new Map<string, DiskMove>();

  constructor(directory: ExportDirectory, router: DiskMoves, limits = moveLimits) {
    this.#directory = directory;
    this.#router = router;
    this.#limits = limits;
  }

  /** Does some of it, at least one piece. "permitted": the registry may move the disk now, for some seconds. */
  async step(task: MoveTask, run: CopyRun): Promise<MoveStep> {
    const move = await this.#moveOf(task);
    const began: MoveState = { phase: "copy", offset: 0, since: move.since, round: 0 };
    // A permit that was not used in time leaves the rest to be copied.
    const asked: MoveState = task.state.phase === "permitted" ? { ...task.state, phase: "rounds" } : task.state;
    const state = asked.since === move.since ? asked : began;
    return this.#withDisks(task, run, async (source, target, ending) => {
      const { phase, offset } = state;
      if (phase === "copy") {
        const reached = await copyDisk(source, target, offset, ending, !move.copyIsNew);
        return { state: reachedOf(state, reached, source.sizeBytes, "compare"), doneBytes: reached - offset };
      }
      if (phase === "compare") {
        const changed = (at: number, lengthBytes: number): boolean => move.changed.overlaps(at, lengthBytes);
        const reached = await compareDisks(source, target, offset, ending, changed);
        return { state: reachedOf(state, reached, source.sizeBytes, "rounds"), doneBytes: reached - offset };
      }
      return this.#finish(task.copyId, move, state, { source, target, run: ending });
    });
  }

  /** Nobody copies any more. Resolves when the disk is used as ever, wherever it is. */
  async end(copyId: string): Promise<void> {
    const move = this.#moves.get(copyId);
    this.#moves.delete(copyId);
    await move?.end();
  }

  async #finish(
    copyId: string,
    move: DiskMove,
    state: MoveState,
    disks: { readonly source: BlockDevice; readonly target: BlockDevice; readonly run: CopyRun },
  ): Promise<MoveStep> {
    let doneBytes = 0;
    const copyChanged = async (): Promise<void> => {
      const taken = move.takeChanged();
      doneBytes += taken.bytes;
      await this.#copy(move, taken, disks);
    };
    const { roundsMax, restBytesMax } = this.#limits;
    // One in any case: what was written before this step, while it waited after a failure say, is not copied while writes wait.
    let { round } = state;
    do {
      if (move.changed.bytes <= restBytesMax) break;
      await copyChanged();
      round++;
      if (round < roundsMax && disks.run.shouldYield()) return { state: { ...state, round }, doneBytes };
    } while (round < roundsMax);
    try {
      await move.hold();
      await copyChanged();
      await move.permit();
    } finally {
      // Without effect when it is permitted: then the registry says when.
      move.letGo();
    }
    void this.#endWhenMoved(copyId, move);
    return { state: { ...state, phase: "permitted" }, doneBytes };
  }

  async #endWhenMoved(copyId: string, move: DiskMove): Promise<void> {
    if ((await move.settled()) === "moved" && this.#moves.get(copyId) === move) await this.end(copyId);
  }

  async #copy(
    move: DiskMove,
    taken: ChangedRanges,
    { source, target, run }: { readonly source: BlockDevice; readonly target: BlockDevice; readonly run: CopyRun },
  ): Promise<void> {
    try {
      await copyRanges(source, target, taken.ranges(), run);
    } catch (error) {
      move.putBack(taken);
      throw error;
    }
  }

  async #moveOf({ vdiskId, copyId }: MoveTask): Promise<DiskMove> {
    const present = this.#moves.get(copyId);
    // A permit that stands may still be used: until that is known nobody can say what the disk is.
    const outcome = await present?.settled();
    if (outcome === "moved") throw new AndironError("vdisk_busy", `vDisk ${vdiskId} has moved already`);
    if (present !== undefined && !present.isBroken) return present;
    await this.end(copyId);
    const move = await this.#router.begin(vdiskId, copyId);
    this.#moves.set(copyId, move);
    return move;
  }

  async #withDisks<T>(
    { sourceExport, targetExport }: MoveTask,
    run: CopyRun,
    work: (source: BlockDevice, target: BlockDevice, run: CopyRun) => Promise<T>,
  ): Promise<T> {
    const revoked = new AbortController();
    const sessions: ExportSession[] = [];
    const open = async (exportName: string): Promise<BlockDevice> => {
      const session = await this.#directory.open(exportName);
      sessions.push(session);
      session.onRevoked(() => revoked.abort(new AndironError("export_revoked", "the export was revoked")));
      return session.device;
    };
    try {
      const source = await open(sourceExport);
      const target = await open(targetExport);
      const ending = { signal: AbortSignal.any([run.signal, revoked.signal]), shouldYield: () => run.shouldYield() };
      return await work(source, target, ending);
    } finally {
      for (const session of sessions) await session.close();
    }
  }
}

function reachedOf(state: MoveState, offset: number, sizeBytes: number, next: MoveState["phase"]): MoveState {
  return offset < sizeBytes ? { ...state, offset } : { ...state, phase: next, offset: 0 };
}
