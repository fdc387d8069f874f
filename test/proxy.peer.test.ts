// The API below a prefix of HAProxy, which ends TLS: what the real clients see of it. Versions and links lead to the proxy,
// never past it; both entries of the catalogue do; limits are kept.

import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { Agent, request } from "undici";
import { type Certificates, makeCertificates } from "./harness/certificates.ts";
import { missingCommand, runOk } from "./harness/command.ts";
import { findFreePort } from "./cloud/daemon.ts";
import { type Proxy, startProxy } from "./harness/proxy.ts";
import { prepareProxiedCloud, type ProxiedCloud, regions } from "./harness/proxied-cloud.ts";
import { type AndironProcess, prepareAndiron } from "./harness/service.ts";

const programs = ["haproxy", "keystone-manage", "openstack", "cinder", "openssl", "curl"];
const missing = await missingCommand(programs);
const skip = missing !== undefined && `${missing} is not installed`;
const pageMax = 3;
const bodyBytesMax = 114_688;

/** List in pages, create, wait, delete: what a program does with openstacksdk. */
const sdkProgram = `
import json, openstack
cloud = openstack.connect()
storage = cloud.block_storage
before = sorted(each.name for each in storage.volumes(limit=2))
made = storage.create_volume(size=1, name="by the SDK")
storage.wait_for_status(made, status="available", interval=1, wait=120)
found = storage.find_volume("by the SDK").id == made.id
storage.delete_volume(made)
storage.wait_for_delete(made, interval=1, wait=120)
after = sorted(each.name for each in storage.volumes(details=False))
print(json.dumps([before, found, after, storage.get_endpoint_data().url]))
`;

interface Reply {
  readonly status: number;
  readonly text: string;
  readonly body: Readonly<Record<string, unknown>>;
}

type Send = (method: string, url: string, headers?: Readonly<Record<string, string>>, body?: unknown) => Promise<Reply>;

function makeSender(agent: Agent): Send {
  return async (method, url, headers = {}, body) => {
    const reply = await request(url, {
      dispatcher: agent,
      method: method as "GET",
      headers: { ...(body === undefined ? {} : { "content-type": "application/json" }), ...headers },
      body: body === undefined ? null : JSON.stringify(body),
    });
    const text = await reply.body.text();
    return { status: reply.statusCode, text, body: (text.startsWith("{") ? JSON.parse(text) : {}) as Reply["body"] };
  };
}

/** Every URL in an answer. */
const urlsIn = (text: string): string[] => [...text.matchAll(/"href":"([^"]+)"/g)].map((match) => match[1]!);

describe("behind a proxy with Keystone", { skip, timeout: 900_000 }, () => {
  let cloud: ProxiedCloud;
  let agent: Agent;
  let send: Send;
  let token: Readonly<Record<string, string>>;

  before(async () => {
    cloud = await prepareProxiedCloud({ DEFAULT: { osapi_max_limit: pageMax } });
    agent = new Agent({ connect: { ca: await readFile(cloud.certificates.authorityFile) } });
    send = makeSender(agent);
    token = { "x-auth-token": await cloud.keystone.issue("ann", "demo") };
    const names = Array.from({ length: 2 * pageMax + 1 }, (_, at) => `v${at}`);
    for (const name of names) {
      const { status, text } = await send("POST", `${cloud.proxy.url}/v3/volumes`, token, { volume: { size: 1, name } });
      assert.equal(status, 202, text);
    }
  });
  after(async () => {
    await agent?.close();
    await cloud?.dispose();
  });

  const as = (region: string): { env: Record<string, string> } => ({ env: cloud.environment("ann", "demo", region) });
  const volumeNames = ["v0", "v1", "v2", "v3", "v4", "v5", "v6"];

  test("versions lead to the proxy, with a token and without", async () => {
    const { url } = cloud.proxy;
    for (const [path, headers, status] of [
      ["", {}, 300],
      ["/", {}, 300],
      ["/?x=1", {}, 300],
      ["/v3/", token, 200],
      ["/v3", token, 200],
    ] as const) {
      const reply = await send("GET", url + path, headers);
      assert.equal(reply.status, status, path);
      assert.deepEqual(urlsIn(reply.text), ["https://docs.openstack.org/", `${url}/v3/`], path);
    }
    assert.equal((await send("GET", `${url}/v3/volumes`)).status, 401);
    assert.equal((await send("GET", `${url}s/v3/`, token)).status, 404, "the proxy knows no other prefix");
  });

  test("pages lead from one to the next through the proxy, and none is longer than osapi_max_limit", async () => {
    const demo = await cloud.keystone.find("project", "demo");
    for (const base of [`${cloud.proxy.url}/v3`, `${cloud.proxy.url}/v3/${demo}`]) {
      for (const query of ["", "?limit=2", "?limit=1000"]) {
        const names: string[] = [];
        let next: string | undefined = `${base}/volumes/detail${query}`;
        while (next !== undefined) {
          assert.ok(next.startsWith(`${base}/volumes/detail`), next);
          const page: Reply = await send("GET", next, token);
          assert.equal(page.status, 200, page.text);
          for (const url of urlsIn(page.text)) assert.ok(url.startsWith(`${cloud.proxy.url}/`), url);
          const volumes = page.body["volumes"] as readonly { readonly name: string }[];
          assert.ok(volumes.length <= pageMax);
          names.push(...volumes.map(({ name }) => name));
          next = (page.body["volumes_links"] as readonly { readonly href: string }[] | undefined)?.[0]?.href;
        }
        assert.deepEqual(names.sort(), volumeNames);
      }
    }
  });

  test("what a client says about proxies does not reach the service", async () => {
    const lies = {
      "x-forwarded-host": "evil.example",
      "x-forwarded-prefix": "/evil",
      "x-forwarded-proto": "http",
      "x-forwarded-port": "1",
      forwarded: "host=evil.example;proto=http",
    };
    const reply = await send("GET", `${cloud.proxy.url}/v3/volumes`, { ...token, ...lies });
    assert.doesNotMatch(reply.text, /evil|:1\//);
    for (const url of urlsIn(reply.text)) assert.ok(url.startsWith(`${cloud.proxy.url}/`), url);
  });

  test("the openstack client works by either entry of the catalogue", async () => {
    for (const region of [regions.blockStorage, regions.volumev3, regions.both]) {
      const name = `in ${region}`;
      const made = await runOk("openstack", ["volume", "create", "--size", "1", name, "-f", "json"], as(region));
      assert.equal((JSON.parse(made) as { name: string }).name, name);
      const listed = await runOk("openstack", ["volume", "list", "-f", "value", "-c", "Name"], as(region));
      assert.deepEqual(listed.trim().split("\n").sort(), [name, ...volumeNames].sort(), "all pages");
      await runOk("openstack", ["volume", "delete", name], as(region));
    }
    const versions = await runOk("openstack", ["versions", "show", "-f", "json"], as(regions.blockStorage));
    const rows = JSON.parse(versions) as readonly Readonly<Record<string, string>>[];
    const own = rows.filter((row) => row["Service Type"] === "block-storage");
    const told = own.map((row) => [row["Region Name"], row["Endpoint"], row["Version"], row["Max Microversion"]].join(" "));
    const expected = Object.values(regions).map((region) => `${region} ${cloud.proxy.url}/v3/ 3.0 3.71`);
    assert.deepEqual(told.toSorted(), expected.toSorted());
  });

  test("the cinder client works by either entry of the catalogue", async () => {
    for (const region of [regions.blockStorage, regions.volumev3]) {
      const { env } = as(region);
      const cinder = (...args: readonly string[]): Promise<string> =>
        runOk("cinder", ["--os-volume-api-version", "3.70", ...args], { env });
      const made = await cinder("create", "--name", "by cinder", "1", "--poll");
      assert.match(made, /\| status +\| available/);
      const listed = await cinder("list", "--limit", "2");
      assert.equal(listed.match(/\| available \|/g)?.length, 2, listed);
      assert.match(await cinder("show", "by cinder"), /\| name +\| by cinder/);
      await cinder("delete", "by cinder");
      assert.match(await cinder("version-list"), /\| v3\.0 +\| .*CURRENT.*3\.71/);
    }
  });

  test("openstacksdk follows pages, creates, waits and deletes by either entry of the catalogue", async () => {
    for (const region of [regions.blockStorage, regions.volumev3]) {
      const printed = await runOk("/usr/bin/python3", ["-W", "ignore", "-c", sdkProgram], as(region));
      const [before, found, after, endpoint] = JSON.parse(printed) as [string[], boolean, string[], string];
      assert.deepEqual(before, volumeNames);
      assert.equal(found, true);
      assert.deepEqual(after, volumeNames);
      assert.ok(endpoint.startsWith(`${cloud.proxy.url}/v3`), endpoint);
    }
  });

  test("a body that is too long is 413, whatever its length and however it is announced", async () => {
    const folder = await mkdtemp(join(tmpdir(), "andiron-body-"));
    try {
      for (const [bytes, expected] of [
        [bodyBytesMax, "400"],
        [bodyBytesMax + 1, "413"],
        [20 * 1024 * 1024, "413"],
      ] as const) {
        const file = join(folder, "body.json");
        const shell = JSON.stringify({ volume: { size: 1, name: "" } });
        await writeFile(file, shell.replace('""', `"${"x".repeat(bytes - shell.length)}"`));
        for (const how of [
          ["Content-Type: application/json"],
          ["Content-Type: application/json", "Transfer-Encoding: chunked"],
        ]) {
          const headers = ["Expect:", `X-Auth-Token: ${token["x-auth-token"]}`, ...how].flatMap((line) => ["-H", line]);
          const trusting = ["--cacert", cloud.certificates.authorityFile];
          const sent = ["-sS", "-w", "\n%{http_code}", ...trusting, ...headers, "--data-binary", `@${file}`];
          const printed = await runOk("curl", [...sent, `${cloud.proxy.url}/v3/volumes`]);
          const [text, status] = [printed.slice(0, printed.lastIndexOf("\n")), printed.slice(printed.lastIndexOf("\n") + 1)];
          assert.equal(status, expected, `${bytes} bytes, ${how.join(", ")}: ${text}`);
          if (expected === "413") assert.equal((JSON.parse(text) as { overLimit: { code: number } }).overLimit.code, 413);
        }
      }
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });

  test("a head that is too long and a query of too many parameters are refused", async () => {
    const long = await send("GET", `${cloud.proxy.url}/v3/volumes`, { ...token, "x-long": "x".repeat(17_000) });
    assert.equal(long.status, 431);
    const many = Array.from({ length: 65 }, (_, at) => `f${at}=1`).join("&");
    assert.equal((await send("GET", `${cloud.proxy.url}/v3/volumes?${many}`, token)).status, 400);
  });

  test("access rules name the path that the client asks for, prefix and all", async () => {
    const { keystone } = cloud;
    const ann = await keystone.find("user", "ann");
    const statuses: number[] = [];
    for (const path of ["/volume/v3/volumes", "/v3/volumes"]) {
      const rules = [{ service: "block-storage", method: "GET", path }];
      const given = { application_credential: { name: `for ${path}`, access_rules: rules } };
      const made = await keystone.send("POST", `/users/${ann}/application_credentials`, given, token);
      assert.equal(made.status, 201);
      const { id, secret } = made.body["application_credential"] as { id: string; secret: string };
      const identity = { methods: ["application_credential"], application_credential: { id, secret } };
      const narrow = await keystone.authenticate({ identity });
      statuses.push((await send("GET", `${cloud.proxy.url}/v3/volumes`, { "x-auth-token": narrow })).status);
    }
    assert.deepEqual(statuses, [200, 401]);
  });
});

describe("behind a proxy that takes no prefix away and says nothing", { skip, timeout: 300_000 }, () => {
  let folder = "";
  let certificates: Certificates;
  let service: AndironProcess;
  let proxy: Proxy;
  let agent: Agent;
  let send: Send;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "andiron-proxy-"));
    certificates = await makeCertificates(folder);
    const port = await findFreePort();
    service = await prepareAndiron({
      DEFAULT: { osapi_volume_use_ssl: true, public_endpoint: `https://127.0.0.1:${port}/volume` },
      ssl: { cert_file: certificates.serverCertFile, key_file: certificates.serverKeyFile },
    });
    await service.start();
    const { host, port: backPort } = service.endpoints.api;
    const behind = { target: `${host}:${backPort}`, targetTls: true, prefix: "/volume", strips: false };
    proxy = await startProxy({ folder, certificates, port, ...behind });
    agent = new Agent({ connect: { ca: await readFile(certificates.authorityFile) } });
    send = makeSender(agent);
  });
  after(async () => {
    await agent?.close();
    await proxy?.stop();
    await service?.dispose();
    await rm(folder, { recursive: true, force: true });
  });

  test("the service answers below the path of public_endpoint, and all links lead there", async () => {
    const { url } = proxy;
    for (const path of ["", "/", "/v3/"]) {
      assert.deepEqual(urlsIn((await send("GET", url + path)).text), ["https://docs.openstack.org/", `${url}/v3/`], path);
    }
    const { status, text } = await send("POST", `${url}/v3/demo/volumes`, {}, { volume: { size: 1 } });
    assert.equal(status, 202, text);
    const urls = urlsIn(text);
    assert.ok(urls.length > 0 && urls.every((each) => each.startsWith(`${url}/`)), text);
    assert.equal((await send("GET", urls[0]!)).status, 200, "a link of the answer works");
    assert.equal((await send("GET", `${url}/healthcheck`)).text, "OK");
    assert.equal((await send("GET", `${url}/volume/v3/`)).status, 404);
  });

  test("asked past the proxy it answers too, with the same links, and believes no header", async () => {
    const { host, port } = service.endpoints.api;
    const lies = { "x-forwarded-host": "evil.example", "x-forwarded-prefix": "/evil", forwarded: "host=evil.example" };
    const reply = await send("GET", `https://${host}:${port}/v3/`, lies);
    assert.deepEqual(urlsIn(reply.text), ["https://docs.openstack.org/", `${proxy.url}/v3/`]);
  });
});
