// The users that Tempest works as, each with a project of its own. Made once: a class of tests borrows what it needs, where
// Tempest would otherwise make and remove users and projects for each, which is most of what Keystone had to do.

import { type Keystone, password } from "../test/keystone/keystone.ts";

/** One process of Tempest runs one class at a time, which has at most two members and an administrator. */
const membersPerProcess = 2;

/** The text of accounts.yaml (JSON is YAML) for that many processes of Tempest, and the users in Keystone. */
export async function prepareAccounts(keystone: Keystone, processes: number): Promise<string> {
  const accounts: object[] = [];
  const add = async (role: string, count: number, types: readonly string[]): Promise<void> => {
    for (let number = 1; number <= count; number++) {
      const name = `tempest-${role}-${number}`;
      await keystone.grant(name, name, role);
      const domain = { user_domain_name: "Default", project_domain_name: "Default" };
      accounts.push({
        username: name,
        project_name: name,
        password,
        ...domain,
        ...(types.length > 0 ? { types } : { roles: [role] }),
      });
    }
  };
  await add("member", membersPerProcess * processes, []);
  await add("admin", processes, ["admin"]);
  return JSON.stringify(accounts, undefined, 2);
}
