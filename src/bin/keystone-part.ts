// The part of a process that knows who asks and whether they may: policy, authenticator and what is asked of Nova, from the
// configuration. With auth_strategy = noauth there is no Keystone in it, and Nova only when [nova] has credentials of its own.

import { type Authenticator, noAuth } from "../api/auth.ts";
import { KeystoneAuth } from "../api/keystone-auth.ts";
import { PolicyFile } from "../cinder/policy/policy-file.ts";
import { RulePolicy } from "../cinder/policy/rule-policy.ts";
import { type Projects, type ServerVolumes, anyProject, noServers } from "../cinder/ports.ts";
import { systemClock } from "../common/clock.ts";
import type { Config } from "../common/config.ts";
import type { Logger } from "../common/log.ts";
import type { Service } from "../common/service.ts";
import type { Credentials } from "../keystone/credentials.ts";
import { KeystoneProjects } from "../keystone/projects.ts";
import { ServiceHttp } from "../keystone/service-http.ts";
import { ServiceSession } from "../keystone/service-session.ts";
import { TokenCache } from "../keystone/token-cache.ts";
import { TokenValidator } from "../keystone/token-validator.ts";
import { NovaServerVolumes } from "../nova/server-volumes.ts";

export interface KeystonePart {
  readonly policy: RulePolicy;
  readonly authenticator: Authenticator;
  readonly servers: ServerVolumes;
  readonly projects: Projects;
  /** Our own standing; undefined without Keystone. */
  readonly session: ServiceSession | undefined;
  /** With send_service_user_token. */
  readonly serviceUser: ServiceSession | undefined;
  /** To be started before the API. */
  readonly services: readonly Service[];
}

type Group = "keystone_authtoken" | "nova" | "service_user";

export function makeKeystonePart(config: Config, log: Logger): KeystonePart {
  const policyLog = log.part("policy");
  const policy = new RulePolicy();
  const file = new PolicyFile({
    path: config.oslo_policy.policy_file,
    withLegacy: !config.oslo_policy.enforce_new_defaults,
    policy,
    clock: systemClock,
    onChanged: () => policyLog.info(`took over the changed rules of ${config.oslo_policy.policy_file}`),
    onTrouble: (error) => policyLog.error("the changed policy file is not taken over: the rules before it stay", { error }),
  });
  const clients: ServiceHttp[] = [];
  const open = (group: Group): { readonly http: ServiceHttp; readonly session: ServiceSession } => {
    const http = openKeystone(config, group);
    clients.push(http);
    return { http, session: openSession(http, config[group], group) };
  };
  const { authenticator, projects, session } =
    config.DEFAULT.auth_strategy === "noauth" ? withoutKeystone : askKeystone(config, policy, open);
  const servers = makeServers(config, open, clients);
  const connections: Service = {
    id: "keystone",
    start: () => Promise.resolve(),
    stop: async () => void (await Promise.all(clients.map((client) => client.close()))),
  };
  const serviceUser = config.service_user.send_service_user_token ? open("service_user").session : undefined;
  return { policy, authenticator, servers, projects, session, serviceUser, services: [file, connections] };
}

type Open = (group: Group) => { readonly http: ServiceHttp; readonly session: ServiceSession };

type Asked = Pick<KeystonePart, "authenticator" | "projects" | "session">;

const withoutKeystone: Asked = { authenticator: noAuth, projects: anyProject, session: undefined };

function askKeystone(config: Config, policy: RulePolicy, open: Open): Asked {
  const options = config.keystone_authtoken;
  const { http, session } = open("keystone_authtoken");
  const identity = { interface: options.interface, region: options.region_name };
  const validator = new TokenValidator({
    http,
    session,
    cache: new TokenCache(options.token_cache_time * 1000, systemClock),
    clock: systemClock,
    identity,
  });
  const authenticator = new KeystoneAuth({
    validator,
    wwwAuthenticateUri: options.www_authenticate_uri,
    serviceTokenRoles: options.service_token_roles,
    serviceTokenRolesRequired: options.service_token_roles_required,
    serviceType: options.service_type,
    isAdmin: (caller) => policy.isAdmin(caller),
  });
  return { authenticator, projects: new KeystoneProjects({ http, session, identity }), session };
}

/** Without credentials in [nova] those of [keystone_authtoken] do. */
function makeServers(config: Config, open: Open, clients: ServiceHttp[]): ServerVolumes {
  const group = config.nova.auth_url === "" ? "keystone_authtoken" : "nova";
  if (config[group].auth_url === "" || (group === "keystone_authtoken" && config.DEFAULT.auth_strategy === "noauth"))
    return noServers;
  const { cafile, insecure, timeout, interface: name, region_name: region } = config.nova;
  const http = new ServiceHttp({
    caFile: cafile,
    insecure,
    timeoutMs: timeout * 1000,
    retriesMax: 2,
    clock: systemClock,
    service: "Nova",
    failure: "nova_unavailable",
  });
  clients.push(http);
  return new NovaServerVolumes({
    http,
    session: open(group).session,
    compute: { interface: name, region },
    ...(config.service_user.send_service_user_token ? { serviceUser: open("service_user").session } : {}),
  });
}

function openKeystone(config: Config, group: Group): ServiceHttp {
  const { http_connect_timeout, http_request_max_retries } = config.keystone_authtoken;
  const { cafile, insecure } = config[group];
  return new ServiceHttp({
    caFile: cafile,
    insecure,
    timeoutMs: http_connect_timeout * 1000,
    retriesMax: http_request_max_retries,
    clock: systemClock,
    service: "Keystone",
    failure: "keystone_unavailable",
  });
}

function openSession(http: ServiceHttp, credentials: Credentials, group: Group): ServiceSession {
  return new ServiceSession({ http, credentials, clock: systemClock, group });
}
