// undici comes with the first request, and not before; certificates are asked for at once.

import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { HttpAgent } from "./http-agent.ts";

const loaded = createRequire(import.meta.url).cache;
const isUndiciLoaded = (): boolean => Object.keys(loaded).some((path) => path.includes("/node_modules/undici/"));
const trust = { caFile: "", insecure: false };

test("undici is loaded by the first request", async () => {
  const server = createServer((_request, response) => response.end("hello")).listen(0, "127.0.0.1");
  await once(server, "listening");
  const agent = new HttpAgent(trust, "cafile", { connections: 1 });
  const idle = new HttpAgent(trust, "cafile", {});
  try {
    await idle.close();
    assert.equal(isUndiciLoaded(), false);
    const { port } = server.address() as AddressInfo;
    const answer = await agent.request(`http://127.0.0.1:${port}/`, { method: "GET" });
    assert.equal(await answer.body.text(), "hello");
    assert.equal(isUndiciLoaded(), true);
  } finally {
    await agent.close();
    server.close();
  }
});

test("a file of authorities that is not there is said at once, with its option", () => {
  assert.throws(() => new HttpAgent({ ...trust, caFile: "/no/such.pem" }, "glance_ca_certificates_file", {}), {
    code: "config_invalid",
    message: /glance_ca_certificates_file \/no\/such\.pem/,
  });
});
