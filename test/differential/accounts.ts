// The callers of a round, made in the Keystone that both services ask: a member and a reader of one project, a stranger in
// another. New ones for every area and round, so that no list has what another area left.

import type { Keystone } from "../keystone/keystone.ts";
import type { Account, Round } from "./driver.ts";

/** What is asked of Keystone here. */
export type Identities = Pick<Keystone, "find" | "grant" | "issue">;

export async function makeAccounts(keystone: Identities, name: string): Promise<Round["accounts"]> {
  const [own, other] = [`${name}-own`, `${name}-other`];
  await keystone.grant("member", own, "member");
  await keystone.grant("reader", own, "reader");
  await keystone.grant("stranger", other, "member");
  const account = async (user: string, project: string): Promise<Account> => ({
    token: await keystone.issue(user, project),
    projectId: await keystone.find("project", project),
  });
  return {
    member: await account("member", own),
    reader: await account("reader", own),
    stranger: await account("stranger", other),
    admin: await account("admin", "admin"),
  };
}
