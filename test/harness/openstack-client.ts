// Runs Debian's real `openstack` client against a private Andiron, without Keystone, as the README shows it.

import { run, type CommandResult } from "./command.ts";

export class OpenstackClient {
  readonly #endpoint: string;

  constructor(endpoint: string) {
    this.#endpoint = endpoint;
  }

  /** One command line; resolves with how it ended. */
  run(...args: readonly string[]): Promise<CommandResult> {
    const auth = ["--os-auth-type", "none", "--os-endpoint", this.#endpoint];
    return run("openstack", [...auth, ...args], { timeoutMs: 60_000 });
  }

  /** One command that must end well; resolves with its standard output. */
  async text(...args: readonly string[]): Promise<string> {
    const { code, stdout, stderr } = await this.run(...args);
    if (code !== 0) throw new Error(`openstack ${args.join(" ")} ended with code ${code}\n${stdout}${stderr}`);
    return stdout;
  }

  /** The same with `-f json`; the caller knows the shape. */
  async json<T>(...args: readonly string[]): Promise<T> {
    return JSON.parse(await this.text(...args, "-f", "json")) as T;
  }
}
