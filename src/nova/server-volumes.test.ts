// What is asked of Nova, and what its answers mean. Keystone and Nova are servers of the test's own: a real Nova needs a cloud.

import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { type TestContext, test } from "node:test";
import { systemClock } from "../common/clock.ts";
import { AndironError } from "../common/errors.ts";
import { ServiceHttp } from "../keystone/service-http.ts";
import { ServiceSession } from "../keystone/service-session.ts";
import { NovaServerVolumes } from "./server-volumes.ts";

interface Answer {
  readonly status: number;
  readonly body?: unknown;
}

const server = "88888888-8888-4888-8888-888888888888";
const volume = "77777777-7777-4777-8777-777777777777";
const requester = { requestId: "req-1", globalRequestId: "req-2" };

async function open(t: TestContext, answer: (request: IncomingMessage) => Answer) {
  const asked: IncomingMessage[] = [];
  const bodies: string[] = [];
  let issued = 0;
  let url = "";
  const cloud = createServer((request, response) => {
    if (request.url === "/v3/auth/tokens") {
      request.resume();
      const endpoints = [{ interface: "public", region_id: "R1", url: `${url}/v2.1/` }];
      const expires_at = new Date(systemClock.wallMs() + 3_600_000).toISOString();
      const token = { user: { id: "u" }, expires_at, roles: [], catalog: [{ type: "compute", endpoints }] };
      response.writeHead(201, { "x-subject-token": `own-${++issued}` }).end(JSON.stringify({ token }));
      return;
    }
    asked.push(request);
    const { status, body = {} } = answer(request);
    let text = "";
    request.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
    request.on("end", () => {
      bodies.push(text);
      response.writeHead(status).end(JSON.stringify(body));
    });
  });
  cloud.listen(0, "127.0.0.1");
  await once(cloud, "listening");
  url = `http://127.0.0.1:${(cloud.address() as AddressInfo).port}`;
  const common = { caFile: "", insecure: false, timeoutMs: 2000, retriesMax: 0, clock: systemClock };
  const http = new ServiceHttp({ ...common, service: "Nova", failure: "nova_unavailable" });
  t.after(async () => {
    await http.close();
    cloud.closeAllConnections();
    cloud.close();
  });
  const names = { user_domain_name: "Default", user_domain_id: "", project_domain_name: "Default", project_domain_id: "" };
  const credentials = {
    ...names,
    auth_type: "password",
    auth_url: url,
    username: "andiron",
    password: "secret",
    project_name: "service",
    project_id: "",
    application_credential_id: "",
    application_credential_secret: "",
  } as const;
  const session = new ServiceSession({ http, credentials, clock: systemClock, group: "nova" });
  const serviceUser = new ServiceSession({ http, credentials, clock: systemClock, group: "service_user" });
  const compute = { interface: "public", region: "" };
  return { asked, bodies, cloud, servers: new NovaServerVolumes({ http, session, serviceUser, compute }) };
}

test("a volume that a server uses is told by its attachment, asked at 2.89 with our own token", async (t) => {
  const { asked, servers } = await open(t, () => ({ status: 200, body: { volumeAttachment: { attachment_id: "a1" } } }));
  assert.equal(await servers.attachmentId(requester, server, volume), "a1");
  const { url, headers } = asked[0]!;
  assert.equal(url, `/v2.1/servers/${server}/os-volume_attachments/${volume}`);
  assert.equal(headers["openstack-api-version"], "compute 2.89");
  assert.deepEqual([headers["x-auth-token"], headers["x-service-token"]], ["own-1", "own-2"]);
  assert.equal(headers["x-openstack-request-id"], "req-2");
});

test("a server that does not use the volume, or is not there, uses nothing", async (t) => {
  const { servers } = await open(t, () => ({ status: 404 }));
  assert.equal(await servers.attachmentId(requester, server, volume), undefined);
});

test("an own token that Nova refuses is replaced once", async (t) => {
  const { servers } = await open(t, ({ headers }) => {
    return headers["x-auth-token"] === "own-1"
      ? { status: 401 }
      : { status: 200, body: { volumeAttachment: { attachment_id: "a1" } } };
  });
  assert.equal(await servers.attachmentId(requester, server, volume), "a1");
});

for (const answer of [{ status: 500 }, { status: 503 }, { status: 403 }, { status: 401 }, { status: 200 }]) {
  test(`the answer ${answer.status} without an attachment says nothing, which is not "no"`, async (t) => {
    const { servers } = await open(t, () => answer);
    const unavailable = (error: unknown): boolean => error instanceof AndironError && error.code === "nova_unavailable";
    await assert.rejects(servers.attachmentId(requester, server, volume), unavailable);
  });
}

test("an extension is an event for each server, and what Nova says of servers that are gone is no failure", async (t) => {
  const answers: Answer[] = [
    { status: 200, body: { events: [{ code: 200 }] } },
    { status: 207, body: { events: [{ code: 404 }, { code: 422 }] } },
    { status: 404 },
  ];
  const { asked, bodies, servers } = await open(t, () => answers[asked.length - 1]!);
  for (let count = 0; count < 3; count++) await servers.volumeExtended(requester, [server], volume);
  const { method, url, headers } = asked[0]!;
  assert.deepEqual([method, url], ["POST", "/v2.1/os-server-external-events"]);
  assert.equal(headers["openstack-api-version"], "compute 2.51");
  const events = [{ name: "volume-extended", server_uuid: server, tag: volume }];
  assert.deepEqual(JSON.parse(bodies[0]!), { events });
});

test("a new image is an event of its own, of the first microversion that has it", async (t) => {
  const { asked, bodies, servers } = await open(t, () => ({ status: 200, body: { events: [{ code: 200 }] } }));
  await servers.volumeReimaged(requester, [server], volume);
  assert.equal(asked[0]!.headers["openstack-api-version"], "compute 2.93");
  const events = [{ name: "volume-reimaged", server_uuid: server, tag: volume }];
  assert.deepEqual(JSON.parse(bodies[0]!), { events });
});

for (const answer of [{ status: 403 }, { status: 500 }, { status: 207, body: { events: [{ code: 200 }, { code: 400 }] } }]) {
  test(`an event that is answered ${answer.status} and not taken is a failure`, async (t) => {
    const { servers } = await open(t, () => answer);
    const unavailable = (error: unknown): boolean => error instanceof AndironError && error.code === "nova_unavailable";
    await assert.rejects(servers.volumeExtended(requester, [server], volume), unavailable);
  });
}
