// A private Barbican: Debian's, over an SQLite file that holds its secrets encrypted by a key of its configuration, behind the
// Keystone that it is given, where it puts itself into the catalogue. Orders are done before they are answered: there is no
// worker. Ends with dispose(), and with the test's process.

import { randomBytes } from "node:crypto";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Keystone } from "../keystone/keystone.ts";
import { tokenChecks, writeConfigFile } from "./config-file.ts";
import { type WsgiServer, serveWsgi } from "./wsgi-server.ts";

export class Barbican {
  readonly #folder: string;
  readonly #keystone: Keystone;
  #server: WsgiServer | undefined;

  constructor(folder: string, keystone: Keystone) {
    this.#folder = folder;
    this.#keystone = keystone;
  }

  /** "http://127.0.0.1:PORT". */
  get url(): string {
    if (this.#server === undefined) throw new Error("Barbican is not running");
    return this.#server.url;
  }

  async start(): Promise<void> {
    await this.#keystone.grant("barbican", "service", "admin", "service");
    await this.#configure();
    await this.serve();
    await this.#keystone.publish("key-manager", this.url);
  }

  /** Starts to listen; `url`: where it did before. */
  async serve(url?: string): Promise<void> {
    this.#server = await serveWsgi({
      script: "/usr/bin/barbican-wsgi-api",
      // It takes no other hint where its configuration is.
      env: { HOME: this.#folder },
      logFile: join(this.#folder, "uwsgi.log"),
      ...(url === undefined ? {} : { url }),
    });
  }

  /** Has a rule of its policy say something else, from the next start on. */
  async allow(rule: string, check: string): Promise<void> {
    await writeFile(join(this.#folder, "policy.yaml"), JSON.stringify({ [rule]: check }));
  }

  async stop(): Promise<void> {
    await this.#server?.daemon.kill();
    this.#server = undefined;
  }

  async dispose(): Promise<void> {
    await this.stop();
    await rm(this.#folder, { recursive: true, force: true });
  }

  async #configure(): Promise<void> {
    const inFolder = (name: string): string => join(this.#folder, name);
    await mkdir(inFolder(".barbican"));
    await writeConfigFile(inFolder(".barbican/barbican.conf"), {
      DEFAULT: {
        log_file: inFolder("barbican.log"),
        sql_connection: `sqlite:///${inFolder("barbican.db")}`,
        db_auto_create: true,
        host_href: "",
      },
      oslo_policy: { enforce_new_defaults: true, enforce_scope: true, policy_file: inFolder("policy.yaml") },
      simple_crypto_plugin: { kek: randomBytes(32).toString("base64") },
      keystone_authtoken: tokenChecks(this.#keystone, "barbican"),
    });
  }
}

export async function prepareBarbican(keystone: Keystone): Promise<Barbican> {
  const barbican = new Barbican(await mkdtemp(join(tmpdir(), "andiron-barbican-")), keystone);
  try {
    await barbican.start();
    return barbican;
  } catch (error) {
    await barbican.dispose();
    throw error;
  }
}
