// A running API for tests: a real server on a free port over a real Cinder (its fixture), and a client that checks every
// answer against openapi.yaml. Used by test files only.

import assert from "node:assert/strict";
import type { TestContext } from "node:test";
import { fileURLToPath } from "node:url";
import { Agent, request } from "undici";
import { systemClock } from "../common/clock.ts";
import { type LogFields, type Logger, silentLogger } from "../common/log.ts";
import { systemRandom } from "../common/random.ts";
import { type CinderFixture, type FixtureOptions, openFixture } from "../cinder/cinder-fixture.ts";
import { type Authenticator, noAuth } from "./auth.ts";
import { type ApiDocument, loadApiDocument } from "./operations.ts";
import { type ApiServer, type ApiServerOptions, createApiServer } from "./server.ts";

export const documentPath = fileURLToPath(new URL("../../openapi.yaml", import.meta.url));

export interface Reply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
  /** The body as JSON; tests look into it freely. */
  readonly json: JsonReply;
}

/** JSON that tests walk through without a type for each answer; a leaf is compared, or read by textAt() or itemsAt(). */
export interface JsonReply {
  readonly [key: string]: JsonReply;
}

export function itemsAt(json: JsonReply, key: string): readonly JsonReply[] {
  const items: unknown = json[key];
  assert.ok(Array.isArray(items), `${key} is no list`);
  return items as readonly JsonReply[];
}

export function textAt(json: JsonReply | undefined, ...keys: readonly string[]): string {
  const value: unknown = keys.reduce<JsonReply | undefined>((inner, key) => inner?.[key], json);
  assert.equal(typeof value, "string", `${keys.join(".")} is no text`);
  return String(value);
}

export interface CallOptions {
  /** Microversion, such as "3.27". */
  readonly version?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent as JSON; a string is sent as it is. */
  readonly body?: unknown;
}

export interface ApiFixture extends CinderFixture {
  readonly url: string;
  readonly server: ApiServer;
  readonly document: ApiDocument;
  readonly errors: { readonly message: string; readonly fields: LogFields | undefined }[];
  readonly lines: string[];
  /** One request; the answer of a success is checked against the API description. One at a time. */
  call(method: string, path: string, options?: CallOptions): Promise<Reply>;
  /** The same in a project, with or without it in the URL, as `namesProject` says. */
  callIn(projectId: string, method: string, path: string, options?: CallOptions): Promise<Reply>;
  /** The same in the project demo; fails unless the status is `status`. */
  expect(status: number, method: string, path: string, options?: CallOptions): Promise<JsonReply>;
}

export interface ApiFixtureOptions extends FixtureOptions {
  readonly authenticator?: Authenticator;
  readonly server?: Partial<ApiServerOptions>;
  /** Whether URLs bear the project (the default); else a token of noauth does. */
  readonly namesProject?: boolean;
  /** Told of every answer of an operation, after it was checked. */
  readonly onAnswer?: (operationId: string, status: number) => void;
}

let loading: Promise<ApiDocument> | undefined;

/** openapi.yaml, read once a process. */
export function loadDocument(): Promise<ApiDocument> {
  return (loading ??= loadApiDocument(documentPath));
}

/** Ends with the test. */
export async function openApi(test: TestContext, options: ApiFixtureOptions = {}): Promise<ApiFixture> {
  const fixture = await openFixture(test, { quotas: { volumes: 1000, snapshots: 1000, gigabytes: 100_000 }, ...options });
  const errors: ApiFixture["errors"] = [];
  const lines: string[] = [];
  let lastOperation = "none";
  const log: Logger = {
    ...silentLogger,
    info: (message) => void lines.push(message),
    error: (message, fields) => void errors.push({ message, fields }),
    forRequest: () => log,
  };
  const document = await loadDocument();
  const server = createApiServer({
    listen: { host: "127.0.0.1", port: 0, option: "osapi_volume_listen_port" },
    document,
    publicEndpoint: "",
    parsesProxyHeaders: false,
    listLimitMax: 1000,
    bodyBytesMax: 114_688,
    disableByFilePath: "",
    cinder: fixture.cinder,
    authenticator: options.authenticator ?? noAuth,
    unfitReason: () => undefined,
    log,
    metrics: {
      requestDone: (operationId) => void (lastOperation = operationId),
      render: () => Promise.resolve({ contentType: "text/plain; version=0.0.4", text: "andiron_up 1\n" }),
    },
    clock: systemClock,
    random: systemRandom,
    ...options.server,
  });
  await server.start();
  test.after(() => server.stop());
  const agent = new Agent({ connections: 4 });
  test.after(() => agent.close());
  const url = `http://127.0.0.1:${server.port}`;

  const call = async (method: string, path: string, asked: CallOptions = {}): Promise<Reply> => {
    lastOperation = "none";
    const reply = await send(agent, method, url + path, asked);
    const operationId = lastOperation;
    if (operationId !== "none" && reply.status < 400) {
      const problem = document.checkResponse(operationId, reply.status, reply.status === 204 ? null : reply.json);
      assert.equal(problem, undefined, `${method} ${path}: ${problem} in ${reply.text}`);
    }
    if (operationId !== "none") options.onAnswer?.(operationId, reply.status);
    return reply;
  };
  const callIn: ApiFixture["callIn"] = (projectId, method, path, asked = {}) => {
    if (options.namesProject ?? true) return call(method, `/v3/${projectId}${path}`, asked);
    return call(method, `/v3${path}`, { ...asked, headers: { "x-auth-token": `admin:${projectId}`, ...asked.headers } });
  };
  const expect = async (status: number, method: string, path: string, asked?: CallOptions): Promise<JsonReply> => {
    const reply = await callIn("demo", method, path, asked);
    assert.equal(reply.status, status, `${method} ${path}: ${reply.text}`);
    return reply.json;
  };
  return { ...fixture, url, server, document, errors, lines, call, callIn, expect };
}

async function send(dispatcher: Agent, method: string, url: string, { version, headers, body }: CallOptions): Promise<Reply> {
  const response = await request(url, {
    dispatcher,
    method,
    headers: {
      ...(version === undefined ? {} : { "openstack-api-version": `volume ${version}` }),
      ...(body === undefined ? {} : { "content-type": "application/json" }),
      ...headers,
    },
    body: body === undefined ? null : typeof body === "string" ? body : JSON.stringify(body),
  });
  const text = await response.body.text();
  const isJson = String(response.headers["content-type"]).startsWith("application/json") && text !== "";
  return {
    status: response.statusCode,
    headers: response.headers,
    text,
    json: (isJson ? JSON.parse(text) : undefined) as JsonReply,
  };
}
