// Whether a token is good, by asking Keystone (GET /v3/auth/tokens with our own token beside it), as keystonemiddleware does.
//
//   cache ── there ──► expired? ──► answer
//     └─ not there ─► being asked? ── yes ──► wait for that
//                          └── no ──► ask: 200 keep, answer · 404 bad · 401 our own is refused: another, once more
//                                          else, or no answer: keystone_unavailable
//
// - Only good answers are kept; a revoked token lives as long as the cache keeps it.
// - `allowExpired` is for requests that a service vouches for: long work may outlive its user's token (Keystone sets how long).

import type { Clock } from "../common/clock.ts";
import { AndironError } from "../common/errors.ts";
import { identityRoot } from "./credentials.ts";
import { type KeystoneToken, parseToken } from "./keystone-token.ts";
import type { ServiceHttp, ServiceReply } from "./service-http.ts";
import type { EndpointChoice, ServiceSession } from "./service-session.ts";
import { type TokenCache, hashToken } from "./token-cache.ts";

export interface TokenValidatorOptions {
  readonly http: ServiceHttp;
  readonly session: ServiceSession;
  readonly cache: TokenCache;
  readonly clock: Clock;
  /** interface and region_name of [keystone_authtoken]. */
  readonly identity: Omit<EndpointChoice, "serviceTypes">;
}

const tokenPattern = /^[\x21-\x7e]{1,8192}$/;

export class TokenValidator {
  readonly #options: TokenValidatorOptions;
  readonly #asking = new Map<string, Promise<KeystoneToken | undefined>>();

  constructor(options: TokenValidatorOptions) {
    this.#options = options;
  }

  /** Who the token stands for; undefined for a bad one. Throws keystone_unavailable when nobody can say. */
  async validate(token: string, { allowExpired = false } = {}): Promise<KeystoneToken | undefined> {
    if (!tokenPattern.test(token)) return undefined;
    const hash = hashToken(token);
    const found = this.#options.cache.get(hash) ?? (await this.#ask(token, hash, allowExpired));
    if (found === undefined) return undefined;
    return allowExpired || this.#options.clock.wallMs() < found.expiresAtMs ? found : undefined;
  }

  #ask(token: string, hash: string, allowExpired: boolean): Promise<KeystoneToken | undefined> {
    const key = `${hash} ${allowExpired}`;
    const present = this.#asking.get(key);
    if (present !== undefined) return present;
    const asking = this.#fetch(token, allowExpired)
      .then((found) => {
        if (found !== undefined) this.#options.cache.set(hash, found);
        return found;
      })
      .finally(() => this.#asking.delete(key));
    this.#asking.set(key, asking);
    return asking;
  }

  async #fetch(token: string, allowExpired: boolean): Promise<KeystoneToken | undefined> {
    const { session } = this.#options;
    const first = await session.token();
    let reply = await this.#send(token, first, allowExpired);
    if (reply.status === 401) {
      session.forget(first);
      reply = await this.#send(token, await session.token(), allowExpired);
    }
    if (reply.status === 200) return parseToken(reply.body);
    if (reply.status === 404) return undefined;
    throw new AndironError("keystone_unavailable", `Keystone answers ${reply.status} to the validation of a token`, {
      hint: "the user of [keystone_authtoken] needs the role service or admin",
    });
  }

  async #send(token: string, own: string, allowExpired: boolean): Promise<ServiceReply> {
    const { http, session, identity } = this.#options;
    const root = identityRoot(await session.endpoint({ ...identity, serviceTypes: ["identity"] }));
    const query = allowExpired ? "nocatalog=1&allow_expired=1" : "nocatalog=1";
    return http.send({
      method: "GET",
      url: `${root}/auth/tokens?${query}`,
      headers: { "x-auth-token": own, "x-subject-token": token, "openstack-identity-access-rules": "1.0" },
    });
  }
}
