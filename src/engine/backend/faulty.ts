// Decorator for tests and the simulator: a backend that behaves as badly as a real one may, from a seed. It is part of
// no running service.
//
// Within the contract:  failures before the effect, failures after it (the reply is lost), delays, lists that lag, a full
//                       store, a gate that holds everything (a hung mount).
// Outside the contract: torn puts, that leave a shorter object under the name, as a store does that lies about durability
//                       and loses power. The engine must notice these, never serve them.

import type { Clock } from "../../common/clock.ts";
import { AndironError } from "../../common/errors.ts";
import type { Random } from "../../common/random.ts";
import type { Capacity, ListOptions, ObjectBackend, ReadOptions } from "./backend.ts";

/** How badly; all shares are of 1, all default to 0. May be changed at any time. */
export interface Faults {
  failBeforeShare?: number;
  /** The effect is there, the answer says backend_unavailable. */
  failAfterShare?: number;
  tornPutShare?: number;
  /** Each operation waits up to this long. */
  delayMsMax?: number;
  /** So many of the last puts and deletes are not yet seen by list(); at most 1000. */
  listLagCount?: number;
  /** Puts reject with backend_full. */
  full?: boolean;
}

const lagCountMax = 1000;

export class FaultyBackend implements ObjectBackend {
  readonly faults: Faults;
  readonly #inner: ObjectBackend;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #recent: { readonly kind: "put" | "delete"; readonly name: string }[] = [];
  #gate: { readonly opened: Promise<void>; readonly open: () => void } | undefined;
  #held = 0;

  constructor(inner: ObjectBackend, options: { readonly clock: Clock; readonly random: Random; readonly faults: Faults }) {
    this.#inner = inner;
    this.#clock = options.clock;
    this.#random = options.random;
    this.faults = options.faults;
  }

  /** From now on no operation begins or ends, until release(). */
  hold(): void {
    if (this.#gate !== undefined) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#gate = { opened: promise, open: resolve };
  }

  release(): void {
    this.#gate?.open();
    this.#gate = undefined;
  }

  /** Operations that wait at the gate now. */
  get heldCount(): number {
    return this.#held;
  }

  put(name: string, parts: readonly Buffer[]): Promise<void> {
    return this.#disturb(`put of ${name}`, async () => {
      this.#checkFull(name);
      if (this.#chance(this.faults.tornPutShare)) await this.#tear(name, parts);
      await this.#inner.put(name, parts);
      this.#remember("put", name);
    });
  }

  putFile(name: string, path: string): Promise<void> {
    return this.#disturb(`putFile of ${name}`, async () => {
      this.#checkFull(name);
      await this.#inner.putFile(name, path);
      this.#remember("put", name);
    });
  }

  read(name: string, offset: number, target: Buffer, options?: ReadOptions): Promise<void> {
    return this.#disturb(`read of ${name}`, () => this.#inner.read(name, offset, target, options));
  }

  size(name: string): Promise<number | undefined> {
    return this.#disturb(`size of ${name}`, () => this.#inner.size(name));
  }

  delete(name: string): Promise<void> {
    return this.#disturb(`delete of ${name}`, async () => {
      await this.#inner.delete(name);
      this.#remember("delete", name);
    });
  }

  list(prefix: string, options: ListOptions = {}): Promise<string[]> {
    return this.#disturb(`list of ${prefix}`, async () => {
      const hidden = new Set<string>();
      const lingering = new Set<string>();
      this.#forget();
      for (const { kind, name } of this.#recent) {
        (kind === "put" ? hidden : lingering).add(name);
        (kind === "put" ? lingering : hidden).delete(name);
      }
      const names = await this.#listWithout(hidden, prefix, options);
      const limit = options.limit ?? lagCountMax;
      const last = names.length < limit ? undefined : names.at(-1);
      for (const name of lingering) {
        const inPage = name > (options.after ?? "") && (last === undefined || name < last);
        if (name.startsWith(prefix) && inPage && !names.includes(name)) names.push(name);
      }
      return names.sort().slice(0, limit);
    });
  }

  capacity(): Promise<Capacity> {
    return this.#disturb("capacity", async () => {
      const real = await this.#inner.capacity();
      return this.faults.full === true ? { ...real, freeBytes: 0 } : real;
    });
  }

  close(): Promise<void> {
    this.release();
    return this.#inner.close();
  }

  async #disturb<T>(what: string, operation: () => Promise<T>): Promise<T> {
    await this.#passGate();
    const { delayMsMax = 0, failBeforeShare, failAfterShare } = this.faults;
    if (delayMsMax > 0) await this.#clock.sleep(this.#random.below(delayMsMax + 1));
    if (this.#chance(failBeforeShare)) throw injected(`${what}: refused`);
    const result = await operation();
    await this.#passGate();
    if (this.#chance(failAfterShare)) throw injected(`${what}: done, but the answer is lost`);
    return result;
  }

  async #passGate(): Promise<void> {
    while (this.#gate !== undefined) {
      this.#held++;
      await this.#gate.opened;
      this.#held--;
    }
  }

  /** Leaves a proper part of the object under its name, and fails. */
  async #tear(name: string, parts: readonly Buffer[]): Promise<never> {
    const whole = Buffer.concat(parts);
    if (whole.length > 0) await this.#inner.put(name, [whole.subarray(0, this.#random.below(whole.length))]);
    throw injected(`put of ${name}: torn`);
  }

  /** A page of the inner list without the hidden names, full if there are enough. */
  async #listWithout(hidden: ReadonlySet<string>, prefix: string, options: ListOptions): Promise<string[]> {
    const limit = options.limit ?? lagCountMax;
    const names: string[] = [];
    let after = options.after;
    for (;;) {
      const page = await this.#inner.list(prefix, after === undefined ? { limit } : { limit, after });
      names.push(...page.filter((name) => !hidden.has(name)));
      after = page.at(-1);
      if (page.length < limit || names.length >= limit) return names.slice(0, limit);
    }
  }

  #remember(kind: "put" | "delete", name: string): void {
    this.#recent.push({ kind, name });
    this.#forget();
  }

  /** What a listing shows by now. */
  #forget(): void {
    const keep = Math.min(this.faults.listLagCount ?? 0, lagCountMax);
    this.#recent.splice(0, Math.max(this.#recent.length - keep, 0));
  }

  #checkFull(name: string): void {
    if (this.faults.full === true) throw new AndironError("backend_full", `injected: no space for ${name}`);
  }

  #chance(share: number | undefined): boolean {
    return share !== undefined && share > 0 && this.#random.below(1_000_000) < share * 1_000_000;
  }
}

function injected(message: string): AndironError {
  return new AndironError("backend_unavailable", `injected: ${message}`);
}
