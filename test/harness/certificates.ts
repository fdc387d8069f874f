// X.509 certificates for tests, made by openssl in a folder of the test: an authority, a server for 127.0.0.1, a client. The
// authority's file name is the one that libnbd and QEMU look for in a directory of credentials.

import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { runOk } from "./command.ts";

export interface Certificates {
  /** For clients: holds ca-cert.pem. */
  readonly clientFolder: string;
  readonly authorityFile: string;
  readonly serverCertFile: string;
  readonly serverKeyFile: string;
  readonly clientCertFile: string;
  readonly clientKeyFile: string;
}

/** Makes an authority and the certificates below `folder`, valid for a day. */
export async function makeCertificates(folder: string): Promise<Certificates> {
  const clientFolder = join(folder, "client-tls");
  await mkdir(clientFolder, { mode: 0o700 });
  const authorityKey = join(folder, "ca-key.pem");
  const authority = join(clientFolder, "ca-cert.pem");
  const key = ["-newkey", "rsa:2048", "-nodes"];
  const authorityUsage = ["-addext", "keyUsage=critical,keyCertSign,cRLSign"];
  const authoritySubject = ["-subj", "/CN=andiron test authority", "-days", "1"];
  await runOk("openssl", [
    "req",
    "-x509",
    ...key,
    ...authorityUsage,
    ...authoritySubject,
    "-keyout",
    authorityKey,
    "-out",
    authority,
  ]);
  const sign = async (name: string, subject: string, extensions: string): Promise<{ cert: string; key: string }> => {
    const made = { cert: join(folder, `${name}-cert.pem`), key: join(folder, `${name}-key.pem`) };
    const [request, extensionFile] = [join(folder, `${name}.csr`), join(folder, `${name}.ext`)];
    await runOk("openssl", ["req", ...key, "-subj", subject, "-keyout", made.key, "-out", request]);
    await writeFile(extensionFile, extensions);
    const signing = ["-CA", authority, "-CAkey", authorityKey, "-CAcreateserial", "-days", "1", "-extfile", extensionFile];
    await runOk("openssl", ["x509", "-req", "-in", request, ...signing, "-out", made.cert]);
    return made;
  };
  const names = "subjectAltName=IP:127.0.0.1,DNS:localhost,DNS:127.0.0.1";
  const server = await sign("server", "/CN=127.0.0.1", `${names}\nextendedKeyUsage=serverAuth\n`);
  const client = await sign("client", "/CN=client", "extendedKeyUsage=clientAuth\n");
  return {
    clientFolder,
    authorityFile: authority,
    serverCertFile: server.cert,
    serverKeyFile: server.key,
    clientCertFile: client.cert,
    clientKeyFile: client.key,
  };
}
