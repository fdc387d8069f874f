// Small numbers for who wrote map objects: a log and an epoch, one table for all trees of a process. There are as many as logs
// were opened for writing whose maps are looked at, so it may grow.

import { assert } from "../../common/assert.ts";
import type { Origins } from "../format/page.ts";

export class OriginTable implements Origins {
  readonly #origins: { readonly log: string; readonly epoch: number }[] = [];
  /** By log and epoch. */
  readonly #handles = new Map<string, Map<number, number>>();

  handleOf(log: string, epoch: number): number {
    const known = this.#handles.get(log)?.get(epoch);
    if (known !== undefined) return known;
    const handle = this.#origins.push({ log, epoch }) - 1;
    this.#handles.set(log, (this.#handles.get(log) ?? new Map<number, number>()).set(epoch, handle));
    return handle;
  }

  originOf(handle: number): { readonly log: string; readonly epoch: number } {
    const origin = this.#origins[handle];
    assert(origin !== undefined, () => `origin ${handle} is not in the table`);
    return origin;
  }
}
