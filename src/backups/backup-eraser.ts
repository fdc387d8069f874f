// Erases all objects that a backup may have, some in each step, by their names. One that is not there is no error.

import type { ObjectStore } from "../object-store/object-store.ts";
import type { BackupRun } from "./backup-writer.ts";
import { eachOf } from "./parallel.ts";
import { type BackupPlace, objectAt, objectCountMax, parsePlace } from "./place.ts";

export interface EraseTask {
  /** Null: it has none. */
  readonly location: unknown;
  readonly cursor: Readonly<Record<string, unknown>>;
}

export interface Erased {
  readonly cursor: { readonly erased: number };
  readonly done: number;
  readonly isDone: boolean;
}

/** Between two looks at whether it should yield. */
const batchObjects = 64;

export class BackupEraser {
  readonly #store: () => Promise<ObjectStore>;

  constructor(store: () => Promise<ObjectStore>) {
    this.#store = store;
  }

  async step({ location, cursor }: EraseTask, run: BackupRun): Promise<Erased> {
    if (location === null) return { cursor: { erased: 0 }, done: 0, isDone: true };
    const place = parsePlace(location);
    const store = await this.#store();
    const count = objectCountMax(place);
    let erased = Math.max(0, Number(cursor["erased"] ?? 0));
    while (erased < count) {
      const end = Math.min(count, erased + batchObjects);
      await eachOf(namesOf(place, erased, end), run.signal, (name) => store.delete(name));
      erased = end;
      if (run.shouldYield()) break;
    }
    return { cursor: { erased }, done: erased, isDone: erased >= count };
  }
}

function* namesOf(place: BackupPlace, from: number, to: number): Generator<string> {
  for (let at = from; at < to; at++) yield objectAt(place, at);
}
