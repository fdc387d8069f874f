// A short campaign over long work: some kinds of it at once, which the seed chooses, as often as fits into some seconds.
// LONG_WORK_SEED repeats one; longer ones, with all kinds, are `npm run campaign`.

import assert from "node:assert/strict";
import { test } from "node:test";
import { missingCommand } from "../../harness/command.ts";
import { seededRandom } from "../../../src/common/random.ts";
import { runCampaign } from "./campaign.ts";
import { kindNames } from "./kinds.ts";

const missing = await missingCommand(["qemu-img", "prlimit", "setpriv"]);
const skip = missing !== undefined && `${missing} is not installed`;
const seed = Number(process.env["LONG_WORK_SEED"] ?? Math.floor(Math.random() * 2 ** 32));

const kindsAtOnce = 5;
const random = seededRandom(seed);
const chosen = kindNames
  .map((name) => ({ name, rank: random.below(1000) }))
  .sort((a, b) => a.rank - b.rank)
  .slice(0, kindsAtOnce)
  .map(({ name }) => name);

test(`long work survives kills, and nothing is left (LONG_WORK_SEED=${seed})`, { skip, timeout: 600_000 }, async (t) => {
  const { kills, kinds } = await runCampaign({
    seed,
    kills: 1,
    atATimeMax: Infinity,
    kinds: chosen,
    snapshots: 40,
    budgetMs: 30_000,
    report: (line) => t.diagnostic(line),
  });
  const underWay = [...kinds.values()].filter((tally) => tally.kills > 0).length;
  t.diagnostic(`${kills} kills; ${underWay} of ${kinds.size} kinds were under way in one`);
  assert.ok(underWay > 0, "no kill hit any work");
});
