// The files that HTTPS needs: read when they are good, and told by option and path when they are not.

import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { type Certificates, makeCertificates } from "../../test/harness/certificates.ts";
import { missingCommand } from "../../test/harness/command.ts";
import { loadConfig } from "../common/config.ts";
import { readApiTls } from "./pem-files.ts";

const missing = await missingCommand(["openssl"]);

describe("the files of [ssl]", { skip: missing !== undefined && `${missing} is not installed` }, () => {
  let folder = "";
  let certificates: Certificates;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "andiron-pem-"));
    certificates = await makeCertificates(folder);
  });
  after(() => rm(folder, { recursive: true, force: true }));

  async function read(cert: string, key: string, ca = "", useSsl = true): ReturnType<typeof readApiTls> {
    const file = join(folder, "andiron.conf");
    const ssl = ["[ssl]", `cert_file = ${cert}`, `key_file = ${key}`, `ca_file = ${ca}`];
    await writeFile(file, ["[DEFAULT]", `osapi_volume_use_ssl = ${useSsl}`, ...ssl].join("\n"));
    return readApiTls(loadConfig({ files: [file], directories: [], hostname: "h", defaultStatePath: "/state" }));
  }

  test("good ones are read, the authority only when it is named", async () => {
    const { serverCertFile, serverKeyFile, authorityFile } = certificates;
    assert.deepEqual(Object.keys((await read(serverCertFile, serverKeyFile))!), ["cert", "key"]);
    assert.deepEqual(Object.keys((await read(serverCertFile, serverKeyFile, authorityFile))!), ["cert", "key", "clientCa"]);
    assert.equal(await read("/absent", "/absent", "", false), undefined, "nothing is read without osapi_volume_use_ssl");
  });

  test("a missing, broken or foreign one is told with option and path", async () => {
    const { serverCertFile, serverKeyFile, clientKeyFile } = certificates;
    const broken = join(folder, "broken.pem");
    await writeFile(broken, "-----BEGIN CERTIFICATE-----\nnothing\n-----END CERTIFICATE-----\n");
    const refused: readonly (readonly [readonly [string, string, string?], RegExp])[] = [
      [["/absent.pem", serverKeyFile], /^cannot read \[ssl\] cert_file "\/absent\.pem" \(ENOENT\)$/],
      [[serverCertFile, folder], /^cannot read \[ssl\] key_file ".*" \(EISDIR\)$/],
      [[broken, serverKeyFile], /^\[ssl\] cert_file ".*broken\.pem" holds no certificate in PEM$/],
      [[serverCertFile, serverCertFile], /^\[ssl\] key_file ".*" holds no private key in PEM without a passphrase$/],
      [[serverCertFile, clientKeyFile], /^\[ssl\] key_file ".*client-key\.pem" is not the key of \[ssl\] cert_file$/],
      [[serverCertFile, serverKeyFile, "/absent.pem"], /^cannot read \[ssl\] ca_file "\/absent\.pem" \(ENOENT\)$/],
      [[serverCertFile, serverKeyFile, broken], /^\[ssl\] ca_file ".*broken\.pem" holds no certificate in PEM$/],
    ];
    for (const [files, message] of refused) await assert.rejects(read(...files), { code: "config_invalid", message });
  });
});
