// Runs a program to its end: output captured and bounded, a time limit, and the whole process group killed at it.
// It throws when the program can't be started or is too slow; a bad exit code is only thrown by runOk().

import { spawn } from "node:child_process";

export interface CommandOptions {
  /** Default 120,000. */
  readonly timeoutMs?: number;
  readonly env?: Readonly<Record<string, string>>;
  readonly folder?: string;
  readonly input?: string;
}

export interface CommandResult {
  /** Exit code, or 128 and the number of the signal as a shell has it. */
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

const outputCharsMax = 16 * 1024 * 1024;

/** Runs `command` and resolves with how it ended. Rejects when it is missing, or took longer than its time limit. */
export function run(command: string, args: readonly string[], options: CommandOptions = {}): Promise<CommandResult> {
  const { promise, resolve, reject } = Promise.withResolvers<CommandResult>();
  const child = spawn(command, args, {
    cwd: options.folder,
    env: { ...process.env, LC_ALL: "C.UTF-8", ...options.env },
    stdio: ["pipe", "pipe", "pipe"],
    detached: true,
  });
  const timeoutMs = options.timeoutMs ?? 120_000;
  const timer = setTimeout(() => {
    killGroup(child.pid);
    reject(new Error(`${shown(command, args)} took longer than ${timeoutMs} ms\n${output.stdout}${output.stderr}`));
  }, timeoutMs);
  const output = { stdout: "", stderr: "" };
  for (const name of ["stdout", "stderr"] as const) {
    child[name].setEncoding("utf8").on("data", (text: string) => {
      if (output[name].length < outputCharsMax) output[name] += text;
    });
  }
  child.on("error", reject);
  child.stdin.on("error", () => undefined); // it may end without reading
  child.stdin.end(options.input ?? "");
  child.on("close", (code, signal) => {
    clearTimeout(timer);
    resolve({ code: code ?? (signal === "SIGKILL" ? 137 : 143), ...output });
  });
  return promise;
}

/** Runs `command`, which must end with code 0; resolves with its standard output. */
export async function runOk(command: string, args: readonly string[], options: CommandOptions = {}): Promise<string> {
  const { code, stdout, stderr } = await run(command, args, options);
  if (code !== 0) throw new Error(`${shown(command, args)} ended with code ${code}\n${stdout}${stderr}`);
  return stdout;
}

/** The first of `commands` that is not on the PATH, for a reason to skip; undefined when all are there. */
export async function missingCommand(commands: readonly string[]): Promise<string | undefined> {
  for (const command of commands) {
    const { code } = await run("sh", ["-c", 'PATH="$PATH:/usr/sbin:/sbin"; command -v "$1"', "sh", command]);
    if (code === 0) continue;
    if (process.env["CI"] !== undefined) throw new Error(`${command} is not installed, and CI is set`);
    return command;
  }
  return undefined;
}

function killGroup(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, "SIGKILL");
  } catch {
    // It has ended meanwhile.
  }
}

function shown(command: string, args: readonly string[]): string {
  return [command, ...args].join(" ").slice(0, 500);
}
