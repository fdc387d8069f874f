// Kills the service in the middle of long work:
//
//     npm run campaign -- [--seed N] [--kills K] [--at-a-time W] [--snapshots N] [--minutes M] [KIND...]
//
// K: in how many kills each kind is to be under way. W: how many pieces are under way at once, at most. Without kinds: all. The
// figures are printed; exit code 1 when something was found wrong.

import { randomInt } from "node:crypto";
import { parseArgs } from "node:util";
import { runCampaign } from "./campaign.ts";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    seed: { type: "string", default: String(randomInt(2 ** 31)) },
    kills: { type: "string", default: "10" },
    "at-a-time": { type: "string", default: "4" },
    snapshots: { type: "string", default: "1000" },
    minutes: { type: "string", default: "120" },
  },
});
const seed = Number(values.seed);

try {
  const { kills, killsInStart, settledMsMax, kinds } = await runCampaign({
    seed,
    kills: Number(values.kills),
    kinds: positionals,
    atATimeMax: Number(values["at-a-time"]),
    snapshots: Number(values.snapshots),
    budgetMs: Number(values.minutes) * 60_000,
    report: (line) => console.log(`campaign: ${line}`),
  });
  console.log(`\nkind            under way in  done  not begun`);
  for (const [name, { kills: underWay, endings }] of kinds) {
    const figures = [String(underWay).padStart(12), String(endings.done).padStart(4), String(endings["not begun"]).padStart(9)];
    console.log(`${name.padEnd(14)}  ${figures.join("  ")}`);
  }
  const settled = (settledMsMax / 1000).toFixed(1);
  console.log(`campaign: seed ${seed}: ${kills} kills and ${killsInStart} in a start; at rest after ${settled} s at most`);
} catch (error) {
  console.error(error);
  console.error(`campaign: again with: npm run campaign -- --seed ${seed} ${process.argv.slice(2).join(" ")}`);
  process.exitCode = 1;
}
