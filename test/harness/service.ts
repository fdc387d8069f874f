// A private Andiron: its own configuration, state and ports, started from this checkout as a process of its own. It can
// be stopped, killed with SIGKILL at any instant, and started again over the same state. Its log goes to a file in the
// state directory; a failed start shows the end of it.

import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync, readFileSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { run, type CommandResult } from "./command.ts";

/** Options by group, as they stand in andiron.conf. */
export type ConfigGroups = Readonly<Record<string, Readonly<Record<string, string | number | boolean>>>>;

export interface Address {
  readonly host: string;
  readonly port: number;
}

export interface Endpoints {
  readonly api: Address & { readonly scheme: "http" | "https" };
  readonly nbd: Address & { readonly unix?: string };
}

const checkout = resolve(import.meta.dirname, "../..");
const startScript = (JSON.parse(readFileSync(join(checkout, "package.json"), "utf8")) as { scripts: { start: string } }).scripts
  .start;
/** Those of `npm start`, and the environment that it sets. */
const startWords = startScript.split(" ");
const nodeOptions = startWords.filter((word) => word.startsWith("--"));
const assignments = startWords.slice(0, startWords.indexOf("node")).map((word) => word.split("="));
const startEnvironment = Object.fromEntries(assignments) as Record<string, string>;
const baseConfig: ConfigGroups = {
  DEFAULT: { osapi_volume_listen_port: 0, quota_volumes: -1, quota_snapshots: -1, quota_gigabytes: -1 },
  nbd: { port: 0 },
};

export class AndironProcess {
  /** Removed by dispose(); configuration, state and log are in it. Tests may keep files here too. */
  readonly folder: string;
  #child: ChildProcess | undefined;
  #endpoints: Endpoints | undefined;

  constructor(folder: string) {
    this.folder = folder;
  }

  get statePath(): string {
    return join(this.folder, "state");
  }

  get configFile(): string {
    return join(this.folder, "andiron.conf");
  }

  /** Where the running process listens. */
  get endpoints(): Endpoints {
    if (this.#endpoints === undefined) throw new Error("the service is not running");
    return this.#endpoints;
  }

  /** Of the running process. */
  get processId(): number {
    if (this.#child?.pid === undefined) throw new Error("the service is not running");
    return this.#child.pid;
  }

  /** Resolves when it serves; rejects when it ends before, or after `timeoutMs`. */
  async start(timeoutMs = 60_000): Promise<void> {
    await this.launch();
    const deadlineMs = performance.now() + timeoutMs;
    while (!(await this.#isServing())) {
      if (this.#child?.exitCode !== null || this.#child.signalCode !== null || performance.now() > deadlineMs) {
        const log = await this.logTail();
        await this.kill();
        throw new Error(`the service did not start\n${log}`);
      }
      await sleep(20);
    }
  }

  /** Starts the process and does not wait for it: to kill it in the middle of its start. */
  async launch(): Promise<void> {
    await rm(join(this.statePath, "endpoints.json"), { force: true });
    const log = openSync(join(this.folder, "andiron.log"), "a");
    const args = [join(checkout, "src/bin/andiron.ts"), "--config-file", this.configFile];
    // The service must not outlive a test that was killed itself.
    const dyingWithUs = ["--pdeathsig", "KILL", process.execPath, ...nodeOptions, ...args];
    this.#child = spawn("setpriv", dyingWithUs, {
      cwd: checkout, // as npm does
      env: { ...startEnvironment, ...process.env },
      stdio: ["ignore", log, log],
    });
    closeSync(log);
    await once(this.#child, "spawn");
  }

  /** SIGTERM; resolves with the exit code. */
  stop(): Promise<number | null> {
    return this.#end("SIGTERM");
  }

  /** SIGKILL; resolves when the process is gone. */
  async kill(): Promise<void> {
    await this.#end("SIGKILL");
  }

  /** Runs andiron-manage over the same configuration. */
  manage(...args: readonly string[]): Promise<CommandResult> {
    const script = join(checkout, "src/bin/andiron-manage.ts");
    return run(process.execPath, [script, "--config-file", this.configFile, ...args], { timeoutMs: 300_000 });
  }

  /** The end of the log, without the lines of level INFO and below. */
  async logTail(): Promise<string> {
    const log = await readFile(join(this.folder, "andiron.log"), "utf8").catch(() => "(no log)");
    const lines = log.split("\n").filter((line) => !/^\S+ \S+ \d+ (INFO|DEBUG) /.test(line));
    return lines.join("\n").slice(-4000);
  }

  /** Ends the process and removes all it had, unless KEEP_STATE is set. */
  async dispose(): Promise<void> {
    await this.kill();
    if (process.env["KEEP_STATE"] === undefined) await rm(this.folder, { recursive: true, force: true });
  }

  async #isServing(): Promise<boolean> {
    try {
      const text = await readFile(join(this.statePath, "endpoints.json"), "utf8");
      this.#endpoints = JSON.parse(text) as Endpoints;
      return true;
    } catch {
      return false;
    }
  }

  async #end(signal: "SIGTERM" | "SIGKILL"): Promise<number | null> {
    const child = this.#child;
    this.#child = undefined;
    this.#endpoints = undefined;
    if (child === undefined) return null;
    if (child.exitCode !== null || child.signalCode !== null) return child.exitCode;
    const exited = once(child, "exit");
    child.kill(signal);
    await exited;
    return child.exitCode;
  }
}

/** Makes the folder and configuration of a private service; `config` goes over the defaults of tests. Not yet started. */
export async function prepareAndiron(config: ConfigGroups = {}): Promise<AndironProcess> {
  const service = new AndironProcess(await mkdtemp(join(tmpdir(), "andiron-test-")));
  await mkdir(service.statePath);
  const groups = new Set([...Object.keys(baseConfig), ...Object.keys(config)]);
  const lines: string[] = [];
  for (const group of groups) {
    const options: Record<string, string | number | boolean> = { ...baseConfig[group], ...config[group] };
    if (group === "DEFAULT") options["state_path"] = service.statePath;
    lines.push(`[${group}]`, ...Object.entries(options).map(([name, value]) => `${name} = ${value}`), "");
  }
  await writeFile(service.configFile, lines.join("\n"));
  return service;
}
