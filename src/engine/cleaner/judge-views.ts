// The views by which one pass judges what of a log lives, each opened when it is first asked for.
//
// - A segment is judged by the smallest cut at or above it, and segments are looked at in their order: only the last few views
//   are kept, since each has a part of a map in memory.
// - The head is judged as its committed checkpoint has it: what is younger may be lost with the power.

import type { CleanerContext } from "../engine-context.ts";
import type { CheckpointRecord, View } from "../records.ts";
import { openBase, openView, type OpenedView } from "../view.ts";
import type { LogState } from "./log-state.ts";

const keptMax = 4;

export class JudgeViews {
  readonly #context: CleanerContext;
  readonly #state: LogState;
  /** By cut, the head under Infinity; least recently opened first. */
  readonly #opened = new Map<number, Promise<OpenedView>>();

  constructor(context: CleanerContext, state: LogState) {
    this.#context = context;
    this.#state = state;
  }

  at(view: View): Promise<OpenedView> {
    return this.#view(view.cut, () => openView(this.#context, view));
  }

  head(checkpoint: CheckpointRecord | null): Promise<OpenedView> {
    return this.#view(Infinity, () => openBase(this.#context, this.#state.record, checkpoint));
  }

  #view(key: number, open: () => Promise<OpenedView>): Promise<OpenedView> {
    const known = this.#opened.get(key);
    if (known !== undefined) return known;
    const opening = open();
    this.#opened.set(key, opening);
    for (const oldest of this.#opened.keys()) {
      if (this.#opened.size <= keptMax) break;
      this.#opened.delete(oldest);
    }
    return opening;
  }
}
