// A private directory for one run of the tests, and the sweeping of what dead runs left: their directories and their
// processes.
//
// - The directory is TMPDIR of everything that the run starts, so whatever a test makes there goes with it. Its name is
//   the run's pid and start time: a run is dead when no such process lives, whatever its pid has become since.
// - Processes are known by the variable ANDIRON_TEST_RUN, which they inherit: that is how a dead run's are found, and
//   never another's.
// - The names are short: a Unix socket's path has at most 107 bytes.

import { mkdirSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { tmpdir, userInfo } from "node:os";
import { basename, join } from "node:path";
import { identifyProcess, isAlive } from "../src/common/process-identity.ts";

const runName = /^(\d+)-(\d+)$/;
export const runVariable = "ANDIRON_TEST_RUN";

/** Where all runs of this user have their directories. */
export function runsPath(): string {
  return join(tmpdir(), `andiron-${userInfo().uid}`);
}

/** Makes the directory of this process's run below `runs`. */
export function makeRunDirectory(runs: string): string {
  const self = identifyProcess(process.pid);
  if (self === undefined) throw new Error("cannot read /proc: the tests run on Linux only");
  const path = join(runs, `${self.pid}-${self.startTicks}`);
  mkdirSync(path, { recursive: true, mode: 0o700 });
  return path;
}

/** Removes the run's processes and its directory. */
export function removeRun(path: string): void {
  endProcesses(basename(path));
  rmSync(path, { recursive: true, force: true, maxRetries: 3 });
}

/** Removes what is left of the dead runs below `runs`; gives the names of those that it found. */
export function sweepDeadRuns(runs: string): string[] {
  const dead = listRuns(runs).filter((name) => {
    const [, pid, startTicks] = runName.exec(name) ?? [];
    return pid !== undefined && !isAlive({ pid: Number(pid), startTicks: Number(startTicks) });
  });
  for (const name of dead) removeRun(join(runs, name));
  return dead;
}

function listRuns(runs: string): string[] {
  try {
    return readdirSync(runs);
  } catch {
    return [];
  }
}

/** Kills every process that inherited the run's name, but not this one. */
function endProcesses(run: string): void {
  for (const name of readdirSync("/proc")) {
    if (!/^\d+$/.test(name) || Number(name) === process.pid) continue;
    if (!readEnvironment(name).includes(`${runVariable}=${run}`)) continue;
    try {
      process.kill(Number(name), "SIGKILL");
    } catch {
      // it ended by itself
    }
  }
}

function readEnvironment(pid: string): string[] {
  try {
    return readFileSync(`/proc/${pid}/environ`, "utf8").split("\0");
  } catch {
    return []; // another user's, or it just ended
  }
}
