// TLS to another service: whose certificate is trusted, and answers that are too long. Certificates are made by openssl.

import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { makeCertificates } from "../../test/harness/certificates.ts";
import { systemClock } from "../common/clock.ts";
import { AndironError } from "../common/errors.ts";
import { ServiceHttp } from "./service-http.ts";

test("a certificate is trusted by cafile or by insecure, and a long answer is cut off", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "andiron-service-http-"));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const { clientFolder, serverCertFile, serverKeyFile } = await makeCertificates(folder);
  const [cert, key] = [await readFile(serverCertFile), await readFile(serverKeyFile)];
  const server = createServer({ cert, key }, (request, response) => {
    response.end(request.url === "/long" ? Buffer.alloc(5 * 1024 * 1024) : '{"a":1}');
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const clients: ServiceHttp[] = [];
  const open = (caFile: string, insecure: boolean): ServiceHttp => {
    const options = { caFile, insecure, timeoutMs: 5000, retriesMax: 0, clock: systemClock, service: "Keystone" };
    clients.push(new ServiceHttp({ ...options, failure: "keystone_unavailable" }));
    return clients.at(-1)!;
  };
  t.after(async () => {
    for (const client of clients) await client.close();
    server.closeAllConnections();
    server.close();
  });
  const away = (error: unknown): boolean => error instanceof AndironError && error.code === "keystone_unavailable";
  await assert.rejects(open("", false).send({ method: "GET", url }), away);
  const trusting = open(join(clientFolder, "ca-cert.pem"), false);
  assert.deepEqual((await trusting.send({ method: "GET", url })).body, { a: 1 });
  assert.deepEqual((await open("", true).send({ method: "GET", url })).body, { a: 1 });
  await assert.rejects(trusting.send({ method: "GET", url: `${url}/long` }), away);
  assert.throws(() => open(join(folder, "absent.pem"), false), /cannot read the cafile .*absent\.pem/);
});
