// Runs the fuzzers: `npm run fuzz` runs all, `npm run fuzz -- [FILTER...] [--seconds N] [--seed N]` some, each for that long.
//
// A fuzzer is a program NAME.fuzz.ts beside what it fuzzes. It reads SEED and SECONDS from its environment, makes its input
// from the seed alone, and ends with an exit code other than 0 when it has found something. The seed is printed first, so
// that what was found can be found again.

import { spawnSync } from "node:child_process";
import { randomInt } from "node:crypto";
import { globSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const root = fileURLToPath(new URL("..", import.meta.url));
const { values, positionals } = parseArgs({
  options: { seconds: { type: "string", default: "60" }, seed: { type: "string", default: String(randomInt(2 ** 32)) } },
  allowPositionals: true,
});

const all = globSync(["src/**/*.fuzz.ts", "test/**/*.fuzz.ts"], { cwd: root }).sort();
const chosen = all.filter((path) => positionals.length === 0 || positionals.some((word) => path.includes(word)));
const failed = chosen.filter((path) => {
  console.log(`fuzz: ${path} --seed ${values.seed} --seconds ${values.seconds}`);
  const env = { ...process.env, SEED: values.seed, SECONDS: values.seconds };
  return spawnSync(process.execPath, [path], { cwd: root, env, stdio: "inherit" }).status !== 0;
});

console.log(`fuzz: ${chosen.length - failed.length} of ${chosen.length} fuzzers found nothing`);
for (const path of failed) console.log(`fuzz: ${path} FAILED; again with: npm run fuzz -- ${path} --seed ${values.seed}`);
process.exitCode = chosen.length > 0 && failed.length === 0 ? 0 : 1;
