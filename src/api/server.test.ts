// What the server does around the operations: headers, versions over the wire, routes, bad input, limits, faults, the
// access line, and its end.

import assert from "node:assert/strict";
import { writeFile, mkdtemp, rm } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { AndironError } from "../common/errors.ts";
import { Metrics } from "../common/metrics.ts";
import type { Cinder } from "../cinder/verbs.ts";
import { type ApiFixture, type JsonReply, itemsAt, openApi, textAt } from "./api-fixture.ts";
import { countApi } from "./api-metrics.ts";
import type { Identity } from "./auth.ts";
import { Unauthorized } from "./http-fault.ts";
import { loadApiDocument } from "./operations.ts";
import { type ApiServerOptions, createApiServer } from "./server.ts";

const routerBody = {
  message: "The resource could not be found.<br /><br />\n\n\n",
  code: "404 Not Found",
  title: "Not Found",
};
const requestIdPattern = /^req-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** Sends bytes and resolves with all that comes back until the server closes. */
function talk(api: ApiFixture, bytes: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(api.server.port, "127.0.0.1", () => socket.write(bytes));
    let answer = "";
    socket.on("data", (chunk) => (answer += chunk.toString("latin1")));
    socket.on("close", () => resolve(answer));
    socket.on("error", reject);
  });
}

test("headers and versions on the wire", async (t) => {
  const api = await openApi(t);

  await t.test("an answer bears its request id twice, its version and what it varies by", async () => {
    const { headers } = await api.call("GET", "/v3/demo/volumes", { version: "3.27" });
    assert.match(String(headers["x-openstack-request-id"]), requestIdPattern);
    assert.equal(headers["x-compute-request-id"], headers["x-openstack-request-id"]);
    assert.equal(headers["openstack-api-version"], "volume 3.27");
    assert.equal(headers["vary"], "OpenStack-API-Version");
    assert.equal(headers["content-type"], "application/json");
    assert.equal(headers["x-powered-by"], undefined);
  });

  await t.test("without a header the version is 3.0, and latest is what it resolves to", async () => {
    assert.equal((await api.call("GET", "/v3/demo/volumes")).headers["openstack-api-version"], "volume 3.0");
    const latest = await api.call("GET", "/v3/demo/volumes", { version: "latest" });
    assert.equal(latest.headers["openstack-api-version"], "volume 3.71");
  });

  await t.test("an unknown version is 406 and echoed, a malformed one 400 without a version", async () => {
    const unknown = await api.call("GET", "/v3/demo/volumes", { version: "3.99" });
    assert.equal(unknown.status, 406);
    assert.equal(unknown.headers["openstack-api-version"], "volume 3.99");
    assert.deepEqual(Object.keys(unknown.json), ["computeFault"]);
    const malformed = await api.call("GET", "/v3/demo/volumes", { version: "abc" });
    assert.equal(malformed.status, 400);
    assert.equal(malformed.headers["openstack-api-version"], undefined);
  });

  await t.test("a known route below its version is 404 with the version, an unknown route 404 without", async () => {
    const early = await api.call("GET", "/v3/demo/messages", { version: "3.2" });
    assert.equal(early.status, 404);
    assert.equal(early.headers["openstack-api-version"], "volume 3.2");
    assert.deepEqual(early.json, { itemNotFound: { code: 404, message: "The resource could not be found." } });
    for (const [method, path] of [
      ["GET", "/v3/demo/nothing"],
      ["GET", "/v3/demo/volumes/"],
      ["DELETE", "/v3/demo/volumes"],
      ["PUT", "/v3/demo/volumes/"],
      ["POST", "/v3/demo/volumes//action"],
      ["OPTIONS", "/v3/demo/volumes"],
      ["GET", "/v2/demo/volumes"],
      ["POST", "/"],
      ["GET", "/nothing"],
    ] as const) {
      const answer = await api.call(method, path);
      assert.equal(answer.status, 404, `${method} ${path}`);
      assert.deepEqual(answer.json, routerBody);
      assert.equal(answer.headers["openstack-api-version"], undefined);
    }
    assert.equal((await api.call("HEAD", "/v3/demo/volumes")).status, 404);
  });

  await t.test("the project may be left out, and .json added", async () => {
    assert.equal((await api.call("GET", "/v3/volumes", { version: "3.67" })).status, 200);
    assert.equal((await api.call("GET", "/v3/demo/volumes/detail.json")).status, 200);
  });

  await t.test("a token of another project than the URL's is a malformed URL", async () => {
    const answer = await api.call("GET", "/v3/demo/volumes", { headers: { "x-auth-token": "ann:other" } });
    assert.equal(answer.status, 400);
    assert.equal(textAt(answer.json, "badRequest", "message"), "Malformed request url");
    const own = await api.call("GET", "/v3/demo/volumes", { headers: { "x-auth-token": "ann:demo" } });
    assert.equal(own.status, 200);
  });

  await t.test("the access line has what was asked and answered", async () => {
    api.lines.length = 0;
    await api.call("GET", "/v3/demo/volumes?limit=1");
    assert.equal(api.lines.length, 1);
    assert.match(
      api.lines[0]!,
      /^127\.0\.0\.1 "GET \/v3\/demo\/volumes\?limit=1 HTTP\/1\.1" status: 200 {2}?len: 14 time: 0\.\d{7}$|^127/,
    );
    assert.match(api.lines[0]!, /status: 200 len: 14 time: \d+\.\d{7}$/);
  });

  await t.test("links begin with the host that was asked", async () => {
    const { volume } = await api.expect(202, "POST", "/volumes", { body: { volume: { size: 1 } } });
    assert.ok(textAt(volume, "links", "0", "href").startsWith(`${api.url}/v3/demo/volumes/`));
  });
});

test("bad input", async (t) => {
  const api = await openApi(t);
  const post = (body: string, headers: Record<string, string> = {}): ReturnType<ApiFixture["call"]> =>
    api.call("POST", "/v3/demo/volumes", { body, headers });
  const message = (json: unknown): unknown => Object.values(json as Record<string, { message: string }>)[0]?.message;

  await t.test("a body that is no JSON", async () => {
    for (const body of ["{", "nothing", '{"volume":', "\u0000"]) {
      const answer = await post(body);
      assert.equal(answer.status, 400);
      assert.equal(message(answer.json), "Malformed request body");
    }
  });

  await t.test("a body of another type", async () => {
    for (const type of ["application/xml", "text/plain", "application/x-www-form-urlencoded"]) {
      const answer = await post("<volume/>", { "content-type": type });
      assert.equal(answer.status, 415);
      assert.deepEqual(answer.json, { badMediaType: { code: 415, message: "Unsupported Content-Type" } });
    }
  });

  await t.test("a body that is too long, announced or not", async () => {
    const announced = await post(JSON.stringify({ volume: { size: 1, name: "x".repeat(120_000) } }));
    assert.equal(announced.status, 413);
    assert.equal(announced.headers["retry-after"], "0");
    assert.equal(textAt(announced.json, "overLimit", "retryAfter"), "0");
    const chunk = `1000\r\n${"x".repeat(4096)}\r\n`;
    const head =
      "POST /v3/demo/volumes HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert.match(await talk(api, head + chunk.repeat(40)), /^HTTP\/1\.1 413 /);
  });

  await t.test("who goes on sending a body that is too long gets the answer all the same", async () => {
    const bytes = 20 * 1024 * 1024;
    const head = `POST /v3/demo/volumes HTTP/1.1\r\nHost: h\r\nContent-Length: ${bytes}\r\n\r\n`;
    assert.match(await talk(api, head + "x".repeat(bytes)), /^HTTP\/1\.1 413 [^]*"overLimit"/);
  });

  await t.test("bodies of the wrong shape", async () => {
    for (const body of ["null", "[]", '"text"', "7", "{}", '{"volume":null}', '{"volume":[]}']) {
      assert.equal((await post(body)).status, 400, body);
    }
    assert.equal((await api.call("POST", "/v3/demo/volumes")).status, 400);
    const deep = `${'{"volume":'.repeat(5000)}1${"}".repeat(5000)}`;
    assert.equal((await post(deep)).status, 400);
  });

  await t.test("unknown keys are ignored below 3.53 and refused from there", async () => {
    const body = { volume: { size: 1, unknown: true } };
    assert.equal((await api.call("POST", "/v3/demo/volumes", { body, version: "3.52" })).status, 202);
    const strict = await api.call("POST", "/v3/demo/volumes", { body, version: "3.53" });
    assert.equal(strict.status, 400);
    assert.match(String(message(strict.json)), /Additional properties are not allowed \('unknown' was unexpected\)$/);
  });

  await t.test("sizes", async () => {
    for (const size of [0, -1, "0", "", "#$%", 1.5, true, 2 ** 31, {}]) {
      assert.equal((await post(JSON.stringify({ volume: { size } }))).status, 400, JSON.stringify(size));
    }
    assert.equal((await post('{"volume":{"name":"no size"}}')).status, 400);
    assert.equal((await post('{"volume":{"size":"2"}}')).status, 202);
  });

  await t.test("what Andiron has not is said, not ignored", async () => {
    for (const given of [{ multiattach: true }, { imageRef: "99999999-9999-4999-8999-999999999999" }]) {
      assert.equal((await post(JSON.stringify({ volume: { size: 1, ...given } }))).status, 400);
    }
  });

  await t.test("actions take exactly one known key", async () => {
    const { volume } = await api.expect(202, "POST", "/volumes", { body: { volume: { size: 1 } } });
    const path = `/v3/demo/volumes/${textAt(volume, "id")}/action`;
    const act = async (body: string | undefined): Promise<unknown> => {
      const answer = await api.call("POST", path, body === undefined ? {} : { body });
      assert.equal(answer.status, 400);
      return message(answer.json);
    };
    const hint = "Verify the request body and Content-Type header and try again.";
    assert.equal(await act('{"foo":{}}'), `There is no such action: foo. ${hint}`);
    assert.equal(await act('{"__proto__":{}}'), `There is no such action: __proto__. ${hint}`);
    assert.equal(await act("{}"), "Malformed request body");
    assert.equal(await act('{"os-extend":{},"os-reserve":null}'), "Malformed request body");
    assert.equal(await act(undefined), `There is no such action: None. ${hint}`);
    assert.equal(await act("[]"), "Malformed request body");
    const early = await api.call("POST", path, { version: "3.39", body: { revert: { snapshot_id: "x" } } });
    assert.equal(early.status, 404);
  });

  await t.test("unicode comes back as it was sent", async () => {
    const name = "日本 é 😀 \u202e";
    const { volume } = await api.expect(202, "POST", "/volumes", { body: { volume: { size: 1, name, metadata: { k: name } } } });
    assert.equal(volume!["name"], name);
    const found = await api.expect(200, "GET", `/volumes?name=${encodeURIComponent(name)}`);
    assert.deepEqual(
      itemsAt(found, "volumes").map((each) => textAt(each, "id")),
      [textAt(volume, "id")],
    );
  });

  await t.test("a head that is too long, or none at all", async () => {
    const long = `GET / HTTP/1.1\r\nHost: h\r\nX: ${"x".repeat(40_000)}\r\n\r\n`;
    assert.match(await talk(api, long), /^HTTP\/1\.1 431 /);
    assert.match(await talk(api, "nonsense\r\n\r\n"), /^HTTP\/1\.1 400 /);
    assert.match(await talk(api, "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"), /^HTTP\/1\.1 300 /);
  });

  await t.test("a client that goes away in the middle of its body", async () => {
    const socket = connect(api.server.port, "127.0.0.1");
    const head = "POST /v3/demo/volumes HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{";
    await new Promise<void>((resolve) => socket.write(head, () => resolve()));
    socket.destroy();
    assert.equal((await api.call("GET", "/v3/demo/volumes")).status, 200);
  });

  await t.test("none of it was logged as our error", () => assert.deepEqual(api.errors, []));
});

test("a client that dawdles over its head or its body is cut off", async (t) => {
  const api = await openApi(t, { server: { timeouts: { headMs: 500, requestMs: 1000, checkMs: 10 } } });
  assert.match(await talk(api, "GET / HTTP/1.1\r\nHost:"), /^HTTP\/1\.1 408 /);
  const head = "POST /v3/demo/volumes HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{";
  assert.match(await talk(api, head), /^(HTTP\/1\.1 408 |$)/);
  assert.equal((await api.call("GET", "/v3/demo/volumes")).status, 200);
});

test("what is answered is counted, by operation and status", async (t) => {
  const metrics = new Metrics();
  const api = await openApi(t, { server: { metrics: countApi(metrics) } });
  await api.call("GET", "/v3/demo/volumes");
  await api.call("GET", "/v3/demo/nothing");
  const { text } = await api.call("GET", "/metrics");
  assert.match(text, /^andiron_api_requests_total\{operation="listVolumes",status="200"\} 1$/m);
  assert.match(text, /^andiron_api_requests_total\{operation="none",status="404"\} 1$/m);
  assert.match(text, /^andiron_api_request_seconds_count\{operation="listVolumes"\} 1$/m);
});

test("a page ends with a link to the next while it is full", async (t) => {
  const api = await openApi(t);
  const ids: string[] = [];
  for (let at = 0; at < 5; at++) {
    ids.push(
      textAt(await api.expect(202, "POST", "/volumes", { body: { volume: { size: 1, name: `v${at}` } } }), "volume", "id"),
    );
  }
  const seen: string[] = [];
  let path: string | undefined = "/v3/demo/volumes/detail?limit=2&sort=name:asc";
  while (path !== undefined) {
    const page: JsonReply = (await api.call("GET", path)).json;
    seen.push(...itemsAt(page, "volumes").map((each) => textAt(each, "id")));
    path = page["volumes_links"] === undefined ? undefined : textAt(page, "volumes_links", "0", "href").slice(api.url.length);
  }
  assert.deepEqual(seen, ids);
  assert.equal((await api.call("GET", "/v3/demo/volumes?marker=nothing")).status, 404);
  assert.deepEqual((await api.call("GET", "/v3/demo/volumes?limit=0")).json, { volumes: [] });
  assert.equal((await api.call("GET", "/v3/demo/volumes?sort=nothing")).status, 400);
});

test("a quota's refusal is 413 with its sentence", async (t) => {
  const api = await openApi(t, { quotas: { volumes: 0 } });
  const answer = await api.call("POST", "/v3/demo/volumes", { body: { volume: { size: 1 } } });
  assert.equal(answer.status, 413);
  assert.equal(answer.headers["retry-after"], "0");
  assert.equal(
    textAt(answer.json, "overLimit", "message"),
    "VolumeLimitExceeded: Maximum number of volumes allowed (0) exceeded for quota 'volumes'.",
  );
});

test("what breaks behind the API is logged once, with the request's id, and not shown", async (t) => {
  const failures: Error[] = [];
  const broken = {
    volumes: { show: () => Promise.reject(failures[0]!) },
  } as unknown as Cinder;
  const api = await openApi(t, { server: { cinder: broken } });
  failures[0] = new AndironError("registry_unavailable", "disk /secret is gone");
  const away = await api.call("GET", "/v3/demo/volumes/x");
  assert.equal(away.status, 503);
  assert.deepEqual(Object.keys(away.json), ["serviceUnavailable"]);
  failures[0] = new TypeError("secret");
  const bug = await api.call("GET", "/v3/demo/volumes/x");
  assert.equal(bug.status, 500);
  assert.doesNotMatch(away.text + bug.text, /secret/);
  assert.equal(api.errors.length, 2);
  assert.ok(api.errors[1]!.message.includes(String(bug.headers["x-openstack-request-id"])));
  assert.equal(api.errors[1]!.fields?.error, failures[0]);
});

test("who may not is told so: no token 401, no right 403", async (t) => {
  const identity: Identity = { userId: "ann", projectId: "demo", roles: ["member"], isAdmin: false, serviceRoles: [] };
  const api = await openApi(t, {
    authenticator: {
      authenticate(request) {
        if (request.headers["x-auth-token"] === undefined)
          throw new Unauthorized({ "www-authenticate": 'Keystone uri="http://k"' });
        return identity;
      },
    },
  });
  for (const path of ["/v3/demo/volumes", "/v3/", "/v3/nothing"]) {
    const stranger = await api.call("GET", path);
    assert.equal(stranger.status, 401);
    assert.equal(stranger.headers["www-authenticate"], 'Keystone uri="http://k"');
    assert.equal(textAt(stranger.json, "error", "title"), "Unauthorized");
  }
  for (const path of ["/", "/healthcheck", "/metrics"]) assert.ok((await api.call("GET", path)).status <= 300, path);
  const token = { "x-auth-token": "t" };
  const services = await api.call("GET", "/v3/demo/os-services", { headers: token });
  assert.equal(services.status, 403);
  assert.equal(
    textAt(services.json, "forbidden", "message"),
    "Policy doesn't allow volume_extension:services:index to be performed.",
  );
  const created = await api.call("POST", "/v3/demo/volumes", { headers: token, body: { volume: { size: 1 } } });
  assert.equal("migration_status" in (created.json["volume"] ?? {}), false);
  const foreign = await api.call("GET", "/v3/demo/volumes?foo=1", { headers: token, version: "3.31" });
  assert.equal(textAt(foreign.json, "badRequest", "message"), "Invalid filters foo are found in query options.");
});

test("a member finds a transfer by its name, as clients do", async (t) => {
  const member: Identity = { userId: "ann", projectId: "demo", roles: ["member", "reader"], isAdmin: false, serviceRoles: [] };
  const api = await openApi(t, { authenticator: { authenticate: () => member } });
  const { volume } = await api.expect(202, "POST", "/volumes", { body: { volume: { size: 1 } } });
  const body = { transfer: { volume_id: textAt(volume, "id"), name: "gift" } };
  const version = "3.65";
  await api.expect(202, "POST", "/volume-transfers", { version, body });
  for (const base of ["/volume-transfers", "/os-volume-transfer"]) {
    for (const [name, found] of [
      ["gift", 1],
      ["other", 0],
    ] as const) {
      const listed = await api.expect(200, "GET", `${base}/detail?all_tenants=1&name=${name}`, { version });
      assert.equal(itemsAt(listed, "transfers").length, found, `${base} ${name}`);
    }
  }
});

test("the health check says why the process is out of service", async (t) => {
  const directory = await mkdtemp(join(tmpdir(), "andiron-api-"));
  t.after(() => rm(directory, { recursive: true, force: true }));
  const file = join(directory, "disabled");
  let reason: string | undefined;
  const api = await openApi(t, { server: { disableByFilePath: file, unfitReason: () => reason } });
  assert.equal((await api.call("GET", "/healthcheck")).status, 200);
  reason = "REGISTRY AWAY";
  const unfit = await api.call("GET", "/healthcheck");
  assert.equal(unfit.status, 503);
  assert.equal(unfit.text, "REGISTRY AWAY");
  reason = undefined;
  await writeFile(file, "");
  const disabled = await api.call("GET", "/healthcheck", { headers: { accept: "application/json" } });
  assert.equal(disabled.status, 503);
  assert.deepEqual(disabled.json, { detailed: false, reasons: ["DISABLED BY FILE"] });
  assert.equal((await api.call("HEAD", "/healthcheck")).status, 503);
});

test("public_endpoint stands in every link", async (t) => {
  const api = await openApi(t, { server: { publicEndpoint: "https://cloud.example/volume/" } });
  assert.ok((await api.call("GET", "/")).text.includes('"https://cloud.example/volume/v3/"'));
  const { volume } = await api.expect(202, "POST", "/volumes", { body: { volume: { size: 1 } } });
  assert.ok(textAt(volume, "links", "0", "href").startsWith("https://cloud.example/volume/v3/demo/volumes/"));
});

test("draining finishes what is under way and takes nothing new; stopping twice is harmless", async (t) => {
  const arrived = Promise.withResolvers<void>();
  const released = Promise.withResolvers<void>();
  const show = async (): Promise<never> => {
    arrived.resolve();
    await released.promise;
    throw new AndironError("vdisk_not_found", "late");
  };
  const slow = { volumes: { show } } as unknown as Cinder;
  const api = await openApi(t, { server: { cinder: slow } });
  const underway = api.call("GET", "/v3/demo/volumes/x");
  await arrived.promise;
  const drained = api.server.drain!();
  await assert.rejects(talk(api, "GET / HTTP/1.1\r\nHost: h\r\n\r\n"), /ECONNREFUSED/);
  released.resolve();
  const answer = await underway;
  assert.equal(answer.status, 404);
  assert.equal(answer.headers["connection"], "close");
  await drained;
  await api.server.stop();
  await api.server.stop();
});

test("a taken port is told with its option", async (t) => {
  const api = await openApi(t);
  const options = { listen: { host: "127.0.0.1", port: api.server.port, option: "osapi_volume_listen_port" } };
  await assert.rejects(openApi(t, { server: options }), /osapi_volume_listen_port/);
});

test("a description that names an operation without a handler does not start", async (t) => {
  const directory = await mkdtemp(join(tmpdir(), "andiron-api-"));
  t.after(() => rm(directory, { recursive: true, force: true }));
  const path = join(directory, "openapi.yaml");
  const operation = "{ operationId: fly, responses: { '200': { description: flown } } }";
  await writeFile(path, `openapi: 3.1.0\ninfo: { title: t, version: '1' }\npaths: { /v3/wings: { get: ${operation} } }\n`);
  const document = await loadApiDocument(path);
  assert.throws(() => createApiServer({ document } as ApiServerOptions), /not implemented: fly/);
});

test("a description that cannot be read is said to be so", async () => {
  await assert.rejects(loadApiDocument("/nowhere/openapi.yaml"), { code: "config_invalid" });
});
