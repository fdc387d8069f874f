// The client of Glance against a server of the test's own that breaks off, lies, sends too much and goes away. What a real
// Glance answers is in glance-client.peer.test.ts.

import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { type TestContext, test } from "node:test";
import { systemClock } from "../common/clock.ts";
import { AndironError, type ErrorCode } from "../common/errors.ts";
import { seededRandom } from "../common/random.ts";
import { ServiceHttp } from "../keystone/service-http.ts";
import { GlanceClient } from "./glance-client.ts";
import { GlanceHttp } from "./glance-http.ts";

const id = "11111111-1111-4111-8111-111111111111";
const asker = { token: "a-secret-token", requestId: "req-1" };
const content = seededRandom(1).bytes(300_000);

type Answer = (request: IncomingMessage, response: ServerResponse, count: number) => void;

interface Rig {
  readonly client: GlanceClient;
  readonly asked: IncomingMessage[];
  /** All bytes of the image from `offset` on. */
  read(offset?: number, sizeBytes?: number): Promise<Buffer>;
}

async function listen(t: TestContext, answer: Answer, asked: IncomingMessage[]): Promise<string> {
  const server = createServer((request, response) => {
    asked.push(request);
    answer(request, response, asked.length);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** The first server of the list is `before`, if any. */
async function open(t: TestContext, answer: Answer, { retriesMax = 3, timeoutMs = 5000, before = "" } = {}): Promise<Rig> {
  const asked: IncomingMessage[] = [];
  const url = await listen(t, answer, asked);
  const connection = { caFile: "", insecure: false, timeoutMs };
  const service = { clock: systemClock, service: "Glance", failure: "glance_unavailable", retriesMax: 0 } as const;
  const [http, bytes] = [new ServiceHttp({ ...connection, ...service }), new GlanceHttp(connection)];
  t.after(() => Promise.all([http.close(), bytes.close()]));
  const servers = async (): Promise<string[]> => [...(before === "" ? [] : [before]), `${url}/v2/`];
  const client = new GlanceClient({ http, bytes, servers, retriesMax, clock: systemClock });
  const read = async (offset = 0, sizeBytes = content.length): Promise<Buffer> => {
    const pieces: Buffer[] = [];
    const { signal } = new AbortController();
    for await (const piece of client.read(asker, { id, sizeBytes, offset, signal })) pieces.push(piece);
    return Buffer.concat(pieces);
  };
  return { client, asked, read };
}

const is =
  (code: ErrorCode) =>
  (error: unknown): boolean => {
    assert.ok(error instanceof AndironError, String(error));
    assert.equal(error.code, code, error.message);
    assert.ok(!error.message.includes(asker.token));
    return true;
  };

/** Sends `bytes` and breaks the connection, with more of them promised. */
function breakAfter(response: ServerResponse, bytes: Buffer): void {
  response.write(bytes, () => setTimeout(() => response.destroy(), 20));
}

const offsetOf = (request: IncomingMessage): number => Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? "bytes=0-")![1]);

function sendRange(request: IncomingMessage, response: ServerResponse): void {
  const offset = offsetOf(request);
  const range = { "content-range": `bytes ${offset}-${content.length - 1}/${content.length}` };
  response.writeHead(offset === 0 ? 200 : 206, offset === 0 ? {} : range).end(content.subarray(offset));
}

test("a stream that breaks goes on where it broke", async (t) => {
  const rig = await open(t, (request, response, count) => {
    if (count > 4) return sendRange(request, response);
    const offset = offsetOf(request);
    const range = { "content-range": `bytes ${offset}-${content.length - 1}/${content.length}` };
    response.writeHead(offset === 0 ? 200 : 206, { "content-length": content.length - offset, ...range });
    breakAfter(response, content.subarray(offset, offset + 40_000));
  });
  assert.deepEqual(await rig.read(), content);
  assert.deepEqual(
    rig.asked.map((request) => request.headers["x-auth-token"]),
    Array(5).fill(asker.token),
  );
  const offsets = rig.asked.map(offsetOf);
  assert.ok(
    offsets.every((offset, index) => index === 0 || offset > offsets[index - 1]!),
    String(offsets),
  );
});

test("a server without Range sends all again, and what is known is skipped", async (t) => {
  const rig = await open(t, (_request, response, count) => {
    response.writeHead(200, { "content-length": content.length });
    if (count === 1) return breakAfter(response, content.subarray(0, 70_000));
    response.end(content);
  });
  assert.deepEqual(await rig.read(), content);
  assert.equal(rig.asked.length, 2);
  assert.deepEqual(await rig.read(100_000), content.subarray(100_000));
});

test("an answer of an earlier range is cut, one of a later range or of none is not taken", async (t) => {
  let range = "bytes 5-299999/300000";
  const rig = await open(
    t,
    (_request, response) => {
      response.writeHead(206, { "content-range": range }).end(content.subarray(5));
    },
    { retriesMax: 1 },
  );
  assert.deepEqual(await rig.read(10), content.subarray(10));
  for (range of ["bytes 11-299999/300000", "nonsense"]) await assert.rejects(rig.read(10), is("glance_unavailable"));
});

test("more bytes than Glance said are refused, fewer are asked for again and then given up", async (t) => {
  const rig = await open(t, sendRange, { retriesMax: 1 });
  await assert.rejects(rig.read(0, content.length - 1), is("image_unacceptable"));
  assert.equal(rig.asked.length, 1);
  const short = await open(t, (_request, response) => void response.end("abc"), { retriesMax: 1 });
  await assert.rejects(short.read(0, 4), is("glance_unavailable"));
  assert.equal(short.asked.length, 2);
});

test("an endless stream ends at the size that Glance said", async (t) => {
  const rig = await open(t, (_request, response) => {
    const more = (): void => void response.write(Buffer.alloc(65_536), more);
    response.on("error", () => undefined);
    more();
  });
  await assert.rejects(rig.read(0, 1_000_000), is("image_unacceptable"));
});

test("a server that falls silent in the middle is left", async (t) => {
  const rig = await open(
    t,
    (request, response, count) => {
      if (count > 1) return sendRange(request, response);
      response.writeHead(200, { "content-length": content.length }).write(content.subarray(0, 1000));
    },
    { timeoutMs: 300 },
  );
  assert.deepEqual(await rig.read(), content);
});

test("reading ends with its signal, also while it waits", async (t) => {
  const rig = await open(t, (_request, response) => void response.writeHead(200).write("abc"));
  const controller = new AbortController();
  const reading = rig.client.read(asker, { id, sizeBytes: 10, offset: 0, signal: controller.signal });
  assert.equal((await reading.next()).value?.toString(), "abc");
  const next = reading.next();
  controller.abort(new Error("enough"));
  await assert.rejects(next, /enough/);
});

test("statuses are what they mean, for descriptions and bytes", async (t) => {
  let status = 0;
  const rig = await open(t, (_request, response) => void response.writeHead(status).end("{}"), { retriesMax: 0 });
  const meanings = { 404: "image_not_found", 403: "image_forbidden", 401: "image_forbidden", 500: "glance_unavailable" } as const;
  for (const [code, meaning] of Object.entries({ ...meanings, 503: "glance_unavailable", 302: "glance_unavailable" } as const)) {
    status = Number(code);
    await assert.rejects(rig.client.show(asker, id), is(meaning));
    await assert.rejects(rig.read(), is(meaning));
  }
  status = 200;
  await assert.rejects(rig.client.show(asker, id), is("glance_unavailable"));
});

test("a server that is away is passed over, for descriptions and bytes", async (t) => {
  const gone = createServer();
  gone.listen(0, "127.0.0.1");
  await once(gone, "listening");
  const { port } = gone.address() as AddressInfo;
  gone.close();
  await once(gone, "close");
  const answer: Answer = (request, response) => {
    if (request.url!.endsWith("/file")) return sendRange(request, response);
    response.end(JSON.stringify({ id, status: "active" }));
  };
  const rig = await open(t, answer, { before: `http://127.0.0.1:${port}` });
  assert.equal((await rig.client.show(asker, id)).status, "active");
  assert.deepEqual(await rig.read(), content);
  assert.deepEqual(
    rig.asked.map(({ url }) => url),
    [`/v2/images/${id}`, `/v2/images/${id}/file`],
  );
});

test("a new image whose answer was lost is not made twice, and bytes are sent once", async (t) => {
  const seen: string[] = [];
  const rig = await open(t, (request, response, count) => {
    seen.push(`${request.method} ${request.url}`);
    request.resume();
    if (request.method === "PUT") response.writeHead(503).end();
    else if (request.method === "GET") response.end(JSON.stringify({ id, status: "queued" }));
    else if (count === 1) response.destroy();
    else response.writeHead(409).end("{}");
  });
  const properties = { hw_disk_bus: "virtio" };
  const image = { id, name: "n", diskFormat: "raw", containerFormat: "bare", visibility: "private", isProtected: false } as const;
  const made = await rig.client.create(asker, { ...image, minDiskGib: 0, minRamMib: 0, properties });
  assert.equal(made.status, "queued");
  const { signal } = new AbortController();
  const some = async function* (): AsyncGenerator<Uint8Array> {
    yield content;
  };
  await assert.rejects(rig.client.upload(asker, id, some(), signal), is("glance_unavailable"));
  const base = "/v2/images";
  assert.deepEqual(seen, [`POST ${base}`, `POST ${base}`, `GET ${base}/${id}`, `PUT ${base}/${id}/file`]);
});
