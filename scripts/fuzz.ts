// Runs the fuzzers: `npm run fuzz` runs all, `npm run fuzz -- [FILTER...] [--seconds N] [--seed N]` those whose name holds a
// filter, each for about that long. Seeds follow each other from the first; the one that found something is printed.
//
// A file NAME.fuzz.ts beside what it fuzzes exports `fuzzers`: a name and run(seed, iterations) each, which makes its input
// from the seed alone and rejects when a rule is broken.

import { randomInt } from "node:crypto";
import { globSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

interface Fuzzer {
  readonly name: string;
  run(seed: number, iterations: number): Promise<void>;
}

const root = fileURLToPath(new URL("..", import.meta.url));
const iterationsPerSeed = 200;
const { values, positionals } = parseArgs({
  options: { seconds: { type: "string", default: "30" }, seed: { type: "string", default: String(randomInt(2 ** 31)) } },
  allowPositionals: true,
});

let found = 0;
let ran = 0;
for (const path of globSync(["src/**/*.fuzz.ts", "test/**/*.fuzz.ts"], { cwd: root }).sort()) {
  const { fuzzers } = (await import(join(root, path))) as { fuzzers: readonly Fuzzer[] };
  for (const fuzzer of fuzzers) {
    if (positionals.length > 0 && !positionals.some((word) => fuzzer.name.includes(word))) continue;
    ran++;
    if (!(await fuzz(fuzzer))) found++;
  }
}
console.log(`fuzz: ${ran - found} of ${ran} fuzzers found nothing`);
process.exitCode = ran > 0 && found === 0 ? 0 : 1;

/** False when it found something. */
async function fuzz(fuzzer: Fuzzer): Promise<boolean> {
  const first = Number(values.seed);
  const end = performance.now() + Number(values.seconds) * 1000;
  let seed = first;
  try {
    do await fuzzer.run(seed++, iterationsPerSeed);
    while (performance.now() < end);
  } catch (error) {
    console.log(
      `fuzz: ${fuzzer.name} found something; again with: npm run fuzz -- ${fuzzer.name} --seed ${seed - 1} --seconds 0`,
    );
    console.log(error);
    return false;
  }
  console.log(`fuzz: ${fuzzer.name}: seeds ${first} to ${seed - 1}, ${(seed - first) * iterationsPerSeed} inputs`);
  return true;
}
