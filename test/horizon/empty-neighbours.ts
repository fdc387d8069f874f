// Compute and network services that have nothing, as far as the dashboard asks for them: it fails on many of its pages where the
// catalogue has none. The real ones are in test/cloud (nova-cloud.ts), for the scenes that need servers.

import { once } from "node:events";
import { type Server, createServer } from "node:http";
import type { AddressInfo } from "node:net";
import type { Keystone } from "../keystone/keystone.ts";

const computeLimits = {
  maxTotalInstances: 10,
  totalInstancesUsed: 0,
  maxTotalCores: 20,
  totalCoresUsed: 0,
  maxTotalRAMSize: 51_200,
  totalRAMUsed: 0,
  maxTotalKeypairs: 100,
};

const computeQuotas = {
  instances: 10,
  cores: 20,
  ram: 51_200,
  metadata_items: 128,
  key_pairs: 100,
  server_groups: 10,
  server_group_members: 10,
  injected_files: 5,
  injected_file_content_bytes: 10_240,
  injected_file_path_bytes: 255,
};

/** Answers by what the path begins with. */
const answers: readonly (readonly [string, unknown])[] = [
  ["/v2.1/servers", { servers: [] }],
  ["/v2.1/os-availability-zone", { availabilityZoneInfo: [] }],
  ["/v2.1/flavors", { flavors: [] }],
  ["/v2.1/os-keypairs", { keypairs: [] }],
  ["/v2.1/os-server-groups", { server_groups: [] }],
  ["/v2.1/os-services", { services: [] }],
  ["/v2.1/os-hypervisors", { hypervisors: [] }],
  ["/v2.1/os-simple-tenant-usage", { tenant_usage: {}, tenant_usages: [] }],
  ["/v2.1/extensions", { extensions: [] }],
  ["/v2.1/limits", { limits: { absolute: computeLimits, rate: [] } }],
  ["/v2.1/os-quota-sets", { quota_set: computeQuotas }],
  ["/v2.1/os-quota-class-sets", { quota_class_set: computeQuotas }],
  ["/v2.0/extensions", { extensions: [] }],
  ["/v2.0/quotas", { quota: { network: 100, subnet: 100, port: 500, router: 10, floatingip: 50 } }],
  ["/v2.0/agents", { agents: [] }],
  ["/v2.0/networks", { networks: [] }],
  ["/v2.0/subnets", { subnets: [] }],
  ["/v2.0/ports", { ports: [] }],
  ["/v2.0/security-groups", { security_groups: [] }],
];

export class EmptyNeighbours {
  readonly #server: Server;

  constructor(server: Server) {
    this.#server = server;
  }

  async publish(keystone: Keystone): Promise<void> {
    const url = `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
    await keystone.publish("compute", `${url}/v2.1`);
    await keystone.publish("network", url);
  }

  stop(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }
}

export async function startEmptyNeighbours(): Promise<EmptyNeighbours> {
  const server = createServer((request, response) => {
    const path = request.url ?? "";
    const found =
      path.startsWith("/v2.1/?") || /^\/v2\.1\/?$/.test(path) ? versionAt(request.headers.host ?? "") : answerTo(path);
    const body = found ?? { itemNotFound: { code: 404, message: `${path} is not here.` } };
    response.writeHead(found === undefined ? 404 : 200, { "content-type": "application/json" }).end(JSON.stringify(body));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return new EmptyNeighbours(server);
}

function answerTo(path: string): unknown {
  return answers.find(([beginning]) => path.startsWith(beginning))?.[1];
}

function versionAt(host: string): unknown {
  const links = [{ rel: "self", href: `http://${host}/v2.1/` }];
  return { version: { id: "v2.1", status: "CURRENT", version: "2.90", min_version: "2.1", links } };
}
