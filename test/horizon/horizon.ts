// `npm run horizon -- [--with-nova] [--shots FOLDER] [TEXT]`: clicks through the dashboard that Debian ships, in a browser, with
// the service of this checkout behind it: all scenes, or those whose names hold TEXT.
//
// - --shots FOLDER takes screenshots of the steps, to be looked at.
// - --with-nova has Nova with a host of servers in the cloud, for the scenes that need some. It needs root.
// - Files and processes belong to a run directory, as those of the tests do: they go with the run, however it ends.

import { mkdirSync } from "node:fs";
import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { beginOwnRun } from "../../scripts/own-run.ts";
import { aptLine, ensurePeers, horizonPackages, novaPackages, peerPackages } from "../../scripts/peers.ts";
import { prepareCloud } from "../cloud/cloud.ts";
import { prepareNovaCloud } from "../cloud/nova-cloud.ts";
import { selectScenes } from "./scenes.ts";
import { openTheatre } from "./theatre.ts";

const say = (line: string): void => console.error(`horizon: ${line}`);
const { values, positionals } = parseArgs({
  options: { "with-nova": { type: "boolean", default: false }, shots: { type: "string" } },
  allowPositionals: true,
});
const withNova = values["with-nova"];
const shots = values.shots === undefined ? undefined : resolve(values.shots);
if (shots !== undefined) mkdirSync(shots, { recursive: true });

beginOwnRun("horizon", say);
const wanted = [...peerPackages, ...horizonPackages, ...(withNova ? novaPackages : [])];
const { missing, reason } = ensurePeers(say, wanted);
if (reason === undefined) process.exitCode = (await playAll()) ? 0 : 1;
else {
  say(`packages are missing (${reason}); to install them, as root: ${aptLine(missing)}`);
  process.exitCode = 1;
}

/** Resolves with whether every scene went well, and there was one. */
async function playAll(): Promise<boolean> {
  const scenes = selectScenes(positionals[0] ?? "", withNova);
  const startedMs = performance.now();
  const taken = (): string => ((performance.now() - startedMs) / 1000).toFixed(0);
  say("starting the cloud");
  const cloud = withNova ? await prepareNovaCloud(say) : await prepareCloud();
  let failed = 0;
  try {
    const theatre = await openTheatre(cloud, shots);
    say(`the curtain rises after ${taken()} s`);
    try {
      for (const scene of scenes) {
        const { seconds, problems } = await theatre.play(scene);
        say(`${problems.length === 0 ? "well" : "FAILED"} ${seconds.toFixed(1)} s: ${scene.name}`);
        for (const problem of problems) say(`  ${problem}`);
        if (problems.length > 0) failed++;
      }
    } finally {
      await theatre.dispose();
    }
    const log = await cloud.andiron.logTail();
    if (log !== "") say(`Andiron's log: ${log}`);
  } finally {
    await cloud.dispose();
    say(`${scenes.length} scenes, ${failed} failed, ${taken()} s`);
  }
  return failed === 0 && scenes.length > 0;
}
