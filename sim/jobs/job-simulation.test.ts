// The simulation of long jobs over a fixed set of seeds (JOB_SIM_SEED and JOB_SIM_RUNS for others), its reproducibility, and
// canaries: the mechanism with one of its rules broken on purpose, which the simulation has to notice.

import assert from "node:assert/strict";
import { test } from "node:test";
import { BackupCreate } from "../../src/cinder/jobs/backup-create.ts";
import { BackupDelete } from "../../src/cinder/jobs/backup-delete.ts";
import { BackupRestore } from "../../src/cinder/jobs/backup-restore.ts";
import { GroupDelete } from "../../src/cinder/jobs/group-delete.ts";
import { GroupFromSource } from "../../src/cinder/jobs/group-from-source.ts";
import type { JobAdvance } from "../../src/cinder/jobs/job-kind.ts";
import { VolumeReimage } from "../../src/cinder/jobs/volume-reimage.ts";
import { QuotaLedger } from "../../src/cinder/quota-ledger.ts";
import { RecordControl } from "../../src/cinder/record-control.ts";
import { SimCopy } from "./copy-kind.ts";
import { simulateJobs } from "./job-simulation.ts";

const first = Number(process.env["JOB_SIM_SEED"] ?? 1);
const runs = Number(process.env["JOB_SIM_RUNS"] ?? 12);
const kinds = [
  "sim-copy",
  "volume-delete-cascade",
  "volume-from-image",
  "volume-reimage",
  "backup-create",
  "backup-restore",
  "backup-delete",
  "group-delete",
  "group-from-source",
];

test(`nothing is stuck, run twice or counted wrong (seeds ${first} to ${first + runs - 1})`, async (context) => {
  const tally = { deaths: 0, takeovers: 0, done: 0, failed: 0, cancelled: 0 };
  const ofKinds = new Map(kinds.map((kind) => [kind, 0]));
  for (let seed = first; seed < first + runs; seed++) {
    const { problem, events, deaths, takeovers, ended, done } = await simulateJobs(seed);
    assert.equal(problem, undefined, `JOB_SIM_SEED=${seed} JOB_SIM_RUNS=1\n${events.slice(-40).join("\n")}`);
    tally.deaths += deaths;
    tally.takeovers += takeovers;
    tally.done += ended.done;
    tally.failed += ended.failed;
    tally.cancelled += ended.cancelled;
    for (const [kind, count] of done) ofKinds.set(kind, (ofKinds.get(kind) ?? 0) + count);
  }
  context.diagnostic(JSON.stringify({ ...tally, ...Object.fromEntries(ofKinds) }));
  if (runs < 10) return;
  for (const [what, count] of Object.entries(tally)) assert.ok(count > runs / 2, `only ${count} ${what}`);
  for (const [kind, count] of ofKinds) assert.ok(count > 0, `no job of the kind ${kind} was done`);
});

test("the same seed is the same run", async () => {
  const [one, again] = [await simulateJobs(3), await simulateJobs(3)];
  assert.equal(again.traceHash, one.traceHash);
});

const canarySeedsMax = 10;

/** What the simulation says of the code with that method of a class broken; undefined when it finds nothing. */
async function firstProblem<T, K extends keyof T>(prototype: T, method: K, broken: T[K]): Promise<string | undefined> {
  const whole = prototype[method];
  prototype[method] = broken;
  try {
    for (let seed = 1; seed <= canarySeedsMax; seed++) {
      const { problem } = await simulateJobs(seed);
      if (problem !== undefined) return problem;
    }
    return undefined;
  } finally {
    prototype[method] = whole;
  }
}

const nothing = async (): Promise<void> => undefined;
const atOnce = async (): Promise<JobAdvance> => ({ next: "done" });

test("it notices quota that is not given back", async () => {
  assert.match((await firstProblem(QuotaLedger.prototype, "release", nothing)) ?? "", /the quota says/);
});

test("it notices a job that ends and leaves its resource as it was", async () => {
  assert.match((await firstProblem(SimCopy.prototype, "settle", nothing)) ?? "", /stays downloading/);
  assert.match((await firstProblem(VolumeReimage.prototype, "settle", nothing)) ?? "", /stays downloading/);
  assert.match((await firstProblem(BackupCreate.prototype, "settle", nothing)) ?? "", /stays (creating|backing-up)/);
  assert.match((await firstProblem(BackupDelete.prototype, "settle", nothing)) ?? "", /backup .* stays deleting/);
  assert.match((await firstProblem(BackupRestore.prototype, "advance", atOnce)) ?? "", /stays (creating|restoring)/);
  assert.match((await firstProblem(GroupFromSource.prototype, "advance", atOnce)) ?? "", /stays creating/);
  assert.match((await firstProblem(GroupDelete.prototype, "advance", atOnce)) ?? "", /stays deleting/);
});

test("it notices objects of a backup that came to nothing, and cuts that nobody needs", async () => {
  const erased = async (): Promise<"done"> => "done";
  assert.match((await firstProblem(BackupCreate.prototype, "undo", erased)) ?? "", /backup .* is (error|gone), and has/);
  assert.match((await firstProblem(RecordControl.prototype, "deleteSnapshot", nothing)) ?? "", /snapshot .* is left/);
});
