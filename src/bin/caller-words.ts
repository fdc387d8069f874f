// The words of callers for the jobs that they left: tokens, in memory, as far as the process lives that took the request. Without
// one a job asks with our own credentials. Bounded: the oldest goes.

import type { RequestContext } from "../cinder/context.ts";

/** More than jobs may wait. */
const wordsMax = 20_000;

export class CallerWords {
  readonly #words = new Map<string, () => string>();

  vouch(jobId: string, { userToken }: RequestContext): void {
    if (userToken === undefined) return;
    this.#words.set(jobId, userToken);
    const oldest = this.#words.keys().next();
    if (this.#words.size > wordsMax && oldest.done !== true) this.#words.delete(oldest.value);
  }

  forget(jobId: string): void {
    this.#words.delete(jobId);
  }

  of(jobId: string): string | undefined {
    return this.#words.get(jobId)?.();
  }
}
