// Andiron as the reference is configured: the same host, back ends, limits and rules, so that answers can be the same.

import type { ConfigGroups } from "../harness/service.ts";
import { password } from "../keystone/keystone.ts";

/** Options that both services have. */
export const sharedConfig: ConfigGroups = {
  DEFAULT: { host: "reference", quota_volumes: 100, quota_snapshots: 100, quota_gigabytes: 1000 },
  oslo_policy: { enforce_new_defaults: true },
};

/** User of Andiron in the project "service"; the caller has made it. */
export const andironUser = "andiron";

export function andironConfig(keystoneUrl: string): ConfigGroups {
  return {
    DEFAULT: { ...sharedConfig["DEFAULT"], auth_strategy: "keystone", backup_driver: "posix", enabled_backends: "fake1,fake2" },
    oslo_policy: { enforce_new_defaults: true },
    keystone_authtoken: {
      auth_url: keystoneUrl,
      www_authenticate_uri: keystoneUrl,
      username: andironUser,
      password,
      http_connect_timeout: 60,
    },
    fake1: {},
    fake2: {},
  };
}
