// As whom we ask Swift, and where: a token and the URL of an account, from auth v1 (tempauth) or from Keystone.
//
// Auth v1: one request with the user's name and key gives both. At most one is under way; the token is kept until its time is
// nearly over, or it is refused, and nowhere but in memory.

import type { Clock } from "../common/clock.ts";
import { AndironError } from "../common/errors.ts";
import type { EndpointChoice, ServiceSession } from "../keystone/service-session.ts";
import { type HttpAnswer, type HttpClient, hostOf } from "./http-attempt.ts";
import { refusalOf } from "./http-refusal.ts";

export interface SwiftStanding {
  readonly token: string;
  /** URL of the account, without a slash at its end. */
  readonly accountUrl: string;
}

export interface SwiftAuth {
  standing(): Promise<SwiftStanding>;
  /** Says that `token` was refused: the next standing() has another. */
  forget(token: string): void;
}

export interface AuthV1Options {
  /** "http://HOST:PORT/auth/v1.0". */
  readonly authUrl: string;
  readonly user: string;
  readonly key: string;
}

const attemptMs = 30_000;
/** Of a token's life; then it is asked for anew. */
const usedShare = 0.8;
/** How long a token is used of which nobody says when it ends. */
const unknownLifeSeconds = 3600;

export class AuthV1 implements SwiftAuth {
  readonly #options: AuthV1Options;
  readonly #client: HttpClient;
  readonly #clock: Clock;
  #standing: (SwiftStanding & { readonly untilMs: number }) | undefined;
  #asking: Promise<SwiftStanding> | undefined;

  constructor(options: AuthV1Options, client: HttpClient, clock: Clock) {
    this.#options = options;
    this.#client = client;
    this.#clock = clock;
  }

  async standing(): Promise<SwiftStanding> {
    if (this.#standing !== undefined && this.#clock.monotonicMs() < this.#standing.untilMs) return this.#standing;
    this.#asking ??= this.#ask().finally(() => (this.#asking = undefined));
    return this.#asking;
  }

  forget(token: string): void {
    if (this.#standing?.token === token) this.#standing = undefined;
  }

  async #ask(): Promise<SwiftStanding> {
    const { authUrl, user, key } = this.#options;
    const askedAtMs = this.#clock.monotonicMs();
    const headers = { "x-auth-user": user, "x-auth-key": key };
    const answer = await this.#client.send({ method: "GET", url: authUrl, headers, limitMs: attemptMs });
    const token = answer.headers["x-auth-token"];
    const storageUrl = answer.headers["x-storage-url"];
    if (answer.status >= 300) throw refusalOf("Swift", "authentication", answer.status, undefined);
    if (token === undefined || storageUrl === undefined || !URL.canParse(storageUrl))
      throw new AndironError("store_refused", `${hostOf(authUrl)} answers an authentication without a token or a URL`);
    if (new URL(authUrl).protocol === "https:" && new URL(storageUrl).protocol !== "https:") {
      throw new AndironError("store_refused", `${hostOf(authUrl)} has TLS, and sends us to ${hostOf(storageUrl)} without`, {
        hint: "set storage_url_scheme = https in [filter:tempauth] of Swift's proxy",
      });
    }
    const lifeMs = lifeSecondsIn(answer) * 1000;
    const standing = { token, accountUrl: storageUrl.replace(/\/+$/, ""), untilMs: askedAtMs + lifeMs * usedShare };
    this.#standing = standing;
    return standing;
  }
}

function lifeSecondsIn({ headers }: HttpAnswer): number {
  const seconds = Number(headers["x-auth-token-expires"]);
  return Number.isFinite(seconds) && seconds > 0 ? seconds : unknownLifeSeconds;
}

/** Which endpoint of the catalogue. */
export type SwiftEndpoint = Pick<EndpointChoice, "interface" | "region">;

export class KeystoneAuth implements SwiftAuth {
  readonly #session: ServiceSession;
  readonly #endpoint: EndpointChoice;

  constructor(session: ServiceSession, endpoint: SwiftEndpoint) {
    this.#session = session;
    this.#endpoint = { serviceTypes: ["object-store"], ...endpoint };
  }

  async standing(): Promise<SwiftStanding> {
    const token = await this.#session.token();
    return { token, accountUrl: await this.#session.endpoint(this.#endpoint) };
  }

  forget(token: string): void {
    this.#session.forget(token);
  }
}
