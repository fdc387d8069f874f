// X.509 certificates for tests, made by openssl in a folder of the test: an authority and a server for 127.0.0.1. The file
// names are those that libnbd and QEMU look for in a directory of credentials.

import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { runOk } from "./command.ts";

export interface Certificates {
  /** For clients: holds ca-cert.pem. */
  readonly clientFolder: string;
  readonly serverCertFile: string;
  readonly serverKeyFile: string;
}

/** Makes an authority and a server certificate below `folder`, valid for a day. */
export async function makeCertificates(folder: string): Promise<Certificates> {
  const clientFolder = join(folder, "client-tls");
  await mkdir(clientFolder, { mode: 0o700 });
  const authorityKey = join(folder, "ca-key.pem");
  const authority = join(clientFolder, "ca-cert.pem");
  const serverKeyFile = join(folder, "server-key.pem");
  const serverCertFile = join(folder, "server-cert.pem");
  const request = join(folder, "server.csr");
  const extensions = join(folder, "server.ext");
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
  await runOk("openssl", ["req", ...key, "-subj", "/CN=127.0.0.1", "-keyout", serverKeyFile, "-out", request]);
  await writeFile(extensions, "subjectAltName=IP:127.0.0.1,DNS:localhost,DNS:127.0.0.1\nextendedKeyUsage=serverAuth\n");
  const signing = ["-CA", authority, "-CAkey", authorityKey, "-CAcreateserial", "-days", "1", "-extfile", extensions];
  await runOk("openssl", ["x509", "-req", "-in", request, ...signing, "-out", serverCertFile]);
  return { clientFolder, serverCertFile, serverKeyFile };
}
