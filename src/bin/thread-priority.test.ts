// The main thread's niceness, on real threads: it is lowered here, which takes no right.

import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { stat } from "node:fs/promises";
import { getPriority, setPriority } from "node:os";
import { after, test } from "node:test";
import type { Logger } from "../common/log.ts";
import { raiseMainThread } from "./thread-priority.ts";

const before = getPriority();
const lines: string[] = [];
const log = { info: (line: string) => lines.push(line) } as unknown as Logger;

/** Of each thread of this process, by its id: field 19 of proc_pid_stat(5). */
function nicenesses(): Map<number, number> {
  const threads = readdirSync("/proc/self/task").map((id): [number, number] => {
    const fields = readFileSync(`/proc/self/task/${id}/stat`, "latin1")
      .replace(/^.*\) /s, "")
      .split(" ");
    return [Number(id), Number(fields[16])];
  });
  return new Map(threads);
}

after(() => {
  if (process.getuid?.() === 0) setPriority(process.pid, before);
});

test("with one processor the main thread stays as it is, and 0 leaves it", () => {
  raiseMainThread(before + 1, log, 1);
  raiseMainThread(0, log, 2);
  assert.equal(getPriority(), before);
});

test("only the main thread changes, not those that are there", async () => {
  await stat("/"); // by the thread pool, which begins with that
  raiseMainThread(before + 1, log, 2);
  const found = nicenesses();
  assert.equal(found.get(process.pid), before + 1);
  found.delete(process.pid);
  assert.ok(found.size > 4, `${found.size} threads`);
  assert.deepEqual([...new Set(found.values())], [before]);
  assert.deepEqual(lines, []);
});

test("what cannot be set is said, and nothing else happens", () => {
  const now = getPriority();
  raiseMainThread(-100, log, 2);
  assert.equal(getPriority(), now);
  assert.match(lines.splice(0).join("\n"), /^the main thread does not get the niceness -100 of \[engine\] main_thread_nice$/);
});
