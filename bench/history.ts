// The history of the project's figures: one line of JSON for each recorded run, with the commit and the machine they are of.
// It only ever grows; nothing here judges it.

import { appendFile } from "node:fs/promises";
import { cpus, release, totalmem } from "node:os";
import { fileURLToPath } from "node:url";
import { systemClock } from "../src/common/clock.ts";
import { run } from "../test/harness/command.ts";
import type { Row } from "./row.ts";

const historyFile = fileURLToPath(new URL("history.jsonl", import.meta.url));
const root = fileURLToPath(new URL("..", import.meta.url));

/** Appends a line to bench/history.jsonl. `commit` has a "+" when the checkout had changes. */
export async function recordRun(bench: string, quick: boolean, rows: readonly Row[]): Promise<void> {
  const head = (await run("git", ["rev-parse", "--short=12", "HEAD"], { folder: root })).stdout.trim();
  const changes = (await run("git", ["status", "--porcelain", "--untracked-files=no"], { folder: root })).stdout.trim();
  const processors = cpus();
  const machine = {
    processor: processors[0]?.model.trim() ?? "unknown",
    cores: processors.length,
    memoryGibibytes: Math.round(totalmem() / 2 ** 30),
    kernel: release(),
    node: process.version,
  };
  const date = new Date(systemClock.wallMs()).toISOString();
  const commit = `${head === "" ? "unknown" : head}${changes === "" ? "" : "+"}`;
  await appendFile(historyFile, `${JSON.stringify({ date, bench, quick, commit, machine, rows })}\n`);
}
