// Validating tokens against a Keystone that misbehaves on demand: what a real one cannot be made to do. The real one is in
// test/keystone.peer.test.ts.

import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { type TestContext, test } from "node:test";
import { systemClock } from "../common/clock.ts";
import { AndironError } from "../common/errors.ts";
import { ServiceHttp } from "./service-http.ts";
import { ServiceSession } from "./service-session.ts";
import { TokenCache } from "./token-cache.ts";
import { TokenValidator } from "./token-validator.ts";

const hourMs = 3_600_000;
const startMs = Date.parse("2026-01-01T00:00:00Z");

interface Answer {
  readonly status: number;
  readonly body?: unknown;
  readonly delayMs?: number;
}

class FakeKeystone {
  url = "";
  issued = 0;
  readonly validations: IncomingMessage[] = [];
  /** What a validation is answered. */
  answer: (request: IncomingMessage) => Answer = () => ({ status: 200, body: tokenBody() });
  issueStatus = 201;
  lifetimeMs = hourMs;
  nowMs = startMs;

  handle(request: IncomingMessage, response: ServerResponse): void {
    request.resume();
    if (request.method === "POST") {
      const endpoints = [{ interface: "internal", region_id: "R1", url: this.url }];
      const catalog = [{ type: "identity", endpoints }];
      const expires_at = new Date(this.nowMs + this.lifetimeMs).toISOString();
      const body = { token: { user: { id: "service" }, expires_at, roles: [], catalog } };
      response.writeHead(this.issueStatus, { "x-subject-token": `own-${++this.issued}` }).end(JSON.stringify(body));
      return;
    }
    this.validations.push(request);
    const { status, body, delayMs = 0 } = this.answer(request);
    setTimeout(() => response.writeHead(status).end(JSON.stringify(body ?? {})), delayMs);
  }
}

function tokenBody(expiresAtMs = startMs + hourMs): unknown {
  const project = { id: "p1", domain: { id: "default" } };
  const expires_at = new Date(expiresAtMs).toISOString();
  return { token: { user: { id: "u1", domain: { id: "default" } }, project, roles: [{ name: "Member" }], expires_at } };
}

interface Options {
  readonly cacheMs?: number;
  readonly retriesMax?: number;
  readonly region?: string;
}

async function open(t: TestContext, { cacheMs = 300_000, retriesMax = 0, region = "R1" }: Options = {}) {
  const keystone = new FakeKeystone();
  const server = createServer((request, response) => keystone.handle(request, response));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  keystone.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const time = { passedMs: 0 };
  const clock = {
    ...systemClock,
    wallMs: () => startMs + time.passedMs,
    monotonicMs: () => time.passedMs,
    sleep: () => Promise.resolve(),
  };
  const http = new ServiceHttp({
    caFile: "",
    insecure: false,
    timeoutMs: 2000,
    retriesMax,
    clock,
    service: "Keystone",
    failure: "keystone_unavailable",
  });
  t.after(async () => {
    await http.close();
    server.closeAllConnections();
    server.close();
  });
  const credentials = {
    auth_type: "password",
    auth_url: keystone.url,
    username: "andiron",
    password: "secret",
    user_domain_name: "Default",
    user_domain_id: "",
    project_name: "service",
    project_id: "",
    project_domain_name: "Default",
    project_domain_id: "",
    application_credential_id: "",
    application_credential_secret: "",
  } as const;
  const session = new ServiceSession({ http, credentials, clock, group: "keystone_authtoken" });
  const cache = new TokenCache(cacheMs, clock);
  const validator = new TokenValidator({ http, session, cache, clock, identity: { interface: "internalURL", region } });
  const pass = (ms: number): void => void (keystone.nowMs = startMs + (time.passedMs += ms));
  return { keystone, validator, server, session, pass };
}

const away = (error: unknown): boolean => error instanceof AndironError && error.code === "keystone_unavailable";

test("a good token is asked for once in its time in the cache, by 20 at once too", async (t) => {
  const { keystone, validator, pass } = await open(t);
  keystone.answer = () => ({ status: 200, body: tokenBody(), delayMs: 30 });
  const found = await Promise.all(Array.from({ length: 20 }, () => validator.validate("user-token")));
  assert.deepEqual(new Set(found.map((token) => token?.projectId)), new Set(["p1"]));
  assert.deepEqual(found[0]?.roles, ["member"]);
  assert.equal(keystone.validations.length, 1);
  assert.equal(keystone.issued, 1);
  const { headers, url } = keystone.validations[0]!;
  assert.equal(url, "/v3/auth/tokens?nocatalog=1");
  assert.deepEqual([headers["x-auth-token"], headers["x-subject-token"]], ["own-1", "user-token"]);
  pass(300_000);
  await validator.validate("user-token");
  assert.equal(keystone.validations.length, 2);
});

test("a bad token is asked for each time", async (t) => {
  const { keystone, validator } = await open(t);
  keystone.answer = () => ({ status: 404 });
  assert.equal(await validator.validate("bad"), undefined);
  keystone.answer = () => ({ status: 200, body: tokenBody() });
  assert.equal((await validator.validate("bad"))?.userId, "u1");
  assert.equal(keystone.validations.length, 2);
});

test("a cache time of -1 keeps nothing", async (t) => {
  const { keystone, validator } = await open(t, { cacheMs: -1000 });
  await validator.validate("user-token");
  await validator.validate("user-token");
  assert.equal(keystone.validations.length, 2);
});

test("a token that expires in the cache is bad from then on, but not for a request that a service vouches for", async (t) => {
  const { keystone, validator, pass } = await open(t);
  keystone.answer = () => ({ status: 200, body: tokenBody(startMs + 60_000) });
  assert.ok(await validator.validate("user-token"));
  pass(60_000);
  assert.equal(await validator.validate("user-token"), undefined);
  assert.ok(await validator.validate("user-token", { allowExpired: true }));
  assert.equal(keystone.validations.length, 1);
  await validator.validate("other", { allowExpired: true });
  assert.equal(keystone.validations[1]!.url, "/v3/auth/tokens?nocatalog=1&allow_expired=1");
});

test("the own token is renewed before it expires, while the old one is still used", async (t) => {
  const { keystone, session, pass } = await open(t);
  assert.equal(await session.token(), "own-1");
  pass(0.79 * hourMs);
  assert.equal(await session.token(), "own-1");
  pass(0.02 * hourMs);
  assert.equal(await session.token(), "own-1");
  while (keystone.issued < 2) await systemClock.sleep(5);
  while ((await session.token()) === "own-1") await systemClock.sleep(5);
  assert.equal(await session.token(), "own-2");
});

test("when the own token is refused another one is had, once", async (t) => {
  const { keystone, validator } = await open(t);
  keystone.answer = ({ headers }) => (headers["x-auth-token"] === "own-1" ? { status: 401 } : { status: 200, body: tokenBody() });
  assert.ok(await validator.validate("user-token"));
  keystone.answer = () => ({ status: 401 });
  await assert.rejects(validator.validate("another"), away);
  assert.equal(keystone.issued, 3);
});

test("whatever is no answer about the token is unavailable, and is not kept", async (t) => {
  const { keystone, validator } = await open(t);
  for (const answer of [{ status: 500 }, { status: 503 }, { status: 403 }, { status: 200, body: {} }, { status: 300 }]) {
    keystone.answer = () => answer;
    await assert.rejects(validator.validate("user-token"), away, JSON.stringify(answer));
  }
  keystone.answer = () => ({ status: 200, body: tokenBody() });
  assert.ok(await validator.validate("user-token"));
});

test("our own credentials refused, no endpoint in the region, nobody listening: unavailable, with a hint", async (t) => {
  const { keystone, validator, server } = await open(t);
  keystone.issueStatus = 401;
  await assert.rejects(
    validator.validate("t"),
    (error) => away(error) && /\[keystone_authtoken\]/.test((error as AndironError).hint ?? ""),
  );
  const elsewhere = await open(t, { region: "R2" });
  await assert.rejects(elsewhere.validator.validate("t"), /no internal endpoint of identity in region R2/);
  server.close();
  server.closeAllConnections();
  await assert.rejects(validator.validate("t"), away);
});

test("a Keystone that is away for a moment is asked again, as often as it may be", async (t) => {
  const { keystone, validator } = await open(t, { retriesMax: 2 });
  let failures = 2;
  keystone.answer = () => (failures-- > 0 ? { status: 503 } : { status: 200, body: tokenBody() });
  assert.ok(await validator.validate("user-token"));
  assert.equal(keystone.validations.length, 3);
});

test("what can be no token is refused without a question", async (t) => {
  const { keystone, validator } = await open(t);
  for (const token of ["", "a b", "a\u0000b", "é", "x".repeat(9000)]) assert.equal(await validator.validate(token), undefined);
  assert.equal(keystone.validations.length, 0);
});

test("the cache is bounded: what was not asked for the longest goes", () => {
  const cache = new TokenCache(1000, { ...systemClock, monotonicMs: () => 0 }, 2);
  const token = { userId: "u" } as unknown as Parameters<TokenCache["set"]>[1];
  for (const hash of ["a", "b"]) cache.set(hash, token);
  cache.get("a");
  cache.set("c", token);
  assert.deepEqual(
    ["a", "b", "c"].map((hash) => cache.get(hash) !== undefined),
    [true, false, true],
  );
});
