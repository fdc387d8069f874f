// auth_strategy = keystone: who sends a request, by the tokens in its head, as keystonemiddleware's auth_token decides it.
//
//   X-Service-Token ──► good? ──► has a role of service_token_roles? ──► the user's token may have expired
//                         └ no ────────┴ no, and it must ──► 401, whatever the user's token
//   X-Auth-Token, or X-Storage-Token ──► good, and its access rules allow the request? ── no ──► 401
//
// - Nothing else in the head says who somebody is: identity headers (X-User-Id, X-Roles, ...) of a client are never read.
// - An access rule restricts what comes from the user: a request that a service makes on the way is not looked up in them.
// - Keystone away is 503, never 401: a client drops its token on a 401 and would ask the ailing Keystone for another.

import type { Caller } from "../cinder/context.ts";
import { isAllowed } from "../keystone/access-rules.ts";
import type { KeystoneToken } from "../keystone/keystone-token.ts";
import type { TokenValidator } from "../keystone/token-validator.ts";
import type { AuthRequest, Authenticator, Identity } from "./auth.ts";
import { Unauthorized } from "./http-fault.ts";

/** Names of options are those of [keystone_authtoken]. */
export interface KeystoneAuthOptions {
  readonly validator: Pick<TokenValidator, "validate">;
  /** www_authenticate_uri: where a client gets a token. */
  readonly wwwAuthenticateUri: string;
  readonly serviceTokenRoles: readonly string[];
  readonly serviceTokenRolesRequired: boolean;
  /** service_type: our name in access rules. */
  readonly serviceType: string;
  /** The policy rule context_is_admin. */
  readonly isAdmin: (caller: Omit<Caller, "isAdmin">) => boolean;
}

interface Vouched {
  readonly roles: readonly string[];
  readonly allowExpired: boolean;
}

const notVouched: Vouched = { roles: [], allowExpired: false };

export class KeystoneAuth implements Authenticator {
  readonly #options: KeystoneAuthOptions;
  readonly #serviceRoles: ReadonlySet<string>;

  constructor(options: KeystoneAuthOptions) {
    this.#options = options;
    this.#serviceRoles = new Set(options.serviceTokenRoles.map((role) => role.toLowerCase()));
  }

  async authenticate(request: AuthRequest): Promise<Identity> {
    const { headers, method, path } = request;
    const serviceToken = single(headers["x-service-token"]);
    const userToken = single(headers["x-auth-token"]) ?? single(headers["x-storage-token"]);
    if (userToken === undefined) throw this.#refusal();
    const vouched = serviceToken === undefined ? notVouched : await this.#vouch(serviceToken);
    const token = await this.#options.validator.validate(userToken, { allowExpired: vouched.allowExpired });
    if (token === undefined) throw this.#refusal();
    const { serviceType } = this.#options;
    const free = token.accessRules === undefined || serviceToken !== undefined;
    if (!free && !isAllowed(token.accessRules, { serviceType, method, path })) throw this.#refusal();
    const caller = callerOf(token, vouched.roles);
    return { ...caller, isAdmin: this.#options.isAdmin(caller), userToken: () => userToken };
  }

  async #vouch(serviceToken: string): Promise<Vouched> {
    const token = await this.#options.validator.validate(serviceToken);
    if (token === undefined) throw this.#refusal();
    const allowExpired = token.roles.some((role) => this.#serviceRoles.has(role));
    if (!allowExpired && this.#options.serviceTokenRolesRequired) throw this.#refusal();
    return { roles: token.roles, allowExpired };
  }

  #refusal(): Unauthorized {
    return new Unauthorized({ "www-authenticate": `Keystone uri="${this.#options.wwwAuthenticateUri}"` });
  }
}

function single(header: string | string[] | undefined): string | undefined {
  const text = (Array.isArray(header) ? header[0] : header)?.trim();
  return text === "" ? undefined : text;
}

function callerOf(token: KeystoneToken, serviceRoles: readonly string[]): Omit<Caller, "isAdmin"> {
  const { userDomainId, projectName, projectDomainId, domainId, systemScope, isAdminProject } = token;
  return {
    userId: token.userId,
    projectId: token.projectId ?? "",
    roles: token.roles,
    serviceRoles,
    ...(userDomainId === undefined ? {} : { userDomainId }),
    ...(projectDomainId === undefined ? {} : { projectDomainId }),
    ...(projectName === undefined ? {} : { projectName }),
    ...(domainId === undefined ? {} : { domainId }),
    ...(systemScope === undefined ? {} : { systemScope }),
    ...(isAdminProject === undefined ? {} : { isAdminProject }),
  };
}
