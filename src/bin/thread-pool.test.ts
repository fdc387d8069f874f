// The size of the thread pool, as a program has it that begins with thread-pool.ts.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { test } from "node:test";

const program = `
  import { operationsOfBackend } from ${JSON.stringify(join(import.meta.dirname, "thread-pool.ts"))};
  import { stat } from "node:fs/promises";
  import { readdirSync, readFileSync } from "node:fs";
  await stat("/");
  const names = readdirSync("/proc/self/task").map((task) => readFileSync("/proc/self/task/" + task + "/comm", "utf8"));
  const workers = names.filter((name) => name.startsWith("libuv-worker")).length;
  const elsewhere = [1, 4, 1000].map((count) => operationsOfBackend(count, false));
  console.log(JSON.stringify([workers, ...elsewhere, operationsOfBackend(2, true)]));
`;

function run(size: string | undefined): unknown {
  const env = { ...process.env };
  delete env["UV_THREADPOOL_SIZE"];
  if (size !== undefined) env["UV_THREADPOOL_SIZE"] = size;
  return JSON.parse(execFileSync(process.execPath, ["--input-type=module", "-e", program], { env, encoding: "utf8" }));
}

test("backends elsewhere share half of the threads, those beside the journal keep all busy; the operator's number counts", () => {
  assert.deepEqual(run(undefined), [16, 8, 2, 1, 16]);
  assert.deepEqual(run("6"), [6, 3, 1, 1, 6]);
});
