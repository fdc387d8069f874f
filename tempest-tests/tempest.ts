// `npm run tempest -- [REGEX]`: starts a private cloud around the service of this checkout, runs Tempest's tests there (all
// that judge it, or those that match REGEX), says what is wrong and how long the slowest took, and removes everything.
// KEEP_STATE=1 keeps the folder with tempest.conf, Tempest's log and results; the service's own log goes with its state.

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { prepareCloud } from "../test/cloud/cloud.ts";
import { everything, readLists, runTempest } from "./runner.ts";
import { countResults, findComplaints } from "./verdict.ts";

const wanted = process.argv[2];
const regex = wanted === undefined ? everything : `(?=${everything})(?=.*(?:${wanted}))`;
const say = (line: string): void => console.error(`tempest: ${line}`);
const slowestShown = 10;

const folder = await mkdtemp(join(tmpdir(), "andiron-tempest-"));
say("starting Keystone, RabbitMQ, Glance and Andiron");
const cloud = await prepareCloud();
try {
  const lists = await readLists();
  const { results } = await runTempest(cloud, regex, folder, (text) => process.stdout.write(text));
  const slowest = results.toSorted((a, b) => b.seconds - a.seconds).slice(0, slowestShown);
  for (const { name, seconds } of slowest) say(`${seconds.toFixed(1)} s: ${name}`);
  const complaints = findComplaints(results, lists, regex === everything);
  for (const complaint of complaints) say(complaint);
  say(countResults(results));
  process.exitCode = complaints.length === 0 && results.length > 0 ? 0 : 1;
} finally {
  await cloud.dispose();
  if (process.env["KEEP_STATE"] === undefined) await rm(folder, { recursive: true, force: true });
  else say(`kept ${folder}`);
}
