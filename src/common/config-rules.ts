// What must hold between options: each rule looks at several. What one option alone must hold is its type's business
// (option-types.ts). Called by loadConfig once every value is sound by itself.

import { BlockList, isIP } from "node:net";
import type { BackendValues, OptionValues } from "./config.ts";

export interface BrokenRule {
  /** The option to change. */
  readonly group: string;
  readonly name: string;
  readonly problem: string;
}

export interface CheckedConfig extends OptionValues {
  readonly backends: ReadonlyMap<string, BackendValues>;
}

/** Every rule that `config` breaks. */
export function checkTogether(config: CheckedConfig): BrokenRule[] {
  const rules = [
    checkAuth,
    checkKeystone,
    checkBackends,
    checkTls,
    checkApiTls,
    checkEndpoint,
    checkJournal,
    checkNotifications,
    checkBackups,
    checkKeys,
  ];
  return rules.flatMap((rule) => rule(config));
}

/** True for an address that only this machine reaches. A name other than localhost is not trusted to be one. */
export function isLoopback(host: string): boolean {
  if (host === "localhost") return true;
  const family = isIP(host);
  if (family === 0) return false;
  const loopback = new BlockList();
  loopback.addSubnet("127.0.0.0", 8, "ipv4");
  loopback.addAddress("::1", "ipv6");
  return loopback.check(host, family === 6 ? "ipv6" : "ipv4");
}

function checkAuth({ DEFAULT: { auth_strategy, osapi_volume_listen } }: CheckedConfig): BrokenRule[] {
  if (auth_strategy !== "noauth" || isLoopback(osapi_volume_listen)) return [];
  const problem =
    `auth_strategy = noauth lets anyone in, so it is allowed on a loopback address only, ` +
    `and osapi_volume_listen = ${osapi_volume_listen} is none`;
  return [{ group: "DEFAULT", name: "osapi_volume_listen", problem }];
}

function checkKeystone({ DEFAULT: { auth_strategy }, keystone_authtoken, nova, service_user }: CheckedConfig): BrokenRule[] {
  return [
    ...(auth_strategy === "keystone"
      ? checkCredentials("keystone_authtoken", keystone_authtoken, "auth_strategy = keystone")
      : []),
    ...(nova.auth_url === "" ? [] : checkCredentials("nova", nova, "auth_url is set")),
    ...(service_user.send_service_user_token
      ? checkCredentials("service_user", service_user, "send_service_user_token = true")
      : []),
  ];
}

/** What has to be given for credentials to be complete. */
function checkCredentials(
  group: string,
  values: OptionValues["nova" | "service_user" | "keystone_authtoken"],
  why: string,
): BrokenRule[] {
  const needed =
    values.auth_type === "v3applicationcredential"
      ? (["application_credential_id", "application_credential_secret"] as const)
      : (["username", "password"] as const);
  const missing = (["auth_url", ...needed] as const).filter((name) => values[name] === "");
  const broken = missing.map((name) => ({ group, name, problem: `must be set: ${why}` }));
  if (values.auth_url === "" || URL.canParse(values.auth_url)) return broken;
  return [...broken, { group, name: "auth_url", problem: `is ${values.auth_url}, which is no URL` }];
}

function checkBackends({ DEFAULT: { enabled_backends }, backends }: CheckedConfig): BrokenRule[] {
  const broken: BrokenRule[] = [];
  const option = { group: "DEFAULT", name: "enabled_backends" };
  if (enabled_backends.length === 0) broken.push({ ...option, problem: "names no backend" });
  if (new Set(enabled_backends).size < enabled_backends.length) broken.push({ ...option, problem: "names a backend twice" });
  const paths = new Map<string, string>();
  for (const [group, { file_path }] of backends) {
    const other = paths.get(file_path);
    if (other !== undefined) broken.push({ group, name: "file_path", problem: `is the directory of [${other}] too` });
    paths.set(file_path, group);
  }
  return broken;
}

function checkTls({ nbd }: CheckedConfig): BrokenRule[] {
  const missing = (name: "tls_cert_file" | "tls_key_file" | "tls_ca_file", why: string): BrokenRule[] =>
    nbd[name] === "" ? [{ group: "nbd", name, problem: `must be set: ${why}` }] : [];
  const why = `tls_mode = ${nbd.tls_mode}`;
  return [
    ...(nbd.tls_mode === "off" ? [] : [...missing("tls_cert_file", why), ...missing("tls_key_file", why)]),
    ...(nbd.tls_mode !== "off" && nbd.tls_verify_peer ? missing("tls_ca_file", "tls_verify_peer = true") : []),
  ];
}

function checkApiTls({ DEFAULT: { osapi_volume_use_ssl }, ssl }: CheckedConfig): BrokenRule[] {
  if (!osapi_volume_use_ssl) return [];
  const missing = (["cert_file", "key_file"] as const).filter((name) => ssl[name] === "");
  return missing.map((name) => ({ group: "ssl", name, problem: "must be set: osapi_volume_use_ssl = true" }));
}

/** Links are public_endpoint and what follows, so it must be a URL that something can be put behind. */
function checkEndpoint({ DEFAULT: { public_endpoint: url } }: CheckedConfig): BrokenRule[] {
  if (url === "") return [];
  const broken = (problem: string): BrokenRule[] => [
    { group: "DEFAULT", name: "public_endpoint", problem: `is ${url}, ${problem}` },
  ];
  if (!URL.canParse(url) || !/^https?:\/\/[^?#]+$/i.test(url)) return broken("which is no http or https URL");
  return /\/v3\/*$/.test(url) ? broken("and must end before /v3") : [];
}

function checkNotifications({ DEFAULT, oslo_messaging_notifications, oslo_messaging_rabbit }: CheckedConfig): BrokenRule[] {
  const { driver, transport_url, topics } = oslo_messaging_notifications;
  const { ssl_cert_file, ssl_key_file } = oslo_messaging_rabbit;
  const broken: BrokenRule[] = [];
  const group = "oslo_messaging_notifications";
  if (driver !== "noop" && transport_url === "" && DEFAULT.transport_url === "") {
    broken.push({ group, name: "transport_url", problem: `must be set: driver = ${driver}` });
  }
  if (topics.length < 1 || topics.length > 8) broken.push({ group, name: "topics", problem: "must be 1 to 8" });
  if ((ssl_cert_file === "") !== (ssl_key_file === "")) {
    const problem = "must be set together with ssl_cert_file";
    broken.push({ group: "oslo_messaging_rabbit", name: "ssl_key_file", problem });
  }
  return broken;
}

function checkKeys({ key_manager: { backend, fixed_key }, barbican, service_user }: CheckedConfig): BrokenRule[] {
  const broken: BrokenRule[] = [];
  // Its value is a secret: it is not shown.
  if (backend.endsWith("ConfKeyManager") && !/^([0-9a-f]{2})+$/i.test(fixed_key)) {
    broken.push({ group: "key_manager", name: "fixed_key", problem: `must be set, in hex: backend = ${backend}` });
  }
  if (barbican.send_service_user_token && !service_user.send_service_user_token) {
    const problem = "needs the user of [service_user], which send_service_user_token there has to turn on";
    broken.push({ group: "barbican", name: "send_service_user_token", problem });
  }
  return broken;
}

function checkJournal({ engine: { journal_bytes_max, segment_bytes } }: CheckedConfig): BrokenRule[] {
  if (journal_bytes_max >= 4 * segment_bytes) return [];
  const problem = `is ${journal_bytes_max}, less than four segments (segment_bytes = ${segment_bytes})`;
  return [{ group: "engine", name: "journal_bytes_max", problem }];
}

function checkBackups({ DEFAULT }: CheckedConfig): BrokenRule[] {
  const missing = (names: readonly BackupOption[], why: string): BrokenRule[] =>
    names.filter((name) => DEFAULT[name] === "").map((name) => ({ group: "DEFAULT", name, problem: `must be set: ${why}` }));
  const { backup_driver: driver, backup_swift_auth_version: version, auth_strategy } = DEFAULT;
  if (/s3/i.test(driver)) {
    return missing(["backup_s3_endpoint_url", "backup_s3_store_access_key", "backup_s3_store_secret_key"], "backups are in S3");
  }
  if (!/swift/i.test(driver)) return [];
  if (version === "1") return missing(["backup_swift_auth_url", "backup_swift_user", "backup_swift_key"], "backups are in Swift");
  if (auth_strategy === "keystone") return [];
  return [{ group: "DEFAULT", name: "backup_swift_auth_version", problem: "is 3, which needs auth_strategy = keystone" }];
}

type BackupOption =
  | "backup_s3_endpoint_url"
  | "backup_s3_store_access_key"
  | "backup_s3_store_secret_key"
  | "backup_swift_auth_url"
  | "backup_swift_user"
  | "backup_swift_key";
