// A private MariaDB: Debian's, in a directory of its own, on a Unix socket only, without systemd. What it has is not synced:
// it dies with the test's process.

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { run, runOk } from "../harness/command.ts";
import { Daemon } from "./daemon.ts";

export class MariaDb {
  readonly #folder: string;
  #server: Daemon | undefined;

  constructor(folder: string) {
    this.#folder = folder;
  }

  async start(): Promise<void> {
    const data = join(this.#folder, "data");
    const owner = ["--no-defaults", "--user=root", `--datadir=${data}`];
    await runOk("mariadb-install-db", [...owner, "--skip-test-db", "--auth-root-authentication-method=normal"]);
    const options = ["--skip-networking", `--socket=${this.#socket}`, "--skip-log-bin", "--performance-schema=OFF"];
    const sizes = ["--innodb-flush-log-at-trx-commit=0", "--innodb-buffer-pool-size=128M", "--max-connections=300"];
    const logFile = join(this.#folder, "mariadb.log");
    this.#server = new Daemon("/usr/sbin/mariadbd", [...owner, ...options, ...sizes], { logFile });
    await this.#server.waitUntil(async () => (await run("mariadb", this.#client("SELECT 1"))).code === 0);
  }

  /** Makes an empty database; resolves with its URL as SQLAlchemy takes it. */
  async create(name: string): Promise<string> {
    await runOk("mariadb", this.#client(`CREATE DATABASE ${name} CHARACTER SET utf8`));
    return `mysql+pymysql://root@localhost/${name}?unix_socket=${this.#socket}`;
  }

  async dispose(): Promise<void> {
    await this.#server?.kill();
    await rm(this.#folder, { recursive: true, force: true });
  }

  get #socket(): string {
    return join(this.#folder, "socket");
  }

  #client(statement: string): string[] {
    return ["--no-defaults", "--user=root", `--socket=${this.#socket}`, "--execute", statement];
  }
}

export async function prepareMariaDb(): Promise<MariaDb> {
  const database = new MariaDb(await mkdtemp(join(tmpdir(), "andiron-mariadb-")));
  try {
    await database.start();
    return database;
  } catch (error) {
    await database.dispose();
    throw error;
  }
}
