// The configuration files of the tests' Swift (swift.ts). Pure, but for the name of the user who runs the tests.

import { userInfo } from "node:os";
import { password } from "../keystone/keystone.ts";

export const serverKinds = ["account", "container", "object"] as const;
export type ServerKind = (typeof serverKinds)[number];
export type SwiftPorts = Readonly<Record<ServerKind | "proxy" | "memcached", number>>;

export interface ProxyChoice {
  /** undefined: tempauth and s3api. */
  readonly keystoneUrl: string | undefined;
}

/** Swift's servers change to a user; the one who runs them is the only one that everybody may change to. */
export function swiftUser(): string {
  return userInfo().username;
}

export function renderServer(kind: ServerKind, folder: string, ports: SwiftPorts): string {
  // A listing that is behind for want of an updater would be so for ever: the object server waits for the container's answer.
  const patience = kind === "object" ? ["container_update_timeout = 30", "conn_timeout = 30", "node_timeout = 30"] : [];
  const lines = [
    ...defaults(folder, ports[kind]),
    `devices = ${folder}/devices`,
    "mount_check = false",
    "fallocate_reserve = 0",
    "[pipeline:main]",
    `pipeline = healthcheck ${kind}-server`,
    "[filter:healthcheck]",
    "use = egg:swift#healthcheck",
    `[app:${kind}-server]`,
    `use = egg:swift#${kind}`,
    ...patience,
  ];
  return `${lines.join("\n")}\n`;
}

export function renderProxy(folder: string, ports: SwiftPorts, { keystoneUrl }: ProxyChoice): string {
  const auth = keystoneUrl === undefined ? ["s3api", "tempauth"] : ["authtoken", "keystoneauth"];
  const pipeline = ["catch_errors", "gatekeeper", "healthcheck", "cache", ...auth, "slo", "dlo", "proxy-server"];
  const plain = ["catch_errors", "gatekeeper", "healthcheck", "slo", "dlo"];
  const lines = [
    ...defaults(folder, ports.proxy),
    "[pipeline:main]",
    `pipeline = ${pipeline.join(" ")}`,
    "[app:proxy-server]",
    "use = egg:swift#proxy",
    "account_autocreate = true",
    "allow_account_management = true",
    "conn_timeout = 30",
    "node_timeout = 60",
    ...plain.flatMap((name) => [`[filter:${name}]`, `use = egg:swift#${name}`]),
    "[filter:cache]",
    "use = egg:swift#memcache",
    `memcache_servers = 127.0.0.1:${ports.memcached}`,
    ...(keystoneUrl === undefined ? tempauth : keystoneAuth(keystoneUrl)),
  ];
  return `${lines.join("\n")}\n`;
}

function defaults(folder: string, port: number): string[] {
  const listening = ["bind_ip = 127.0.0.1", `bind_port = ${port}`, "workers = 0", `user = ${swiftUser()}`];
  return ["[DEFAULT]", `swift_dir = ${folder}`, ...listening, "db_preallocation = off"];
}

/** What s3api takes as the access key is the user's name, and as the secret his key. */
const tempauth: readonly string[] = [
  "[filter:s3api]",
  "use = egg:swift#s3api",
  "[filter:tempauth]",
  "use = egg:swift#tempauth",
  "user_test_tester = testing .admin",
  "user_test_reader = reading",
];

function keystoneAuth(url: string): string[] {
  return [
    "[filter:authtoken]",
    "paste.filter_factory = keystonemiddleware.auth_token:filter_factory",
    `www_authenticate_uri = ${url}`,
    `auth_url = ${url}`,
    "auth_type = password",
    "username = swift",
    `password = ${password}`,
    "user_domain_id = default",
    "project_name = service",
    "project_domain_id = default",
    // It keeps what it knows of a token for itself, and not for long: tests revoke tokens.
    "token_cache_time = -1",
    "delay_auth_decision = true",
    "[filter:keystoneauth]",
    "use = egg:swift#keystoneauth",
    "operator_roles = admin, member",
  ];
}
