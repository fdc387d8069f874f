// TLS to an object store: whose certificate is trusted, and that no token goes where there is none. Certificates are openssl's.

import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { type IncomingMessage, type ServerResponse } from "node:http";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { makeCertificates } from "../../test/harness/certificates.ts";
import { systemClock } from "../common/clock.ts";
import { systemRandom } from "../common/random.ts";
import { withCode } from "./contract.ts";
import type { ObjectStore } from "./object-store.ts";
import { openS3Store } from "./s3-store.ts";
import { openSwiftStore } from "./swift-store.ts";

test("a certificate is trusted by caFile or by insecure, and TLS is not left for a URL without", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "andiron-object-tls-"));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const { authorityFile, serverCertFile, serverKeyFile } = await makeCertificates(folder);
  const [cert, key] = [await readFile(serverCertFile), await readFile(serverKeyFile)];
  let storageUrl = "";
  const server = createServer({ cert, key }, (request: IncomingMessage, response: ServerResponse) => {
    request.resume();
    response.writeHead(200, { "x-auth-token": "token", "x-storage-url": storageUrl }).end();
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const endpoint = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const timing = { clock: { ...systemClock, sleep: () => Promise.resolve() }, random: systemRandom };
  const openS3 = (caFile: string, insecure: boolean): Promise<ObjectStore> => {
    const credentials = { accessKey: "key", secretKey: "secret", region: "us-east-1" };
    const where = { endpoint, credentials, bucket: "bucket", create: false, conditionalPut: "server" } as const;
    return openS3Store({ ...where, caFile, insecure }, timing);
  };
  await assert.rejects(openS3("", false), withCode("backend_unavailable"));
  await (await openS3(authorityFile, false)).close();
  await (await openS3("", true)).close();
  await assert.rejects(openS3(join(folder, "absent.pem"), false), withCode("config_invalid"));

  const openSwift = (): Promise<ObjectStore> => {
    const auth = { kind: "v1", authUrl: `${endpoint}/auth/v1.0`, user: "a:b", key: "secret" } as const;
    return openSwiftStore({ auth, container: "con", create: false, caFile: authorityFile, insecure: false }, timing);
  };
  storageUrl = `${endpoint.replace("https:", "http:")}/v1/AUTH_a`;
  await assert.rejects(openSwift(), withCode("store_refused"));
  storageUrl = `${endpoint}/v1/AUTH_a`;
  await (await openSwift()).close();
});
