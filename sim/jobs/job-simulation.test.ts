// The simulation of long jobs over a fixed set of seeds (JOB_SIM_SEED and JOB_SIM_RUNS for others), its reproducibility, and
// canaries: the mechanism with one of its rules broken on purpose, which the simulation has to notice.

import assert from "node:assert/strict";
import { test } from "node:test";
import { QuotaLedger } from "../../src/cinder/quota-ledger.ts";
import { SimCopy } from "./copy-kind.ts";
import { simulateJobs } from "./job-simulation.ts";

const first = Number(process.env["JOB_SIM_SEED"] ?? 1);
const runs = Number(process.env["JOB_SIM_RUNS"] ?? 12);

test(`nothing is stuck, run twice or counted wrong (seeds ${first} to ${first + runs - 1})`, async (context) => {
  const tally = { deaths: 0, takeovers: 0, done: 0, failed: 0, cancelled: 0 };
  for (let seed = first; seed < first + runs; seed++) {
    const { problem, events, deaths, takeovers, ended } = await simulateJobs(seed);
    assert.equal(problem, undefined, `JOB_SIM_SEED=${seed} JOB_SIM_RUNS=1\n${events.slice(-40).join("\n")}`);
    tally.deaths += deaths;
    tally.takeovers += takeovers;
    tally.done += ended.done;
    tally.failed += ended.failed;
    tally.cancelled += ended.cancelled;
  }
  context.diagnostic(JSON.stringify(tally));
  if (runs < 10) return;
  for (const [what, count] of Object.entries(tally)) assert.ok(count > runs / 2, `only ${count} ${what}`);
});

test("the same seed is the same run", async () => {
  const [one, again] = [await simulateJobs(3), await simulateJobs(3)];
  assert.equal(again.traceHash, one.traceHash);
});

const canarySeedsMax = 10;

/** What the simulation says of the broken code; undefined when it finds nothing. */
async function firstProblem(sabotage: () => () => void): Promise<string | undefined> {
  const repair = sabotage();
  try {
    for (let seed = 1; seed <= canarySeedsMax; seed++) {
      const { problem } = await simulateJobs(seed);
      if (problem !== undefined) return problem;
    }
    return undefined;
  } finally {
    repair();
  }
}

test("it notices quota that is not given back", async () => {
  const { release } = QuotaLedger.prototype;
  const problem = await firstProblem(() => {
    QuotaLedger.prototype.release = async () => undefined;
    return () => void (QuotaLedger.prototype.release = release);
  });
  assert.match(problem ?? "", /the quota says/);
});

test("it notices a job that ends and leaves its resource as it was", async () => {
  const { settle } = SimCopy.prototype;
  const problem = await firstProblem(() => {
    SimCopy.prototype.settle = async () => undefined;
    return () => void (SimCopy.prototype.settle = settle);
  });
  assert.match(problem ?? "", /stays downloading/);
});
