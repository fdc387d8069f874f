// `npm run tempest -- [--with-nova] [REGEX]`: starts a private cloud around the service of this checkout, runs Tempest's tests
// there (all that judge it, or those that match REGEX), says what is wrong and how long the slowest took, and removes everything.
//
// - --with-nova adds Nova with two hosts of servers, so that the tests that need servers run too, and those of servers with
//   volumes that Tempest has elsewhere. It needs root, and installs the Debian packages of Nova that are missing.
// - Files and processes belong to a run directory, as those of the tests do: they go with the run, however it ends.
// - KEEP_STATE=1 keeps tempest.conf, Tempest's log and results, and the logs of Andiron and Nova.

import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { beginOwnRun } from "../scripts/own-run.ts";
import { aptLine, ensurePeers, novaPackages, peerPackages } from "../scripts/peers.ts";
import { type Cloud, prepareCloud } from "../test/cloud/cloud.ts";
import { prepareNovaCloud } from "../test/cloud/nova-cloud.ts";
import { everything, everythingWithServers, readLists, runTempest } from "./runner.ts";
import { countResults, findComplaints } from "./verdict.ts";

const slowestShown = 10;
const hostsOfServers = 2;
const say = (line: string): void => console.error(`tempest: ${line}`);

const { values, positionals } = parseArgs({
  options: { "with-nova": { type: "boolean", default: false } },
  allowPositionals: true,
});
const withNova = values["with-nova"];
const [wanted] = positionals;
const all = withNova ? everythingWithServers : everything;
const regex = wanted === undefined ? all : `(?=${all})(?=.*(?:${wanted}))`;

const directory = beginOwnRun("tempest", say);

if (hasPeers()) {
  const startedMs = performance.now();
  const cloud = await startCloud();
  say(`the cloud is up after ${seconds(startedMs)} s`);
  try {
    process.exitCode = (await judge(cloud)) ? 0 : 1;
  } finally {
    await cloud.dispose();
    say(`took ${seconds(startedMs)} s`);
  }
} else process.exitCode = 1;

function hasPeers(): boolean {
  if (withNova && process.getuid?.() !== 0) {
    say("--with-nova needs root: libvirt and its namespaces do");
    return false;
  }
  const { missing, reason } = ensurePeers(say, withNova ? [...peerPackages, ...novaPackages] : peerPackages);
  if (reason !== undefined) say(`packages are missing (${reason}); to install them, as root: ${aptLine(missing)}`);
  return reason === undefined;
}

function startCloud(): Promise<Cloud> {
  if (withNova) return prepareNovaCloud(say, hostsOfServers);
  say("starting Keystone, RabbitMQ, Glance and Andiron");
  return prepareCloud();
}

/** Runs the tests; resolves with whether all is as the lists have it. */
async function judge(cloud: Cloud): Promise<boolean> {
  const folder = join(directory, "tempest");
  mkdirSync(folder);
  const { results } = await runTempest(cloud, regex, folder, (text) => process.stdout.write(text));
  const slowest = results.toSorted((a, b) => b.seconds - a.seconds).slice(0, slowestShown);
  for (const { name, seconds: taken } of slowest) say(`${taken.toFixed(1)} s: ${name}`);
  const complaints = findComplaints(results, await readLists(withNova), regex === all);
  for (const complaint of complaints) say(complaint);
  say(countResults(results));
  return complaints.length === 0 && results.length > 0;
}

function seconds(sinceMs: number): string {
  return ((performance.now() - sinceMs) / 1000).toFixed(0);
}
