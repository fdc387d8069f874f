// A server of another project as a child of the test's process: it dies with it, also when that is killed. What it prints
// goes to a file, the end of which is in the error when it does not come up. It must not fork into the background, and what
// it forks must end with it.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

export interface DaemonOptions {
  readonly logFile: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Its working directory. */
  readonly folder?: string;
}

export class Daemon {
  readonly #child: ChildProcess;
  readonly #shown: string;
  readonly #logFile: string;

  constructor(command: string, args: readonly string[], options: DaemonOptions) {
    this.#shown = [command, ...args].join(" ").slice(0, 200);
    this.#logFile = options.logFile;
    const log = openSync(options.logFile, "a");
    this.#child = spawn("setpriv", ["--pdeathsig", "KILL", command, ...args], {
      cwd: options.folder,
      env: { ...process.env, PATH: `${process.env["PATH"] ?? ""}:/usr/sbin:/sbin`, LC_ALL: "C.UTF-8", ...options.env },
      stdio: ["ignore", log, log],
    });
    closeSync(log);
    this.#child.on("error", () => undefined); // seen by hasEnded
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  get hasEnded(): boolean {
    const { pid, exitCode, signalCode } = this.#child;
    return pid === undefined || exitCode !== null || signalCode !== null;
  }

  /** Resolves when `answers` does so with true; rejects when the process ends before, or is too slow. */
  async waitUntil(answers: () => Promise<boolean>, timeoutMs = 120_000): Promise<void> {
    const deadlineMs = performance.now() + timeoutMs;
    while (!(await answers())) {
      if (this.hasEnded || performance.now() > deadlineMs) {
        const why = this.hasEnded ? "ended" : `does not answer after ${timeoutMs} ms`;
        throw new Error(`${this.#shown} ${why}\n${await this.logTail()}`);
      }
      await sleep(50);
    }
  }

  async logTail(): Promise<string> {
    return (await readFile(this.#logFile, "utf8").catch(() => "(no log)")).slice(-4000);
  }

  /** SIGSTOP: its connections stay, and nothing comes of them until resume(). */
  suspend(): void {
    this.#child.kill("SIGSTOP");
  }

  resume(): void {
    this.#child.kill("SIGCONT");
  }

  /** SIGKILL; resolves when the process is gone. */
  async kill(): Promise<void> {
    if (this.hasEnded) return;
    const ended = once(this.#child, "exit");
    this.#child.kill("SIGKILL");
    await ended;
  }
}

/** A port of 127.0.0.1 that was free a moment ago: whoever is given it must be able to be started again with another one. */
export async function findFreePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

/** Calls `start` up to three times: another process may have taken a port that findFreePort() gave. */
export async function startOnFreePorts<T>(start: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await start();
    } catch (error) {
      if (attempt === 3) throw error;
    }
  }
}
