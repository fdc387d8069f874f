// Tokens of Swift's auth v1 as a store uses them: one for all, had anew when it is refused or its time is nearly over, and
// listings that are none. The real Swift is in peers.peer.test.ts; this server refuses at will.

import assert from "node:assert/strict";
import { once } from "node:events";
import { type IncomingMessage, type ServerResponse, createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { type TestContext, test } from "node:test";
import { systemClock } from "../common/clock.ts";
import { systemRandom } from "../common/random.ts";
import { withCode } from "./contract.ts";
import type { ObjectStore } from "./object-store.ts";
import { openSwiftStore, parseSwiftList } from "./swift-store.ts";

interface FakeSwift {
  /** Tokens given out: "token-1", ... */
  issued: number;
  /** Whether a token is let in; by default the last one is. */
  accepts: (token: number) => boolean;
  authStatus: number;
  lifeSeconds: string;
  storageUrl: string;
  /** In place of an answer to a PUT of an object. */
  breakUploads: number;
  store: ObjectStore;
  passMs: (ms: number) => void;
}

/** `early` becomes the server's state, also when the opening fails. */
async function open(t: TestContext, early: Partial<FakeSwift> = {}): Promise<FakeSwift> {
  const defaults = { issued: 0, authStatus: 200, lifeSeconds: "1000", breakUploads: 0 };
  const fake = Object.assign(early, { ...defaults, ...early }) as FakeSwift;
  fake.accepts ??= (token) => token === fake.issued;
  const server = createServer((request, response) => answer(fake, request, response));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  fake.storageUrl ??= `${url}/v1/AUTH_a/`;
  let passedMs = 0;
  fake.passMs = (ms) => void (passedMs += ms);
  const monotonicMs = (): number => systemClock.monotonicMs() + passedMs;
  const clock = { ...systemClock, monotonicMs, sleep: () => Promise.resolve() };
  const auth = { kind: "v1", authUrl: `${url}/auth/v1.0`, user: "a:b", key: "s3cret" } as const;
  const options = { auth, container: "con", create: false, caFile: "", insecure: false };
  const store = await openSwiftStore(options, { clock, random: systemRandom });
  t.after(() => store.close());
  fake.store = store;
  return fake;
}

function answer(fake: FakeSwift, request: IncomingMessage, response: ServerResponse): void {
  request.resume();
  if (request.url === "/auth/v1.0") {
    const isKnown = request.headers["x-auth-user"] === "a:b" && request.headers["x-auth-key"] === "s3cret";
    const standing = { "x-auth-token": `token-${++fake.issued}`, "x-storage-url": fake.storageUrl };
    return void response
      .writeHead(isKnown ? fake.authStatus : 401, { ...standing, "x-auth-token-expires": fake.lifeSeconds })
      .end();
  }
  if (!fake.accepts(Number(String(request.headers["x-auth-token"]).replace("token-", ""))))
    return void response.writeHead(401).end();
  if (request.method === "PUT" && fake.breakUploads > 0) {
    fake.breakUploads--;
    return void request.socket.resetAndDestroy();
  }
  request.on("end", () => response.writeHead(request.method === "PUT" ? 201 : 200).end());
}

test("one token serves many requests, and is had anew when most of its time is over", async (t) => {
  const fake = await open(t);
  await Promise.all(Array.from({ length: 20 }, (_, index) => fake.store.put(`a-${index}`, Buffer.from("x"))));
  assert.equal(fake.issued, 1);
  fake.passMs(700_000);
  await fake.store.head("a-1");
  assert.equal(fake.issued, 1);
  fake.passMs(200_000);
  await Promise.all(Array.from({ length: 20 }, () => fake.store.head("a-1")));
  assert.equal(fake.issued, 2);
});

test("a refused token is had anew, once: two refusals are one too many", async (t) => {
  const fake = await open(t);
  fake.accepts = (token) => token === 2;
  await fake.store.head("a");
  assert.equal(fake.issued, 2);
  fake.accepts = () => false;
  await assert.rejects(fake.store.head("a"), withCode("store_refused"));
  assert.equal(fake.issued, 3);
});

test("an upload that breaks asks for another token: the refusal may have been lost", async (t) => {
  const fake = await open(t);
  fake.breakUploads = 1;
  await fake.store.put("a", Buffer.alloc(100_000));
  assert.equal(fake.issued, 2);
});

test("an authority that refuses ends it at once, one that is overloaded is asked again", async (t) => {
  for (const status of [401, 403, 302]) {
    const refusing: Partial<FakeSwift> = { authStatus: status };
    await assert.rejects(open(t, refusing), withCode("store_refused"));
    assert.equal(refusing.issued, 1);
  }
  const overloaded: Partial<FakeSwift> = { authStatus: 503 };
  await assert.rejects(open(t, overloaded), withCode("backend_unavailable"));
  assert.equal(overloaded.issued, 6);
  await assert.rejects(open(t, { storageUrl: "nowhere" }), withCode("store_refused"));
});

test("a listing that is none is told as such", () => {
  for (const text of ["", "{}", "[1]", '[{"name":"a"}]', '[{"name":1,"bytes":1}]', "<html>"])
    assert.throws(() => parseSwiftList(Buffer.from(text), 10), withCode("backend_unavailable"), text);
  const rows = '[{"name":"a","bytes":5,"hash":"x"},{"name":"b","bytes":0}]';
  const objects = [
    { name: "a", sizeBytes: 5 },
    { name: "b", sizeBytes: 0 },
  ];
  assert.deepEqual(parseSwiftList(Buffer.from(rows), 3), { objects, next: undefined });
  assert.deepEqual(parseSwiftList(Buffer.from(rows), 2), { objects, next: "b" });
});
