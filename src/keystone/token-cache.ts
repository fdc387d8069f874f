// Answers of Keystone about tokens, for a while. Kept by a hash of the token: who reads this memory learns no token. Bounded: the
// one that was not asked for the longest goes first.

import { createHash } from "node:crypto";
import type { Clock } from "../common/clock.ts";
import type { KeystoneToken } from "./keystone-token.ts";

const tokensMax = 20_000;

interface Entry {
  readonly token: KeystoneToken;
  readonly untilMs: number;
}

/** The name of a token in caches and messages. */
export function hashToken(token: string): string {
  return createHash("sha256").update(token).digest("base64url");
}

export class TokenCache {
  readonly #lifetimeMs: number;
  readonly #clock: Clock;
  readonly #countMax: number;
  readonly #entries = new Map<string, Entry>();

  /** `lifetimeMs` of 0 or less keeps nothing. */
  constructor(lifetimeMs: number, clock: Clock, countMax = tokensMax) {
    this.#lifetimeMs = lifetimeMs;
    this.#clock = clock;
    this.#countMax = countMax;
  }

  get(hash: string): KeystoneToken | undefined {
    const entry = this.#entries.get(hash);
    if (entry === undefined) return undefined;
    this.#entries.delete(hash);
    if (this.#clock.monotonicMs() >= entry.untilMs) return undefined;
    this.#entries.set(hash, entry);
    return entry.token;
  }

  set(hash: string, token: KeystoneToken): void {
    if (this.#lifetimeMs <= 0) return;
    this.#entries.delete(hash);
    this.#entries.set(hash, { token, untilMs: this.#clock.monotonicMs() + this.#lifetimeMs });
    if (this.#entries.size > this.#countMax) this.#entries.delete(this.#entries.keys().next().value!);
  }
}
