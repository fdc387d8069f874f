// What a confined program inherits of us, and what it can do within its limits, with the real prlimit and setpriv.

import assert from "node:assert/strict";
import { chown, mkdtemp, rm, writeFile } from "node:fs/promises";
import { getPriority, setPriority, tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { missingCommand } from "../../test/harness/command.ts";
import { systemClock } from "../common/clock.ts";
import { isRoot, nobody, runConfined } from "./confined-process.ts";

const missing = await missingCommand(["prlimit", "setpriv", "qemu-img"]);
const skip = missing !== undefined && `${missing} is not installed`;

test("a program does not go first because we do", { skip }, async (t) => {
  if (isRoot()) {
    const before = getPriority();
    t.after(() => setPriority(process.pid, before));
    setPriority(process.pid, -3);
  }
  // It inherits its niceness when it is started: field 19 of proc_pid_stat(5), read by the shell's own builtin.
  const script = "sleep 0.2; read -r line < /proc/self/stat; set -- $line; echo ${19} >&2";
  const { signal } = new AbortController();
  const limits = { cpuSecondsMax: 5, addressSpaceBytesMax: 2 ** 30, wallMsMax: 10_000 };
  const end = await runConfined({ program: "bash", args: ["-c", script], folder: "/", ...limits, signal, clock: systemClock });
  assert.deepEqual(end, { kind: "exited", code: 0, complaint: "0" });
});

test("all the threads that QEMU may start fit into half of the address space that a conversion has", { skip }, async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "andiron-confined-"));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const fileBytesMax = 2 ** 26;
  await writeFile(join(folder, "disk"), Buffer.alloc(fileBytesMax));
  if (isRoot()) for (const path of [folder, join(folder, "disk")]) await chown(path, nobody.uid, nobody.gid);
  // 64 writes at once, each of which has a thread.
  const args = ["bench", "-w", "-q", "-c", "20000", "-d", "64", "-f", "raw", "disk"];
  const limits = { cpuSecondsMax: 60, addressSpaceBytesMax: 2 ** 29, fileBytesMax, wallMsMax: 60_000 };
  const { signal } = new AbortController();
  const end = await runConfined({ program: "qemu-img", args, folder, ...limits, signal, clock: systemClock });
  assert.deepEqual(end, { kind: "exited", code: 0, complaint: "" });
});
