// Andiron behind Debian's real Keystone: who is let in, as whom, and what he may do there.

import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { missingCommand, runOk } from "./harness/command.ts";
import { type AndironProcess, prepareAndiron } from "./harness/service.ts";
import { type Keystone, password, prepareKeystone } from "./keystone/keystone.ts";

const missing = await missingCommand(["keystone-manage", "openstack"]);
const cacheSeconds = 2;

interface Reply {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
}

describe("behind a real Keystone", { skip: missing !== undefined && `${missing} is not installed`, timeout: 900_000 }, () => {
  let keystone: Keystone;
  let service: AndironProcess;
  let images: Server;
  let nova: Server;
  let novaAnswer: { readonly status: number; readonly body: unknown } = { status: 404, body: {} };
  let demo = "";

  before(async () => {
    keystone = await prepareKeystone();
    await keystone.grant("andiron", "service", "service");
    await keystone.grant("nova", "service", "service", "admin");
    await keystone.grant("plain", "service", "member");
    await keystone.grant("ann", "demo", "member");
    await keystone.grant("rob", "demo", "reader");
    await keystone.grant("odd", "demo", "other");
    await keystone.grant("eve", "elsewhere", "member");
    demo = await keystone.find("project", "demo");
    service = await prepareAndiron({
      DEFAULT: { auth_strategy: "keystone" },
      keystone_authtoken: {
        auth_url: keystone.url,
        www_authenticate_uri: "https://keystone.example:5000",
        username: "andiron",
        password,
        token_cache_time: cacheSeconds,
        service_type: "block-storage",
        http_request_max_retries: 0,
      },
    });
    await service.start();
    const { host, port } = service.endpoints.api;
    nova = createServer((_, response) => {
      response.writeHead(novaAnswer.status).end(JSON.stringify(novaAnswer.body));
    });
    nova.listen(0, "127.0.0.1");
    await once(nova, "listening");
    await keystone.publish("compute", `http://127.0.0.1:${(nova.address() as AddressInfo).port}/v2.1`);
    // The client looks for an image service when it makes a volume, even when it needs none.
    images = createServer((request, response) => {
      const links = [{ rel: "self", href: `http://${request.headers.host}/v2/` }];
      response.writeHead(300, { "content-type": "application/json" });
      response.end(JSON.stringify({ versions: [{ id: "v2.15", status: "CURRENT", links }] }));
    });
    images.listen(0, "127.0.0.1");
    await once(images, "listening");
    const imagesUrl = `http://127.0.0.1:${(images.address() as AddressInfo).port}`;
    await keystone.publish("image", imagesUrl);
    await keystone.publish("block-storage", `http://${host}:${port}/v3/$(project_id)s`);
  });
  after(async () => {
    for (const server of [images, nova]) {
      server?.closeAllConnections();
      server?.close();
    }
    await service?.dispose();
    await keystone?.dispose();
  });

  async function send(method: string, path: string, headers: Readonly<Record<string, string>>, body?: unknown): Promise<Reply> {
    const { host, port } = service.endpoints.api;
    const reply = await fetch(`http://${host}:${port}${path}`, {
      method,
      headers: { "content-type": "application/json", ...headers },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await reply.text();
    return { status: reply.status, headers: reply.headers, body: (text === "" ? {} : JSON.parse(text)) as Reply["body"] };
  }

  const list = async (headers: Readonly<Record<string, string>>): Promise<number> =>
    (await send("GET", "/v3/volumes", headers)).status;
  const create = (token: string): Promise<Reply> =>
    send("POST", `/v3/${demo}/volumes`, { "x-auth-token": token }, { volume: { size: 1, name: "of ann" } });

  test("nobody is let in without a good token, and is told where to get one", async () => {
    for (const headers of [
      {},
      { "x-auth-token": "garbage" },
      { "x-user-id": "u", "x-roles": "admin", "x-identity-status": "Confirmed" },
    ]) {
      const { status, headers: answered, body } = await send("GET", "/v3/volumes", headers);
      assert.equal(status, 401);
      assert.equal(answered.get("www-authenticate"), 'Keystone uri="https://keystone.example:5000"');
      const message = "The request you have made requires authentication.";
      assert.deepEqual(body, { error: { code: 401, title: "Unauthorized", message } });
    }
    assert.equal((await send("GET", "/", {})).status, 300);
    assert.equal((await send("GET", "/v3/", {})).status, 401);
  });

  test("a member works in the own project and nowhere else; headers that a client makes up say nothing", async () => {
    const token = await keystone.issue("ann", "demo");
    const created = await create(token);
    assert.equal(created.status, 202);
    const id = String(created.body["volume"]!["id"]);
    assert.equal(created.body["volume"]!["user_id"], await keystone.find("user", "ann"));
    const elsewhere = await keystone.find("project", "elsewhere");
    const wrong = await send("GET", `/v3/${elsewhere}/volumes`, { "x-auth-token": token });
    assert.deepEqual([wrong.status, wrong.body["badRequest"]?.["message"]], [400, "Malformed request url"]);
    const eve = await keystone.issue("eve", "elsewhere");
    assert.equal((await send("GET", `/v3/volumes/${id}`, { "x-auth-token": eve })).status, 404);
    const pretending = { "x-auth-token": eve, "x-project-id": demo, "x-roles": "admin", "x-is-admin-project": "True" };
    assert.equal((await send("GET", `/v3/volumes/${id}`, pretending)).status, 404);
    const shown = await send("GET", `/v3/volumes/${id}`, { "x-auth-token": keystone.adminToken });
    assert.equal(shown.status, 200);
    assert.ok("os-vol-host-attr:host" in shown.body["volume"]!);
    const asMember = await send("GET", `/v3/volumes/${id}`, { "x-storage-token": token });
    assert.ok(!("os-vol-host-attr:host" in asMember.body["volume"]!));
    assert.equal(asMember.body["volume"]!["os-vol-tenant-attr:tenant_id"], demo);
  });

  test("a reader reads, and who has another role does not even that", async () => {
    const reader = await keystone.issue("rob", "demo");
    assert.equal(await list({ "x-auth-token": reader }), 200);
    const refused = await create(reader);
    assert.equal(refused.status, 403);
    assert.equal(refused.body["forbidden"]!["message"], "Policy doesn't allow volume:create to be performed.");
    assert.equal(await list({ "x-auth-token": await keystone.issue("odd", "demo") }), 403);
  });

  test("a revoked token is refused once the cache has forgotten it", async () => {
    const token = await keystone.issue("ann", "demo");
    assert.equal(await list({ "x-auth-token": token }), 200);
    await keystone.revoke(token);
    await sleep(cacheSeconds * 1000 + 200);
    assert.equal(await list({ "x-auth-token": token }), 401);
  });

  test("an expired token is refused, unless a service vouches for it", async () => {
    const expired = await keystone.issue("ann", "demo", { short: true });
    await sleep(3000);
    assert.equal(await list({ "x-auth-token": expired }), 401);
    const nova = await keystone.issue("nova", "service");
    const plain = await keystone.issue("plain", "service");
    assert.equal(await list({ "x-auth-token": expired, "x-service-token": nova }), 200);
    assert.equal(await list({ "x-auth-token": expired }), 401, "also while it is in the cache");
    assert.equal(await list({ "x-auth-token": expired, "x-service-token": plain }), 401);
    const token = await keystone.issue("ann", "demo");
    assert.equal(await list({ "x-auth-token": token, "x-service-token": plain }), 401, "a service token without the role");
    assert.equal(await list({ "x-auth-token": token, "x-service-token": "garbage" }), 401);
    assert.equal(await list({ "x-auth-token": token, "x-service-token": nova }), 200);
  });

  test("an application credential with access rules is good for those requests only", async () => {
    const ann = await keystone.find("user", "ann");
    const owner = { "x-auth-token": await keystone.issue("ann", "demo") };
    const rules = [{ service: "block-storage", method: "GET", path: "/v3/volumes/**" }];
    const made = await keystone.send(
      "POST",
      `/users/${ann}/application_credentials`,
      { application_credential: { name: "narrow", access_rules: rules } },
      owner,
    );
    assert.equal(made.status, 201);
    const { id, secret } = made.body["application_credential"] as { id: string; secret: string };
    const methods = ["application_credential"];
    const token = await keystone.authenticate({ identity: { methods, application_credential: { id, secret } } });
    assert.equal((await send("GET", "/v3/volumes/detail", { "x-auth-token": token })).status, 200);
    assert.equal(await list({ "x-auth-token": token }), 401);
    assert.equal((await send("GET", "/v3/snapshots", { "x-auth-token": token })).status, 401);
    const nova = await keystone.issue("nova", "service");
    assert.equal(await list({ "x-auth-token": token, "x-service-token": nova }), 200);
  });

  test("a token of a trust acts for who gave it", async () => {
    const [ann, eve] = [await keystone.find("user", "ann"), await keystone.find("user", "eve")];
    const trust = {
      trustor_user_id: ann,
      trustee_user_id: eve,
      project_id: demo,
      impersonation: true,
      roles: [{ name: "member" }],
    };
    const made = await keystone.send(
      "POST",
      "/OS-TRUST/trusts",
      { trust },
      { "x-auth-token": await keystone.issue("ann", "demo") },
    );
    assert.equal(made.status, 201);
    const user = { name: "eve", domain: { id: "default" }, password };
    const identity = { methods: ["password"], password: { user } };
    const token = await keystone.authenticate({
      identity,
      scope: { "OS-TRUST:trust": { id: String(made.body["trust"]!["id"]) } },
    });
    const created = await create(token);
    assert.deepEqual([created.status, created.body["volume"]?.["user_id"]], [202, ann]);
  });

  test("a token of the system is an administrator's, and has no project", async () => {
    const identity = { methods: ["password"], password: { user: { name: "admin", domain: { id: "default" }, password } } };
    const token = await keystone.authenticate({ identity, scope: { system: { all: true } } });
    assert.equal((await send("GET", "/v3/volumes?all_tenants=1", { "x-auth-token": token })).status, 200);
    assert.equal((await send("GET", `/v3/${demo}/volumes`, { "x-auth-token": token })).status, 400);
    const refused = await send("POST", "/v3/volumes", { "x-auth-token": token }, { volume: { size: 1 } });
    assert.equal(refused.status, 400);
  });

  test("what a server uses is taken away by Nova only (CVE-2023-2088)", async () => {
    const ann = { "x-auth-token": await keystone.issue("ann", "demo"), "openstack-api-version": "volume 3.44" };
    const volumeId = String((await create(ann["x-auth-token"])).body["volume"]!["id"]);
    const instance = "88888888-8888-4888-8888-888888888888";
    const given = { volume_uuid: volumeId, instance_uuid: instance, connector: { host: "compute1" } };
    const made = await send("POST", "/v3/attachments", ann, { attachment: given });
    assert.equal(made.status, 200);
    const id = String(made.body["attachment"]!["id"]);
    const detach = (headers = {}): Promise<Reply> => send("DELETE", `/v3/attachments/${id}`, { ...ann, ...headers });
    novaAnswer = { status: 200, body: { volumeAttachment: { attachment_id: id } } };
    const refused = await detach();
    assert.equal(refused.status, 409);
    const message = `ConflictNovaUsingAttachment: Detach volume from instance ${instance} using the Compute API`;
    assert.equal(refused.body["conflictingRequest"]!["message"], message);
    for (const action of [{ "os-detach": {} }, { "os-terminate_connection": { connector: { host: "compute1" } } }]) {
      assert.equal((await send("POST", `/v3/volumes/${volumeId}/action`, ann, action)).status, 409);
    }
    novaAnswer = { status: 500, body: {} };
    assert.equal((await detach()).status, 503);
    novaAnswer = { status: 200, body: { volumeAttachment: { attachment_id: id } } };
    assert.equal((await detach({ "x-service-token": await keystone.issue("nova", "service") })).status, 200);
    const again = await send("POST", "/v3/attachments", ann, { attachment: given });
    const otherId = String(again.body["attachment"]!["id"]);
    assert.equal((await send("DELETE", `/v3/attachments/${otherId}`, ann)).status, 200, "Nova knows another attachment only");
  });

  test("the openstack client finds the service in the catalogue", async () => {
    const environment = {
      OS_AUTH_URL: keystone.url,
      OS_USERNAME: "ann",
      OS_PASSWORD: password,
      OS_PROJECT_NAME: "demo",
      OS_USER_DOMAIN_ID: "default",
      OS_PROJECT_DOMAIN_ID: "default",
    };
    const made = await runOk("openstack", ["volume", "create", "--size", "1", "cloudy", "-f", "json"], { env: environment });
    assert.equal((JSON.parse(made) as { name: string }).name, "cloudy");
    const names = await runOk("openstack", ["volume", "list", "-f", "value", "-c", "Name"], { env: environment });
    assert.match(names, /^cloudy$/m);
  });

  test("without Keystone known tokens stay good for as long as they are cached; then it is 503, never 401", async () => {
    const token = await keystone.issue("ann", "demo");
    assert.equal(await list({ "x-auth-token": token }), 200);
    await keystone.stop();
    assert.equal(await list({ "x-auth-token": token }), 200);
    const away = await send("GET", "/v3/volumes", { "x-auth-token": "another" });
    assert.equal(away.status, 503);
    assert.equal(away.body["serviceUnavailable"]!["message"], "The Keystone service is temporarily unavailable.");
    await sleep(cacheSeconds * 1000 + 200);
    assert.equal(await list({ "x-auth-token": token }), 503);
    assert.doesNotMatch(await service.logTail(), new RegExp(token.slice(0, 40).replaceAll(/[^\w]/g, ".")));
  });
});
