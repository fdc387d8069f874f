// A private Nova: Debian's nova-api, nova-conductor and nova-scheduler, as a part of a group of services, set up as an operator
// does it for Andiron: with [service_user], so that its requests to Cinder's API bear a service token. The host of the servers
// is nova-compute.ts.

import { runOk } from "../harness/command.ts";
import type { ConfigGroups } from "../harness/service.ts";
import type { Keystone } from "../keystone/keystone.ts";
import { credentialsOf, tokenChecks } from "./config-file.ts";
import { findFreePort, startOnFreePorts } from "./daemon.ts";
import type { ServiceGroup } from "./service-group.ts";

/** User of Nova in the project "service", made by startNova(). */
export const novaUser = "nova";

export interface Flavor {
  readonly name: string;
  readonly memoryMebibytes: number;
}

const timeoutMs = 600_000;

export class Nova {
  readonly #keystone: Keystone;
  readonly #url: string;

  constructor(keystone: Keystone, url: string) {
    this.#keystone = keystone;
    this.#url = url;
  }

  /** Makes a flavor of one processor and a disk of 1 GiB; gives its id. */
  async createFlavor({ name, memoryMebibytes }: Flavor): Promise<string> {
    const flavor = { name, ram: memoryMebibytes, vcpus: 1, disk: 1 };
    const { flavor: made } = await this.#ask<{ flavor: { id: string } }>("POST", "/flavors", { flavor });
    return made.id;
  }

  /** How many hosts of servers the scheduler can use. */
  async countHosts(): Promise<number> {
    const { hypervisors } = await this.#ask<{ hypervisors: readonly unknown[] }>("GET", "/os-hypervisors");
    return hypervisors.length;
  }

  async #ask<T>(method: string, path: string, body?: unknown): Promise<T> {
    const headers = { "x-auth-token": this.#keystone.adminToken, "content-type": "application/json" };
    const options = { method, headers, ...(body === undefined ? {} : { body: JSON.stringify(body) }) };
    const reply = await fetch(this.#url + path, options);
    if (reply.status !== 200) throw new Error(`Nova answers ${reply.status} to ${method} ${path}: ${await reply.text()}`);
    return (await reply.json()) as T;
  }
}

/** Resolves when the API serves and stands in the catalogue; conductor and scheduler come up meanwhile. */
export async function startNova(group: ServiceGroup): Promise<Nova> {
  const { keystone, database } = group.peers;
  await keystone.grant(novaUser, "service", "admin", "service");
  const databases: ConfigGroups = {
    api_database: { connection: await database.create("nova_api") },
    database: { connection: await database.create("nova_cell1") },
  };
  const configFile = await group.configure("nova.conf", await novaConfig(group, databases));
  const manage = async (...args: readonly string[]): Promise<void> => {
    await runOk("nova-manage", ["--config-file", configFile, ...args], { timeoutMs });
  };
  await manage("api_db", "sync");
  await manage("cell_v2", "map_cell0", "--database_connection", await database.create("nova_cell0"));
  await manage("cell_v2", "create_cell", "--name", "cell1");
  await manage("db", "sync");
  for (const name of ["nova-conductor", "nova-scheduler"]) group.launch(name, `/usr/bin/${name}`, ["--config-file", configFile]);
  const url = await startOnFreePorts(() => serve(group, databases));
  await keystone.publish("compute", url);
  return new Nova(keystone, url);
}

/** What all services of Nova have in common; `groups` go over it. */
export async function novaConfig(group: ServiceGroup, groups: ConfigGroups): Promise<ConfigGroups> {
  const { keystone, broker } = group.peers;
  return {
    DEFAULT: {
      transport_url: broker.transportUrl,
      my_ip: "127.0.0.1",
      state_path: await group.makeFolder("nova"),
      ...groups["DEFAULT"],
    },
    api: { auth_strategy: "keystone" },
    wsgi: { api_paste_config: "/usr/share/nova-common/api-paste.ini" },
    keystone_authtoken: tokenChecks(keystone, novaUser),
    service_user: { send_service_user_token: true, ...credentialsOf(keystone, novaUser) },
    cinder: credentialsOf(keystone, novaUser),
    neutron: credentialsOf(keystone, novaUser),
    placement: credentialsOf(keystone, novaUser),
    key_manager: { backend: "barbican" },
    barbican: { auth_endpoint: keystone.url },
    conductor: { workers: 1 },
    scheduler: { workers: 1, discover_hosts_in_cells_interval: 2 },
    oslo_concurrency: { lock_path: await group.makeFolder("locks") },
    oslo_messaging_notifications: { driver: "noop" },
    vnc: { enabled: false },
    ...Object.fromEntries(Object.entries(groups).filter(([name]) => name !== "DEFAULT")),
  };
}

async function serve(group: ServiceGroup, databases: ConfigGroups): Promise<string> {
  const port = await findFreePort();
  const config = await novaConfig(group, {
    ...databases,
    DEFAULT: {
      enabled_apis: "osapi_compute",
      osapi_compute_listen: "127.0.0.1",
      osapi_compute_listen_port: port,
      osapi_compute_workers: 1,
    },
  });
  const api = group.launch("nova-api", "/usr/bin/nova-api", ["--config-file", await group.configure("nova-api.conf", config)]);
  const answers = async (): Promise<boolean> => (await fetch(`http://127.0.0.1:${port}/`)).status === 200;
  await api.waitUntil(() => answers().catch(() => false), timeoutMs);
  return `http://127.0.0.1:${port}/v2.1`;
}
