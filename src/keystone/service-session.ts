// A service's own standing with Keystone: its token, and the catalogue that came with it.
//
//   none ── token() ──► asking ──► fresh ── 80 % of its life ──► ageing ── expires_at ──► expired
//                         ▲          ▲                              │ (used on, and renewed beside)  │
//                         │          └──────── renewed ─────────────┘                                │
//                         └────────── forget(), or token() of an expired one ◄────────────────────────┘
//
// At most one authentication is under way. The token is kept in memory as long as it is used, and nowhere else.

import type { Clock } from "../common/clock.ts";
import { AndironError } from "../common/errors.ts";
import { type Credentials, authenticationBody, identityRoot } from "./credentials.ts";
import { type CatalogEntry, parseCatalog, parseToken } from "./keystone-token.ts";
import type { ServiceHttp } from "./service-http.ts";

export interface ServiceSessionOptions {
  readonly http: ServiceHttp;
  readonly credentials: Credentials;
  readonly clock: Clock;
  /** Group of the configuration, for messages. */
  readonly group: string;
}

/** Which of a service's endpoints. */
export interface EndpointChoice {
  /** The first that the catalogue has. */
  readonly serviceTypes: readonly string[];
  /** public, internal or admin; with or without "URL" at the end. */
  readonly interface: string;
  /** Empty: any. */
  readonly region: string;
}

interface Standing {
  readonly token: string;
  readonly renewAtMs: number;
  readonly expiresAtMs: number;
  readonly catalog: readonly CatalogEntry[];
}

export class ServiceSession {
  readonly #options: ServiceSessionOptions;
  #standing: Standing | undefined;
  #asking: Promise<Standing> | undefined;

  constructor(options: ServiceSessionOptions) {
    this.#options = options;
  }

  /** A token that is not expired. Throws keystone_unavailable when there is none to be had. */
  async token(): Promise<string> {
    return (await this.#current()).token;
  }

  /** Says that `token` was refused: the next token() is another. */
  forget(token: string): void {
    if (this.#standing?.token === token) this.#standing = undefined;
  }

  /** URL without a slash at its end. Throws keystone_unavailable when the catalogue has no such endpoint. */
  async endpoint(choice: EndpointChoice): Promise<string> {
    const wanted = choice.interface.replace(/URL$/, "");
    const { catalog } = await this.#current();
    for (const type of choice.serviceTypes) {
      const endpoints = catalog.filter((entry) => entry.type === type).flatMap((entry) => entry.endpoints);
      const found = endpoints.find(({ interface: name, region }) => {
        return name === wanted && (choice.region === "" || region === choice.region);
      });
      if (found !== undefined) return found.url.replace(/\/+$/, "");
    }
    const where = choice.region === "" ? "any region" : `region ${choice.region}`;
    throw new AndironError(
      "keystone_unavailable",
      `the catalogue has no ${wanted} endpoint of ${choice.serviceTypes.join(" or ")} in ${where}`,
      { hint: `look at interface and region_name in [${this.#options.group}], and at the endpoints in Keystone` },
    );
  }

  async #current(): Promise<Standing> {
    const nowMs = this.#options.clock.wallMs();
    const standing = this.#standing;
    if (standing === undefined || nowMs >= standing.expiresAtMs) return this.#renew();
    // A failure is met again, and told, when the old token has expired.
    if (nowMs >= standing.renewAtMs) this.#renew().catch(() => undefined);
    return standing;
  }

  #renew(): Promise<Standing> {
    this.#asking ??= this.#authenticate()
      .then((standing) => (this.#standing = standing))
      .finally(() => (this.#asking = undefined));
    return this.#asking;
  }

  async #authenticate(): Promise<Standing> {
    const { http, credentials, clock, group } = this.#options;
    const askedAtMs = clock.wallMs();
    const url = `${identityRoot(credentials.auth_url)}/auth/tokens`;
    const reply = await http.send({ method: "POST", url, body: authenticationBody(credentials) });
    const token = reply.headers["x-subject-token"];
    if (reply.status !== 201 || typeof token !== "string") {
      throw new AndironError("keystone_unavailable", `Keystone answers ${reply.status} to the credentials of [${group}]`, {
        hint: `check user, password and project in [${group}] of andiron.conf`,
      });
    }
    const { expiresAtMs } = parseToken(reply.body);
    const renewAtMs = askedAtMs + (expiresAtMs - askedAtMs) * 0.8;
    return { token, renewAtMs, expiresAtMs, catalog: parseCatalog(reply.body) };
  }
}
