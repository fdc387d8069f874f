// What a command does first that starts servers of its own, such as `npm run bench`: it sweeps what dead runs left, makes the
// directory of its run the TMPDIR of all that it starts, and sees to it that files and processes go with it, however it ends.
//
// - KEEP_STATE=1: the directory is none of a run, and stays; it says where it is.
// - A signal ends the process with its number as a shell has it.

import { mkdtempSync } from "node:fs";
import { constants, tmpdir } from "node:os";
import { basename, join } from "node:path";
import { makeRunDirectory, removeRun, runVariable, runsPath, sweepDeadRuns } from "./run-directory.ts";

/** Gives the run's directory. `name`: of the command, in the name of a directory that is kept. */
export function beginOwnRun(name: string, say: (line: string) => void): string {
  for (const dead of sweepDeadRuns(runsPath())) say(`swept what the dead run ${dead} left`);
  const directory = makeDirectory(name, say);
  process.env["TMPDIR"] = directory;
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.on(signal, () => process.exit(128 + constants.signals[signal]));
  }
  return directory;
}

function makeDirectory(name: string, say: (line: string) => void): string {
  if (process.env["KEEP_STATE"] !== undefined) {
    const kept = mkdtempSync(join(tmpdir(), `andiron-${name}-`));
    process.on("exit", () => say(`kept ${kept}`));
    return kept;
  }
  const made = makeRunDirectory(runsPath());
  process.env[runVariable] = basename(made);
  process.on("exit", () => removeRun(made));
  return made;
}
