// Runs Debian's OpenStack clients many times without paying for their imports each time: one Python process imports them and
// forks for every command line, so that each runs as a process of its own, with its own output and exit code, as from
// /usr/bin. One command at a time.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import type { CommandResult } from "./command.ts";

/** What /usr/bin/openstack and /usr/bin/cinder call. */
export type Program = "openstack" | "cinder";

const forkServer = `
import importlib.metadata, json, logging, os, sys, tempfile
import cinderclient.shell, openstackclient.shell
programs = {"openstack": openstackclient.shell.main, "cinder": cinderclient.shell.main}
for entry in importlib.metadata.entry_points().get("openstack.volume.v3", []): entry.load()
logging.getLogger().handlers.clear()
for line in sys.stdin:
    program, *arguments = json.loads(line)
    files = [tempfile.TemporaryFile(), tempfile.TemporaryFile()]
    pid = os.fork()
    if pid == 0:
        code = 70
        try:
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            for number, file in enumerate(files): os.dup2(file.fileno(), number + 1)
            sys.argv = [program, *arguments]
            try: code = programs[program]()
            except SystemExit as end: code = end.code
            code = 0 if code is None else code if isinstance(code, int) else 1
            sys.stdout.flush(), sys.stderr.flush()
        finally: os._exit(code & 255)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    for file in files: file.seek(0)
    stdout, stderr = (file.read().decode() for file in files)
    print(json.dumps({"code": code, "stdout": stdout, "stderr": stderr}), flush=True)
`;

export class PythonPrograms {
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string, undefined>;

  /** `environment` has the OS_ variables that say who calls which cloud. */
  constructor(environment: Readonly<Record<string, string>>) {
    this.#child = spawn("setpriv", ["--pdeathsig", "KILL", "/usr/bin/python3", "-W", "ignore", "-c", forkServer], {
      env: { ...process.env, LC_ALL: "C.UTF-8", COLUMNS: "200", ...environment },
      stdio: ["pipe", "pipe", "inherit"],
    });
    this.#lines = createInterface({ input: this.#child.stdout! })[Symbol.asyncIterator]();
  }

  async run(program: Program, ...args: readonly string[]): Promise<CommandResult> {
    this.#child.stdin!.write(`${JSON.stringify([program, ...args])}\n`);
    const { value, done } = await this.#lines.next();
    if (done === true) throw new Error(`the process that runs ${program} ended`);
    return JSON.parse(value) as CommandResult;
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = once(this.#child, "exit");
    this.#child.kill("SIGKILL");
    await ended;
  }
}
