// What a confined program inherits of us, with the real prlimit and setpriv.

import assert from "node:assert/strict";
import { getPriority, setPriority } from "node:os";
import { test } from "node:test";
import { missingCommand } from "../../test/harness/command.ts";
import { systemClock } from "../common/clock.ts";
import { isRoot, runConfined } from "./confined-process.ts";

const missing = await missingCommand(["prlimit", "setpriv"]);

test("a program does not go first because we do", { skip: missing !== undefined && `${missing} is not installed` }, async (t) => {
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
