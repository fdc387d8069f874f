// A private Neutron: Debian's neutron-server without agents and without networks, as a part of a group of services. Nova asks
// it for networks with every server that it makes, and is told that there are none: the guests have no network card.

import { runOk } from "../harness/command.ts";
import { credentialsOf, tokenChecks } from "./config-file.ts";
import { findFreePort, startOnFreePorts } from "./daemon.ts";
import type { ServiceGroup } from "./service-group.ts";

const timeoutMs = 600_000;

/** Resolves when it serves and stands in the catalogue. */
export async function startNeutron(group: ServiceGroup): Promise<void> {
  const { keystone, database } = group.peers;
  const connection = await database.create("neutron");
  await runOk("neutron-db-manage", ["--config-file", await configure(group, connection, 0), "upgrade", "heads"], { timeoutMs });
  await keystone.grant("neutron", "service", "admin", "service");
  const url = await startOnFreePorts(() => serve(group, connection));
  await keystone.publish("network", url);
}

async function serve(group: ServiceGroup, connection: string): Promise<string> {
  const port = await findFreePort();
  const url = `http://127.0.0.1:${port}`;
  const server = group.launch("neutron", "/usr/bin/neutron-server", ["--config-file", await configure(group, connection, port)]);
  const answers = async (): Promise<boolean> => (await fetch(url)).status === 200;
  await server.waitUntil(() => answers().catch(() => false), timeoutMs);
  return url;
}

async function configure(group: ServiceGroup, connection: string, port: number): Promise<string> {
  const { keystone, broker } = group.peers;
  return group.configure("neutron.conf", {
    DEFAULT: {
      transport_url: broker.transportUrl,
      bind_host: "127.0.0.1",
      bind_port: port,
      core_plugin: "ml2",
      service_plugins: "",
      api_workers: 1,
      rpc_workers: 0,
      rpc_state_report_workers: 0,
      state_path: await group.makeFolder("neutron"),
      api_paste_config: "/usr/share/neutron-common/api-paste.ini",
      notify_nova_on_port_status_changes: false,
      notify_nova_on_port_data_changes: false,
    },
    database: { connection },
    oslo_concurrency: { lock_path: await group.makeFolder("locks") },
    ml2: { type_drivers: "flat,vxlan", tenant_network_types: "vxlan", mechanism_drivers: "logger", extension_drivers: "" },
    ml2_type_vxlan: { vni_ranges: "1:1000" },
    keystone_authtoken: tokenChecks(keystone, "neutron"),
    nova: credentialsOf(keystone, "nova"),
  });
}
