// The API over TLS, as a client sees it: HTTPS links, TLS 1.2 at least, clients' certificates where they are asked for, and
// a start that fails by name when a file is not good.

import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { type Certificates, makeCertificates } from "./harness/certificates.ts";
import { missingCommand, run, runOk } from "./harness/command.ts";
import { type AndironProcess, prepareAndiron } from "./harness/service.ts";

const missing = await missingCommand(["openssl", "curl"]);

describe("the API over TLS", { skip: missing !== undefined && `${missing} is not installed`, timeout: 300_000 }, () => {
  let folder = "";
  let certificates: Certificates;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "andiron-tls-"));
    certificates = await makeCertificates(folder);
  });
  after(() => rm(folder, { recursive: true, force: true }));

  async function prepare(ssl: Readonly<Record<string, string>>): Promise<AndironProcess> {
    const { serverCertFile, serverKeyFile } = certificates;
    const files = { cert_file: serverCertFile, key_file: serverKeyFile, ...ssl };
    return prepareAndiron({ DEFAULT: { osapi_volume_use_ssl: true }, ssl: files });
  }

  function urlOf({ endpoints: { api } }: AndironProcess): string {
    assert.equal(api.scheme, "https");
    return `https://${api.host}:${api.port}`;
  }

  const curl = (...args: readonly string[]): Promise<string> =>
    runOk("curl", ["-sS", "--cacert", certificates.authorityFile, ...args]);

  test("links are https, and nothing older than TLS 1.2 is spoken", async () => {
    const service = await prepare({});
    try {
      await service.start();
      const url = urlOf(service);
      const { versions } = JSON.parse(await curl(`${url}/`)) as { versions: { links: { rel: string; href: string }[] }[] };
      assert.equal(versions[0]!.links.find(({ rel }) => rel === "self")?.href, `${url}/v3/`);
      const given = ["-H", "Content-Type: application/json", "-d", '{"volume":{"size":1}}'];
      const { volume } = JSON.parse(await curl(...given, `${url}/v3/demo/volumes`)) as { volume: { links: { href: string }[] } };
      assert.ok(volume.links[0]!.href.startsWith(`${url}/v3/demo/volumes/`));
      assert.equal(await curl(`${url}/healthcheck`), "OK");
      const speak = async (version: string): Promise<string> => {
        const { host, port } = service.endpoints.api;
        // Debian's OpenSSL offers the old versions only at a lower security level.
        const args = ["s_client", "-connect", `${host}:${port}`, `-${version}`, "-cipher", "DEFAULT:@SECLEVEL=0"];
        const { stdout } = await run("openssl", args);
        return /^New, (\S+), Cipher is/m.exec(stdout)?.[1] ?? "none";
      };
      assert.deepEqual([await speak("tls1_1"), await speak("tls1_2"), await speak("tls1_3")], ["(NONE)", "TLSv1.2", "TLSv1.3"]);
      const plain = await run("curl", ["-sS", url.replace("https", "http")]);
      assert.notEqual(plain.code, 0, "no plain HTTP on the same port");
      assert.equal(await service.stop(), 0);
    } finally {
      await service.dispose();
    }
  });

  test("with ca_file only clients with a certificate of that authority are served", async () => {
    const { authorityFile, clientCertFile, clientKeyFile } = certificates;
    const service = await prepare({ ca_file: authorityFile });
    try {
      await service.start();
      const url = `${urlOf(service)}/healthcheck`;
      const stranger = await run("curl", ["-sS", "--cacert", authorityFile, url]);
      assert.notEqual(stranger.code, 0);
      assert.match(stranger.stderr, /certificate required/);
      assert.equal(await curl("--cert", clientCertFile, "--key", clientKeyFile, url), "OK");
    } finally {
      await service.dispose();
    }
  });

  test("a file that is missing or wrong ends the start, and the log names it", async () => {
    const broken = join(folder, "broken.pem");
    await writeFile(broken, "not PEM");
    for (const [ssl, message] of [
      [{ cert_file: "" }, /andiron\.conf:\d+: \[ssl\] cert_file: must be set: osapi_volume_use_ssl = true/],
      [{ key_file: join(folder, "absent.pem") }, /cannot read \[ssl\] key_file ".*absent\.pem" \(ENOENT\)/],
      [{ cert_file: broken }, /\[ssl\] cert_file ".*broken\.pem" holds no certificate in PEM/],
    ] as const) {
      const service = await prepare(ssl);
      try {
        await assert.rejects(service.start(), /the service did not start/);
        assert.match(await readFile(join(service.folder, "andiron.log"), "utf8"), message);
      } finally {
        await service.dispose();
      }
    }
  });
});
