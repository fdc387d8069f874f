// Runs areas against the reference and Andiron at the same time, in both rounds, over the same Keystone.

import type { RouteTable } from "../../src/api/route-table.ts";
import { type Identities, makeAccounts } from "./accounts.ts";
import { type Difference, compare } from "./comparison.ts";
import { Driver, type Entry, type Round } from "./driver.ts";
import type { Area } from "./scenario.ts";

export interface Services {
  readonly keystone: Identities;
  readonly referenceUrl: string;
  readonly andironUrl: string;
  readonly routes: RouteTable;
  readonly newestMinor: number;
}

export interface Comparison {
  /** What the reference answered. */
  readonly entries: readonly Entry[];
  readonly differences: readonly Difference[];
}

/** `run` makes the names of projects unique. */
export async function compareServices(services: Services, areas: readonly Area[], run = ""): Promise<Comparison> {
  const entries: Entry[] = [];
  const differences: Difference[] = [];
  for (const area of areas) {
    for (const label of ["oldest", "newest"] as const) {
      const compared = await compareRound(services, area, label, run);
      entries.push(...compared.entries);
      differences.push(...compared.differences);
    }
  }
  return { entries, differences };
}

export async function compareRound(services: Services, area: Area, label: Round["label"], run: string): Promise<Comparison> {
  const { keystone, referenceUrl, andironUrl, routes, newestMinor } = services;
  const accounts = await makeAccounts(keystone, `${run}${area.name}, ${label}`.slice(0, 58));
  const known: Record<string, string> = {};
  for (const name of ["member", "stranger", "admin"]) known[`${name}'s id`] = await keystone.find("user", name);
  const round: Round = { label, newestMinor, accounts, known };
  const [reference, andiron] = await Promise.all(
    [referenceUrl, andironUrl].map((url) => new Driver(url, routes, round).run(area)),
  );
  return { entries: reference!, differences: compare(reference!, andiron!) };
}
