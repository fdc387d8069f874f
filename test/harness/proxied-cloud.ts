// A small cloud for clients: Debian's Keystone, Andiron, and HAProxy in front of it, which ends TLS at https://HOST/volume.
// The catalogue names it by both types that clients look for, in a region with both and in one with each alone.
//
// The clients look for an image service when they make a volume, and for a server when they attach one: a few lines of HTTP
// stand for both. They say that a server is there, whatever its id, that it has no volumes, and that compute limits nothing.

import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Keystone, password, prepareKeystone } from "../keystone/keystone.ts";
import { type Certificates, makeCertificates } from "./certificates.ts";
import { findFreePort } from "../cloud/daemon.ts";
import { type Proxy, startProxy } from "./proxy.ts";
import { type AndironProcess, type ConfigGroups, prepareAndiron } from "./service.ts";

export const regions = { both: "RegionOne", blockStorage: "Newer", volumev3: "Older" } as const;

interface Parts {
  readonly folder: string;
  readonly keystone: Keystone;
  readonly service: AndironProcess;
  readonly proxy: Proxy;
  readonly certificates: Certificates;
  readonly neighbours: Server;
}

export class ProxiedCloud {
  readonly keystone: Keystone;
  readonly service: AndironProcess;
  readonly proxy: Proxy;
  readonly certificates: Certificates;
  readonly #folder: string;
  readonly #neighbours: Server;

  constructor({ folder, keystone, service, proxy, certificates, neighbours }: Parts) {
    this.#folder = folder;
    this.keystone = keystone;
    this.service = service;
    this.proxy = proxy;
    this.certificates = certificates;
    this.#neighbours = neighbours;
  }

  /** What a client needs to know, as environment variables. */
  environment(user: string, project: string, region: string = regions.both): Record<string, string> {
    return {
      OS_AUTH_URL: this.keystone.url,
      OS_USERNAME: user,
      OS_PASSWORD: password,
      OS_PROJECT_NAME: project,
      OS_USER_DOMAIN_ID: "default",
      OS_PROJECT_DOMAIN_ID: "default",
      OS_IDENTITY_API_VERSION: "3",
      OS_REGION_NAME: region,
      OS_CACERT: this.certificates.authorityFile,
    };
  }

  async dispose(): Promise<void> {
    await this.proxy.stop();
    await this.service.dispose();
    await this.keystone.dispose();
    this.#neighbours.closeAllConnections();
    this.#neighbours.close();
    await rm(this.#folder, { recursive: true, force: true });
  }
}

/** `config` goes over what the service needs for this. Users: admin (project admin), ann (member of demo). */
export async function prepareProxiedCloud(config: ConfigGroups = {}): Promise<ProxiedCloud> {
  const folder = await mkdtemp(join(tmpdir(), "andiron-cloud-"));
  const certificates = await makeCertificates(folder);
  const keystone = await prepareKeystone();
  await keystone.grant("andiron", "service", "service");
  await keystone.grant("ann", "demo", "member");
  const keystone_authtoken = { auth_url: keystone.url, username: "andiron", password };
  const service = await prepareAndiron({
    ...config,
    DEFAULT: { auth_strategy: "keystone", backup_driver: "posix", ...config["DEFAULT"] },
    keystone_authtoken,
    oslo_middleware: { enable_proxy_headers_parsing: true },
  });
  await service.start();
  const { host, port } = service.endpoints.api;
  const target = `${host}:${port}`;
  const proxy = await startProxy({ folder, certificates, port: await findFreePort(), target, prefix: "/volume", strips: true });
  const neighbours = createServer((request, response) => {
    const { status, body } = answerAsNeighbour(request.url ?? "", request.headers.host ?? "");
    response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
  });
  neighbours.listen(0, "127.0.0.1");
  await once(neighbours, "listening");
  await fillCatalogue(keystone, proxy.url, `http://127.0.0.1:${(neighbours.address() as AddressInfo).port}`);
  return new ProxiedCloud({ folder, keystone, service, proxy, certificates, neighbours });
}

function answerAsNeighbour(path: string, host: string): { readonly status: number; readonly body: unknown } {
  const version = (id: string, at: string, more = {}): unknown => {
    return { id, status: "CURRENT", links: [{ rel: "self", href: `http://${host}${at}` }], ...more };
  };
  const server = /^\/v2\.1\/servers\/([\w-]+)$/.exec(path)?.[1];
  if (server !== undefined) return { status: 200, body: { server: { id: server, name: server, links: [] } } };
  const project = /^\/v2\.1\/os-quota-sets\/(\w+)(?:\/defaults)?$/.exec(path)?.[1];
  if (project !== undefined) return { status: 200, body: { quota_set: { id: project } } };
  if (path.startsWith("/v2.1/limits")) return { status: 200, body: { limits: { absolute: {}, rate: [] } } };
  if (path === "/v2.1" || path === "/v2.1/") {
    return { status: 200, body: { version: version("v2.1", "/v2.1/", { version: "2.90", min_version: "2.1" }) } };
  }
  if (path === "/") return { status: 300, body: { versions: [version("v2.15", "/v2/")] } };
  return { status: 404, body: { itemNotFound: { code: 404, message: "Not here." } } };
}

/** Compute is in one region only: where it is not, the client does not ask it for quotas and limits. */
async function fillCatalogue(keystone: Keystone, url: string, neighbours: string): Promise<void> {
  const { both, blockStorage, volumev3 } = regions;
  for (const id of [blockStorage, volumev3]) await keystone.send("POST", "/regions", { region: { id } });
  const { body } = await keystone.send("GET", "/services?type=identity");
  const [identity] = body["services"] as unknown as readonly { readonly id: string }[];
  const identityEndpoint = { service_id: identity!.id, interface: "public", region_id: blockStorage, url: keystone.url };
  await keystone.create("endpoint", identityEndpoint);
  for (const [type, endpoint, ...where] of [
    ["block-storage", `${url}/v3`, both, blockStorage],
    ["volumev3", `${url}/v3/%(project_id)s`, both, volumev3],
    ["image", neighbours, both, blockStorage, volumev3],
    ["compute", `${neighbours}/v2.1`, blockStorage],
  ] as const) {
    const service_id = await keystone.create("service", { name: `the ${type}`, type });
    for (const region_id of where) {
      await keystone.create("endpoint", { service_id, interface: "public", region_id, url: endpoint });
    }
  }
}
