// Runs the simulator: `npm run sim -- [--seed N] [--runs K] [--events M]`. Seeds follow each other from the first; for each that
// found something the problem, the last events and the line that repeats it are printed. Exit code 1 when any did.

import { randomInt } from "node:crypto";
import { parseArgs } from "node:util";
import { simulate } from "./simulation.ts";

const { values } = parseArgs({
  options: {
    seed: { type: "string", default: String(randomInt(2 ** 31)) },
    runs: { type: "string", default: "100" },
    events: { type: "string", default: "60" },
  },
});
const first = Number(values.seed);
const runs = Number(values.runs);
let failed = 0;
let deaths = 0;
let operations = 0;
for (let seed = first; seed < first + runs; seed++) {
  const outcome = await simulate(seed);
  deaths += outcome.deaths;
  operations += outcome.operations;
  if (runs === 1) console.log(`sim: seed ${seed}: trace ${outcome.traceHash}`);
  if (outcome.problem === undefined) continue;
  failed++;
  for (const event of outcome.events.slice(-Number(values.events))) console.log(`  ${event}`);
  console.log(`sim: seed ${seed}: ${outcome.problem}`);
  console.log(`sim: again with: npm run sim -- --seed ${seed} --runs 1`);
}
console.log(
  `sim: seeds ${first} to ${first + runs - 1}: ${deaths} deaths, ${operations} writes, ${failed} of ${runs} runs found something`,
);
process.exitCode = failed === 0 ? 0 : 1;
