// Kills of the running service in CI; CRASH_KILLS and CRASH_SEED for longer runs and to repeat one.

import assert from "node:assert/strict";
import { test } from "node:test";
import { runCampaign } from "./campaign.ts";

const kills = Number(process.env["CRASH_KILLS"] ?? 100);
const seed = Number(process.env["CRASH_SEED"] ?? Math.floor(Math.random() * 2 ** 32));

const timeout = 120_000 + kills * 20_000; // a hang is a failure too

test(`nothing acknowledged is lost in ${kills} kills (CRASH_SEED=${seed})`, { timeout }, async (context) => {
  const tally = await runCampaign({
    seed,
    kills,
    sectorCount: 32_768, // 16 MiB
    report: (line) => context.diagnostic(line),
  });
  context.diagnostic(JSON.stringify(tally));
  assert.equal(tally.kills, kills);
  assert.ok(kills < 50 || tally.segmentsDropped > 0, "the cleaner did nothing");
  assert.ok(tally.operations > kills, `only ${tally.operations} operations were done`);
});
