// The map objects of a log that a checkpoint in use leads to: all others are garbage (collector.ts).
//
// - Pages of ancestors lead only to pages of ancestors, which are theirs to keep (the parent's cut pins them).
// - A page that several checkpoints share is gone below once. Leaves are too many to be remembered, and nothing is below them.
// - Objects and pages are numbers here: there are many of them, and names and keys would all be garbage at the same time.

import type { CleanerContext } from "../engine-context.ts";
import type { MapObjectId } from "../names.ts";
import type { CheckpointRecord } from "../records.ts";
import { openBase } from "../view.ts";
import type { LogState } from "./log-state.ts";

/** An object, and the offsets of the inner pages in it that were visited. */
interface Reached {
  readonly epoch: number;
  readonly number: number;
  readonly pages: Set<number>;
}

export class ReachedMaps {
  /** By epoch and number. */
  readonly #objects = new Map<number, Map<number, Reached>>();
  /** Neighbouring pages are often in one object. */
  #last: Reached | undefined;

  private constructor() {}

  static async of(context: CleanerContext, { record, cuts }: LogState): Promise<ReachedMaps> {
    const reached = new ReachedMaps();
    const { origins } = context.pages.names;
    for (const checkpoint of distinct([record.checkpoint, ...cuts.map(({ view }) => view.checkpoint)])) {
      reached.#object(checkpoint.epoch, checkpoint.number);
      const { tree } = await openBase(context, record, checkpoint);
      await tree.walk(({ origin, number, offset }, level) => {
        const { log, epoch } = origins.originOf(origin);
        if (log !== record.id) return false;
        const { pages } = reached.#object(epoch, number);
        if (level === 0 || pages.has(offset)) return false;
        pages.add(offset);
        return true;
      });
    }
    return reached;
  }

  has({ epoch, number }: MapObjectId): boolean {
    return this.#objects.get(epoch)?.has(number) === true;
  }

  #object(epoch: number, number: number): Reached {
    if (this.#last?.number === number && this.#last.epoch === epoch) return this.#last;
    let ofEpoch = this.#objects.get(epoch);
    if (ofEpoch === undefined) this.#objects.set(epoch, (ofEpoch = new Map()));
    let object = ofEpoch.get(number);
    if (object === undefined) ofEpoch.set(number, (object = { epoch, number, pages: new Set() }));
    this.#last = object;
    return object;
  }
}

function distinct(checkpoints: readonly (CheckpointRecord | null)[]): CheckpointRecord[] {
  const found = new Map<string, CheckpointRecord>();
  for (const checkpoint of checkpoints) {
    if (checkpoint !== null) found.set(`${checkpoint.epoch}-${checkpoint.number}`, checkpoint);
  }
  return [...found.values()];
}
