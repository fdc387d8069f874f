// Who a process is: a pid alone is used again by the kernel, a pid with its start time is not. Reads /proc (Linux).

import { readFileSync } from "node:fs";

export interface ProcessIdentity {
  readonly pid: number;
  /** Clock ticks from boot to the start of the process: field 22 of /proc/PID/stat. */
  readonly startTicks: number;
  readonly command: string;
}

const commandCharactersMax = 200;

/** The live process `pid`, or undefined when there is none (a zombie counts as none). */
export function identifyProcess(pid: number): ProcessIdentity | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    // The second field is the name in parentheses, and may hold spaces and parentheses itself.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    if (fields[0] === "Z" || fields[0] === "X") return undefined;
    const command = readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ").trim();
    return { pid, startTicks: Number(fields[19]), command: command.slice(0, commandCharactersMax) };
  } catch {
    return undefined;
  }
}

/** True while the very process that `identity` names lives. */
export function isAlive({ pid, startTicks }: Pick<ProcessIdentity, "pid" | "startTicks">): boolean {
  return identifyProcess(pid)?.startTicks === startTicks;
}
