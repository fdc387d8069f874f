// The client of Barbican against Debian's Barbican and Keystone: keys that are made, copied and deleted, and by whom not.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, before, describe, test } from "node:test";
import { type Barbican, prepareBarbican } from "../../test/cloud/barbican.ts";
import { missingCommand } from "../../test/harness/command.ts";
import { type Keystone, prepareKeystone } from "../../test/keystone/keystone.ts";
import { systemClock } from "../common/clock.ts";
import { AndironError, type ErrorCode } from "../common/errors.ts";
import { ServiceHttp } from "../keystone/service-http.ts";
import { type BarbicanAsker, BarbicanClient } from "./barbican-client.ts";

const missing = await missingCommand(["keystone-manage", "barbican-wsgi-api", "uwsgi-core"]);
const key = { algorithm: "aes", bitLength: 256 };

const is =
  (code: ErrorCode) =>
  (error: unknown): boolean => {
    assert.ok(error instanceof AndironError, String(error));
    assert.equal(error.code, code, error.message);
    return true;
  };

describe("a real Barbican", { skip: missing !== undefined && `${missing} is not installed`, timeout: 600_000 }, () => {
  let keystone: Keystone;
  let barbican: Barbican;
  let http: ServiceHttp;
  let client: BarbicanClient;
  const askers = new Map<string, BarbicanAsker>();

  const asker = (name: string): BarbicanAsker => askers.get(name)!;

  const secretOf = async (id: string, name: string): Promise<{ readonly status: number; readonly bytes: Buffer }> => {
    const headers = { "x-auth-token": asker(name).token!, accept: "application/octet-stream" };
    const reply = await fetch(`${barbican.url}/v1/secrets/${id}/payload`, { headers });
    return { status: reply.status, bytes: Buffer.from(await reply.arrayBuffer()) };
  };

  before(async () => {
    keystone = await prepareKeystone();
    barbican = await prepareBarbican(keystone);
    for (const [user, project, role] of [
      ["alice", "red", "member"],
      ["bob", "blue", "member"],
      ["rita", "red", "reader"],
      ["andiron", "service", "member"],
    ] as const) {
      await keystone.grant(user, project, role);
      askers.set(user, { token: await keystone.issue(user, project), requestId: `req-${randomUUID()}` });
    }
    const connection = { caFile: "", insecure: false, timeoutMs: 30_000, retriesMax: 0, clock: systemClock };
    http = new ServiceHttp({ ...connection, service: "Barbican", failure: "barbican_unavailable" });
    const root = (): Promise<string> => Promise.resolve(`${barbican.url}/v1`);
    client = new BarbicanClient({ http, root, orderLooksMax: 10, orderPauseMs: 200, clock: systemClock });
  });
  after(async () => {
    await http?.close();
    await barbican?.dispose();
    await keystone?.dispose();
  });

  test("a key is made, copied, and each is deleted by itself", async () => {
    const id = await client.create(asker("alice"), key);
    const { bytes } = await secretOf(id, "alice");
    assert.equal(bytes.length, 32);
    const copy = await client.copy(asker("alice"), asker("alice"), id);
    assert.notEqual(copy, id);
    await client.delete(asker("alice"), id);
    await client.delete(asker("alice"), id);
    assert.equal((await secretOf(id, "alice")).status, 404);
    assert.deepEqual((await secretOf(copy, "alice")).bytes, bytes);
    await client.delete(asker("alice"), copy);
  });

  test("a key is handed on to another project by two tokens, and nobody's alone is enough", async () => {
    const id = await client.create(asker("alice"), key);
    await assert.rejects(client.copy(asker("bob"), asker("bob"), id), is("key_refused"));
    const kept = await client.copy(asker("alice"), asker("andiron"), id);
    await assert.rejects(client.delete(asker("alice"), kept), is("key_refused"));
    const given = await client.copy(asker("andiron"), asker("bob"), kept);
    assert.deepEqual((await secretOf(given, "bob")).bytes, (await secretOf(id, "alice")).bytes);
    await client.delete(asker("andiron"), kept);
  });

  test("what Barbican refuses, has not, or cannot make", async () => {
    await assert.rejects(client.create(asker("rita"), key), is("key_refused"));
    await assert.rejects(client.create({ token: "forged", requestId: "req-1" }, key), is("key_refused"));
    await assert.rejects(client.create(asker("alice"), { algorithm: "aes", bitLength: 257 }), is("key_refused"));
    await assert.rejects(client.copy(asker("alice"), asker("alice"), randomUUID()), is("key_not_found"));
    await assert.rejects(client.copy(asker("alice"), asker("alice"), "../containers"), is("key_not_found"));
  });

  test("a Barbican that is away is away, and back again afterwards", async () => {
    const id = await client.create(asker("alice"), key);
    const { url } = barbican;
    await barbican.stop();
    const root = (): Promise<string> => Promise.resolve(`${url}/v1`);
    const lost = new BarbicanClient({ http, root, orderLooksMax: 10, orderPauseMs: 200, clock: systemClock });
    await assert.rejects(lost.create(asker("alice"), key), is("barbican_unavailable"));
    await assert.rejects(lost.delete(asker("alice"), id), is("barbican_unavailable"));
    await barbican.serve();
    await client.delete(asker("alice"), id);
  });
});
