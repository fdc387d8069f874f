// The size of the thread pool, as a program has it that begins with thread-pool.ts.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { test } from "node:test";

const program = `
  import { threadsOfBackend } from ${JSON.stringify(join(import.meta.dirname, "thread-pool.ts"))};
  import { stat } from "node:fs/promises";
  import { readdirSync, readFileSync } from "node:fs";
  await stat("/");
  const names = readdirSync("/proc/self/task").map((task) => readFileSync("/proc/self/task/" + task + "/comm", "utf8"));
  const workers = names.filter((name) => name.startsWith("libuv-worker")).length;
  console.log(JSON.stringify([workers, threadsOfBackend(1), threadsOfBackend(4), threadsOfBackend(1000)]));
`;

function run(size: string | undefined): unknown {
  const env = { ...process.env };
  delete env["UV_THREADPOOL_SIZE"];
  if (size !== undefined) env["UV_THREADPOOL_SIZE"] = size;
  return JSON.parse(execFileSync(process.execPath, ["--input-type=module", "-e", program], { env, encoding: "utf8" }));
}

test("backends together take half of the threads, and the operator's number goes before ours", () => {
  assert.deepEqual(run(undefined), [64, 32, 8, 1]);
  assert.deepEqual(run("6"), [6, 3, 1, 1]);
});
