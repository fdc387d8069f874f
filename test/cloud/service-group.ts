// Services that are started one after the other over the same Keystone, broker and database, and end together: a folder for
// their configuration, state and logs, and the processes. KEEP_STATE=1 keeps the folder. It knows none of the services.

import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ConfigGroups } from "../harness/service.ts";
import type { Keystone } from "../keystone/keystone.ts";
import { writeConfigFile } from "./config-file.ts";
import { Daemon, type DaemonOptions } from "./daemon.ts";
import type { MariaDb } from "./mariadb.ts";
import type { RabbitMq } from "./rabbitmq.ts";

export interface GroupPeers {
  readonly keystone: Keystone;
  readonly broker: RabbitMq;
  readonly database: MariaDb;
}

export class ServiceGroup {
  readonly folder: string;
  readonly peers: GroupPeers;
  readonly #daemons: Daemon[] = [];

  constructor(folder: string, peers: GroupPeers) {
    this.folder = folder;
    this.peers = peers;
  }

  path(...parts: readonly string[]): string {
    return join(this.folder, ...parts);
  }

  /** Makes a directory below the folder; resolves with its path. */
  async makeFolder(...parts: readonly string[]): Promise<string> {
    const path = this.path(...parts);
    await mkdir(path, { recursive: true });
    return path;
  }

  /** Writes a configuration file; resolves with its path. */
  async configure(name: string, groups: ConfigGroups): Promise<string> {
    await writeConfigFile(this.path(name), groups);
    return this.path(name);
  }

  /** Starts a program; its output goes to NAME.log. */
  launch(name: string, command: string, args: readonly string[], env: DaemonOptions["env"] = {}): Daemon {
    return this.keep(new Daemon(command, args, { logFile: this.path(`${name}.log`), folder: this.folder, env }));
  }

  /** Ends the process with the group. */
  keep(daemon: Daemon): Daemon {
    this.#daemons.unshift(daemon);
    return daemon;
  }

  async dispose(): Promise<void> {
    for (const daemon of this.#daemons.splice(0)) await daemon.kill();
    if (process.env["KEEP_STATE"] === undefined) await rm(this.folder, { recursive: true, force: true });
  }
}

export async function makeServiceGroup(peers: GroupPeers): Promise<ServiceGroup> {
  return new ServiceGroup(await mkdtemp(join(tmpdir(), "andiron-nova-")), peers);
}
