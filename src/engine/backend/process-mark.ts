// A name for this process that no other process ever has: host, boot, pid and start time. Temporary files bear it, so
// that whoever comes later can tell what a dead process left behind. Of processes on other hosts it can say nothing.

import { readFile } from "node:fs/promises";
import { createHash } from "node:crypto";
import { hostname } from "node:os";

/** `<host>.<boot>.<pid>.<start>`, each of [0-9a-f]. */
export async function ownProcessMark(): Promise<string> {
  const start = await startTimeOf(process.pid);
  return `${hostMark()}.${await bootMark()}.${process.pid}.${start ?? 0}`;
}

/** True when `mark` (as ownProcessMark wrote it) is of this host and its process is certainly dead. */
export async function isDeadProcess(mark: string): Promise<boolean> {
  const [host, boot, pid, start] = mark.split(".");
  if (host !== hostMark() || boot === undefined || pid === undefined || start === undefined) return false;
  if (boot !== (await bootMark())) return true;
  return String(await startTimeOf(Number(pid))) !== start;
}

/** Start of the process in clock ticks since boot (proc(5), stat field 22), or undefined when there is none. */
async function startTimeOf(pid: number): Promise<number | undefined> {
  try {
    const stat = await readFile(`/proc/${pid}/stat`, "latin1");
    // The command, in parentheses, may hold anything: count from behind it (field 3 follows).
    return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19]);
  } catch {
    return undefined;
  }
}

async function bootMark(): Promise<string> {
  const bootId = await readFile("/proc/sys/kernel/random/boot_id", "latin1");
  return bootId.trim().replaceAll("-", "");
}

function hostMark(): string {
  return createHash("sha256").update(hostname()).digest("hex").slice(0, 16);
}
