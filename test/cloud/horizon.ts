// A private Horizon: Debian's dashboard with the settings, styles and scripts of its package, behind the Keystone that it is
// given. One process of several threads, so that its cache and its sessions may be in its memory. Ends with dispose(), and with
// the test's process.
//
// Horizon imports its local settings as the module local.local_settings: ours stand before the machine's own, of which only the
// snippets of Debian (local_settings.d) are still used.

import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Keystone } from "../keystone/keystone.ts";
import { type WsgiServer, serveWsgi } from "./wsgi-server.ts";

/** Where the package's installation puts what browsers load. */
const staticFiles = "/var/lib/openstack-dashboard/static";

const severe = /^(?:ERROR|CRITICAL)\b|^WARNING \S+ (?:Recoverable|Unauthorized|Not Found) |^Traceback /;

export class Horizon {
  readonly #folder: string;
  readonly #server: WsgiServer;

  constructor(folder: string, server: WsgiServer) {
    this.#folder = folder;
    this.#server = server;
  }

  /** "http://127.0.0.1:PORT". */
  get url(): string {
    return this.#server.url;
  }

  /** The lines of its log that say that something went wrong, such as an error that a service answered. */
  async complaints(): Promise<string[]> {
    const log = await readFile(join(this.#folder, "uwsgi.log"), "utf8");
    return log.split("\n").filter((line) => severe.test(line));
  }

  async dispose(): Promise<void> {
    await this.#server.daemon.kill();
    if (process.env["KEEP_STATE"] === undefined) await rm(this.#folder, { recursive: true, force: true });
  }
}

export async function prepareHorizon(keystone: Keystone): Promise<Horizon> {
  const folder = await mkdtemp(join(tmpdir(), "andiron-horizon-"));
  try {
    await mkdir(join(folder, "local"));
    await writeFile(join(folder, "local", "__init__.py"), "");
    await writeFile(join(folder, "local", "local_settings.py"), localSettings(keystone));
    const server = await serveWsgi({
      script: "/usr/share/openstack-dashboard/wsgi.py",
      env: { PYTHONPATH: folder },
      logFile: join(folder, "uwsgi.log"),
      // A browser keeps connections open that it may use later: each takes a thread meanwhile.
      args: ["--threads", "16", "--static-map", `/static=${staticFiles}`],
    });
    return new Horizon(folder, server);
  } catch (error) {
    await rm(folder, { recursive: true, force: true });
    throw error;
  }
}

function localSettings(keystone: Keystone): string {
  const console = { level: "INFO", class: "logging.StreamHandler", formatter: "plain" };
  const logging = {
    version: 1,
    disable_existing_loggers: 0,
    formatters: { plain: { format: "%(levelname)s %(name)s %(message)s" } },
    handlers: { console },
    root: { handlers: ["console"], level: "INFO" },
  };
  return [
    'ALLOWED_HOSTS = ["127.0.0.1"]',
    'SECRET_KEY = "of a test"',
    `OPENSTACK_KEYSTONE_URL = ${JSON.stringify(keystone.url)}`,
    'OPENSTACK_KEYSTONE_DEFAULT_ROLE = "member"',
    'OPENSTACK_CINDER_FEATURES = {"enable_backup": True}',
    `LOGGING = ${JSON.stringify(logging)}`,
    "",
  ].join("\n");
}
