// Sweeping after dead runs: their directories and processes go, those of live runs stay.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { after, test } from "node:test";
import { identifyProcess, isAlive } from "../src/common/process-identity.ts";
import { makeRunDirectory, removeRun, runVariable, sweepDeadRuns } from "./run-directory.ts";

const runs = mkdtempSync(join(tmpdir(), "runs-"));
after(() => rmSync(runs, { recursive: true }));

const startIdle = (run: string): ReturnType<typeof spawn> => {
  return spawn("sleep", ["60"], { env: { PATH: process.env["PATH"], [runVariable]: run }, stdio: "ignore" });
};

test("a dead run's directory and processes are swept, a live one's are not", async () => {
  const live = makeRunDirectory(runs);
  const self = identifyProcess(process.pid)!;
  const dead = `${self.pid}-${self.startTicks - 1}`; // our pid, but a process that started earlier
  mkdirSync(join(runs, dead, "deep"), { recursive: true });
  writeFileSync(join(runs, dead, "deep", "file"), "x");
  const [orphan, other] = [startIdle(dead), startIdle(basename(live))];
  try {
    await Promise.all([once(orphan, "spawn"), once(other, "spawn")]);
    assert.deepEqual(sweepDeadRuns(runs), [dead]);
    await once(orphan, "exit");
    assert.equal(existsSync(join(runs, dead)), false);
    assert.equal(existsSync(live), true);
    assert.equal(isAlive(identifyProcess(other.pid!)!), true);
  } finally {
    orphan.kill("SIGKILL");
    removeRun(live);
  }
  assert.equal(existsSync(live), false);
  if (other.signalCode === null) await once(other, "exit");
});

test("what is no run's directory is left alone, and a missing folder is no error", () => {
  mkdirSync(join(runs, "mine"), { recursive: true });
  assert.deepEqual(sweepDeadRuns(runs), []);
  assert.equal(existsSync(join(runs, "mine")), true);
  assert.deepEqual(sweepDeadRuns(join(runs, "absent")), []);
});
