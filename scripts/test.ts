// Runs the tests: `npm test` runs everything, `npm test -- FILTER...` the test files whose path holds one of the words.
//
//   sweep dead runs ─► peers (root installs the missing ones) ─► check ─► node --test ─► remove this run
//
// - Everything of a run is private to it: a directory of its own as TMPDIR, free ports, so that a running service and a
//   second run are not in the way.
// - Without root and without the peers, the *.peer.test.ts files are left out with the line that would install what they
//   need; where CI is set that is a failure.
// - The last lines are those of Node's test runner. The exit code is 0 only when the check, the peers and the tests are well.

import { type ChildProcess, spawn } from "node:child_process";
import { readdirSync } from "node:fs";
import { constants } from "node:os";
import { basename, delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";
import { aptLine, ensurePeers } from "./peers.ts";
import { makeRunDirectory, removeRun, runVariable, runsPath, sweepDeadRuns } from "./run-directory.ts";

const root = fileURLToPath(new URL("..", import.meta.url));
const concurrentFiles = 2;
const fileTimeoutMs = 20 * 60_000;
/** The tests of one run, all together: what hangs must not hang whoever waits for it. */
const runTimeoutMs = 38 * 60_000;

const filters = process.argv.slice(2);
const say = (line: string): void => console.error(`test: ${line}`);
let running: ChildProcess | undefined;

const runs = runsPath();
for (const name of sweepDeadRuns(runs)) say(`swept what the dead run ${name} left`);
const directory = makeRunDirectory(runs);
process.on("exit", () => removeRun(directory));
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  process.on(signal, () => {
    running?.kill("SIGTERM");
    process.exit(128 + constants.signals[signal]);
  });
}

process.exitCode = (await runAll()) ? 0 : 1;

async function runAll(): Promise<boolean> {
  const found = findTests().filter((path) => filters.length === 0 || filters.some((word) => path.includes(word)));
  if (found.length === 0) {
    say(`no test file's path holds ${filters.join(" or ")}`);
    return false;
  }
  const { files, complete } = withPeers(found);
  const checked = filters.length > 0 || (await run([join(root, "scripts", "check.ts")], runTimeoutMs)) === 0;
  if (!checked) say("the check failed (see above); the tests run all the same, and this run fails");
  const options = [`--test-concurrency=${concurrentFiles}`, `--test-timeout=${fileTimeoutMs}`, "--test-reporter=spec"];
  const tested = files.length === 0 || (await run(["--test", ...options, ...files], runTimeoutMs)) === 0;
  return complete && checked && tested;
}

/** The files that can be run here, and whether leaving the others out is in order. */
function withPeers(found: readonly string[]): { files: readonly string[]; complete: boolean } {
  const needsPeer = (path: string): boolean => path.endsWith(".peer.test.ts");
  if (!found.some(needsPeer) && filters.length > 0) return { files: found, complete: true };
  const { missing, reason } = ensurePeers(say);
  if (reason === undefined) return { files: found, complete: true };
  const files = found.filter((path) => !needsPeer(path));
  say(`${found.length - files.length} test files that need other programs are left out: ${reason}. To run them, as root:`);
  say(`  ${aptLine(missing)}`);
  return { files, complete: process.env["CI"] === undefined || process.env["CI"] === "" };
}

function findTests(): string[] {
  return ["src", "test", "tempest-tests", "scripts", "bench", "sim"].flatMap((folder) => listFiles(join(root, folder))).sort();
}

function listFiles(folder: string): string[] {
  try {
    const names = readdirSync(folder, { recursive: true, encoding: "utf8" });
    return names.filter((name) => name.endsWith(".test.ts")).map((name) => join(folder, name));
  } catch {
    return []; // not every folder is there from the beginning
  }
}

/** Runs Node with `argv` in this run's surroundings; gives the exit code. */
function run(argv: readonly string[], timeoutMs: number): Promise<number> {
  const tools = join(root, "node_modules", ".bin");
  const env = {
    ...process.env,
    PATH: `${tools}${delimiter}${process.env["PATH"] ?? ""}`,
    TMPDIR: directory,
    // Tests start hundreds of processes of the same sources: compiling them once halves what a start costs.
    NODE_COMPILE_CACHE: join(directory, "compile-cache"),
    [runVariable]: basename(directory),
  };
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, argv, { cwd: root, env, stdio: ["ignore", "inherit", "inherit"] });
    running = child;
    const timer = setTimeout(() => {
      say(`ended after ${timeoutMs / 60_000} minutes`);
      child.kill("SIGTERM");
      setTimeout(() => child.kill("SIGKILL"), 10_000).unref();
    }, timeoutMs);
    child.on("error", reject);
    child.on("exit", (code) => {
      clearTimeout(timer);
      running = undefined;
      resolve(code ?? 1);
    });
  });
}
