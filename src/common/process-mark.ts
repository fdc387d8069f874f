// A name for this process that no other process ever has: host, boot, pid and start time. Temporary files bear it, so
// that whoever comes later can tell what a dead process left behind. Of processes on other hosts it can say nothing.

import { readFile } from "node:fs/promises";
import { createHash } from "node:crypto";
import { hostname } from "node:os";
import { identifyProcess, isAlive } from "./process-identity.ts";

/** `<host>.<boot>.<pid>.<start>`, each of [0-9a-f]. */
export async function ownProcessMark(): Promise<string> {
  const start = identifyProcess(process.pid)?.startTicks ?? 0;
  return `${hostMark()}.${await bootMark()}.${process.pid}.${start}`;
}

/** `mark`: as ownProcessMark() wrote it; what follows it behind another dot does not matter. */
export function isOfThisHost(mark: string): boolean {
  return mark.startsWith(`${hostMark()}.`);
}

/** True when `mark` is of this host and its process is certainly dead. */
export async function isDeadProcess(mark: string): Promise<boolean> {
  const [, boot, pid, start] = mark.split(".");
  if (!isOfThisHost(mark) || boot === undefined || pid === undefined || start === undefined) return false;
  return boot !== (await bootMark()) || !isAlive({ pid: Number(pid), startTicks: Number(start) });
}

async function bootMark(): Promise<string> {
  const bootId = await readFile("/proc/sys/kernel/random/boot_id", "latin1");
  return bootId.trim().replaceAll("-", "");
}

function hostMark(): string {
  return createHash("sha256").update(hostname()).digest("hex").slice(0, 16);
}
