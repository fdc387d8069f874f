// Configuration files of OpenStack's services (INI), and the groups that most of them have in common.

import { writeFile } from "node:fs/promises";
import type { ConfigGroups } from "../harness/service.ts";
import { type Keystone, password } from "../keystone/keystone.ts";

type ConfigGroup = ConfigGroups[string];

export async function writeConfigFile(path: string, groups: ConfigGroups): Promise<void> {
  const lines = Object.entries(groups).flatMap(([group, options]) => [
    `[${group}]`,
    ...Object.entries(options).map(([name, value]) => `${name} = ${value}`),
  ]);
  await writeFile(path, `${lines.join("\n")}\n`);
}

/** How a service says who it is: a user of the project "service". */
export function credentialsOf(keystone: Keystone, username: string): ConfigGroup {
  return {
    auth_type: "password",
    auth_url: keystone.url,
    user_domain_name: "Default",
    project_domain_name: "Default",
    project_name: "service",
    username,
    password,
  };
}

/** The group [keystone_authtoken]: how a service checks tokens. */
export function tokenChecks(keystone: Keystone, username: string): ConfigGroup {
  return {
    ...credentialsOf(keystone, username),
    www_authenticate_uri: keystone.url,
    service_token_roles: "service",
    service_token_roles_required: true,
  };
}
