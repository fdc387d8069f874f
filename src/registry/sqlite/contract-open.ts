// Opens an embedded registry for the children of the contract suite, and makes stores for its tests.

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemRandom } from "../../common/random.ts";
import type { ContractStore } from "../contract-context.ts";
import type { Registry } from "../registry.ts";
import { openSqliteRegistry } from "./open.ts";

/** `location` is the database file. */
export function openContractRegistry(location: string): Promise<Registry> {
  return openSqliteRegistry({ path: location, random: systemRandom });
}

export async function makeSqliteStore(): Promise<ContractStore> {
  const directory = await mkdtemp(join(tmpdir(), "andiron-registry-"));
  const location = join(directory, "registry.db");
  return {
    open: () => openContractRegistry(location),
    childModule: import.meta.url,
    location,
    remove: () => rm(directory, { recursive: true }),
  };
}
