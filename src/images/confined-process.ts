// A program that reads what a stranger made: run with little of everything, and ended with us.
//
// - prlimit: CPU time, address space, no files written (or files up to a size), no core. setpriv: dies with this process, no new
//   privileges; where we are root, it is nobody, without groups or capabilities.
// - A thread takes little of the address space: a short stack, and no malloc arena of its own. QEMU starts up to 64, more of them
//   the slower the machine; with glibc's usual 8 MiB and arenas of 64, fourteen would be the end of a GiB.
// - No shell, an environment of its own, a working directory that is all it needs to reach: relative names work although nobody
//   could not walk there.
// - Our main thread may go before others (bin/thread-priority.ts); it does not, nor may it.
// - Its output is cut, and made printable.
// - A machine that has no room for it (no thread to be had, or killed for want of memory) is `overloaded`, and says nothing
//   of what it read.

import { spawn } from "node:child_process";
import { getPriority, setPriority } from "node:os";
import type { Clock } from "../common/clock.ts";
import { AndironError } from "../common/errors.ts";

export interface ConfinedOptions {
  readonly program: string;
  readonly args: readonly string[];
  readonly folder: string;
  readonly cpuSecondsMax: number;
  readonly addressSpaceBytesMax: number;
  /** Size of the largest file that it may write; absent: none. */
  readonly fileBytesMax?: number;
  readonly wallMsMax: number;
  readonly signal: AbortSignal;
  readonly clock: Clock;
}

export type ConfinedEnd =
  | { readonly kind: "exited"; readonly code: number; readonly complaint: string }
  | { readonly kind: "out of time" };

/** Who runs it when we are root. Directories and files for it are of this group. */
export const nobody = { uid: 65_534, gid: 65_534 } as const;
export const isRoot = (): boolean => process.getuid?.() === 0;

/** Of each thread. QEMU's coroutines do with half of it. */
const stackBytesMax = 2 * 1024 * 1024;
const complaintLengthMax = 4096;
/** As a shell tells it of a command. */
const outOfCpuCode = 128 + 24;
/** Between the signal that says that the CPU time is used up, and the end. */
const cpuSecondsOver = 5;
/** What libc says of EAGAIN: threads and processes are all that it is said of here, as no file is read without waiting. */
const noThread = /Resource temporarily unavailable/;
/** As prlimit and setpriv end when they cannot run the next one. */
const notRunCodes = new Set([126, 127]);
const noMemory = /Cannot allocate memory/;

/**
 * Rejects with the signal's reason when that ends it, config_invalid when the program cannot be run, overloaded when the machine
 * has no room for it.
 */
export async function runConfined(options: ConfinedOptions): Promise<ConfinedEnd> {
  const { program, args, folder, wallMsMax, signal, clock } = options;
  signal.throwIfAborted();
  const child = spawn("prlimit", [...limits(options), "setpriv", ...privileges(), program, ...args], {
    cwd: folder,
    env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", LC_ALL: "C", MALLOC_ARENA_MAX: "1" },
    stdio: ["ignore", "ignore", "pipe"],
  });
  if (child.pid !== undefined) goAmongOthers(child.pid);
  let complaint = "";
  child.stderr.setEncoding("latin1").on("data", (text: string) => {
    if (complaint.length < complaintLengthMax) complaint += text.slice(0, complaintLengthMax - complaint.length);
  });
  const kill = (): void => void child.kill("SIGKILL");
  let isLate = false;
  const timer = clock.after(wallMsMax, () => {
    isLate = true;
    kill();
  });
  signal.addEventListener("abort", kill);
  try {
    const { promise, resolve, reject } = Promise.withResolvers<readonly [number | null, NodeJS.Signals | null]>();
    child.on("error", reject);
    child.on("close", (code, name) => resolve([code, name]));
    const [code, name] = await promise;
    signal.throwIfAborted();
    if (isLate || name === "SIGXCPU" || code === outOfCpuCode) return { kind: "out of time" };
    const isNotRun = notRunCodes.has(code ?? 0);
    if (name === "SIGKILL" || (code !== 0 && noThread.test(complaint)) || (isNotRun && noMemory.test(complaint))) {
      throw new AndironError("overloaded", `there is no room for ${program}: ${name ?? code} ${printable(complaint)}`);
    }
    if (isNotRun) throw new Error(printable(complaint));
    return { kind: "exited", code: code ?? 1, complaint: printable(complaint) };
  } catch (cause) {
    signal.throwIfAborted();
    if (cause instanceof AndironError) throw cause;
    if (isShortage(cause)) throw new AndironError("overloaded", `there is no room for ${program}`, { cause });
    throw new AndironError("config_invalid", `${program} cannot be run`, { cause, hint: "install qemu-utils and util-linux" });
  } finally {
    timer.cancel();
    signal.removeEventListener("abort", kill);
  }
}

const isShortage = (error: unknown): boolean => error instanceof Error && "code" in error && error.code === "EAGAIN";

/** Where that is not allowed, which takes a strange set of rights, it goes first like us. */
function goAmongOthers(pid: number): void {
  try {
    if (getPriority(pid) < 0) setPriority(pid, 0);
  } catch {
    return;
  }
}

function limits({ cpuSecondsMax, addressSpaceBytesMax, fileBytesMax = 0 }: ConfinedOptions): string[] {
  return [
    `--cpu=${cpuSecondsMax}:${cpuSecondsMax + cpuSecondsOver}`,
    `--as=${addressSpaceBytesMax}`,
    `--stack=${stackBytesMax}`,
    "--core=0",
    "--nice=0",
    `--fsize=${fileBytesMax}`,
    "--nofile=256",
  ];
}

function privileges(): string[] {
  const always = ["--no-new-privs", "--pdeathsig", "KILL"];
  if (!isRoot()) return always;
  const who = [`--reuid=${nobody.uid}`, `--regid=${nobody.gid}`, "--clear-groups"];
  return [...who, "--inh-caps=-all", "--bounding-set=-all", ...always];
}

const printable = (text: string): string => text.replaceAll(/[^\x20-\x7e]+/g, " ").trim();
