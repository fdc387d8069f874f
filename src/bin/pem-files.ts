// PEM files that options name: read and looked into at start, so that a wrong one is told with its option and its path, not
// by a handshake that fails later.

import { X509Certificate, createPrivateKey } from "node:crypto";
import { readFile } from "node:fs/promises";
import type { ApiTls } from "../api/server.ts";
import type { Config } from "../common/config.ts";
import { AndironError } from "../common/errors.ts";

/** Rejects with config_invalid; `option` is as in "[nbd] tls_cert_file". */
export async function readPemFile(option: string, path: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (cause) {
    const why = cause instanceof Error && "code" in cause ? ` (${String(cause.code)})` : "";
    throw new AndironError("config_invalid", `cannot read ${option} ${JSON.stringify(path)}${why}`, { cause });
  }
}

/** What the API serves HTTPS with; undefined without osapi_volume_use_ssl. Rejects with config_invalid. */
export async function readApiTls({ DEFAULT, ssl }: Config): Promise<ApiTls | undefined> {
  if (!DEFAULT.osapi_volume_use_ssl) return undefined;
  const cert = await readPemFile("[ssl] cert_file", ssl.cert_file);
  const key = await readPemFile("[ssl] key_file", ssl.key_file);
  const certificate = look("[ssl] cert_file", ssl.cert_file, "no certificate in PEM", () => new X509Certificate(cert));
  const secret = look("[ssl] key_file", ssl.key_file, "no private key in PEM without a passphrase", () => createPrivateKey(key));
  if (!certificate.checkPrivateKey(secret)) {
    throw new AndironError("config_invalid", `${name("[ssl] key_file", ssl.key_file)} is not the key of [ssl] cert_file`);
  }
  if (ssl.ca_file === "") return { cert, key };
  const clientCa = await readPemFile("[ssl] ca_file", ssl.ca_file);
  look("[ssl] ca_file", ssl.ca_file, "no certificate in PEM", () => new X509Certificate(clientCa));
  return { cert, key, clientCa };
}

function look<T>(option: string, path: string, problem: string, read: () => T): T {
  try {
    return read();
  } catch (cause) {
    throw new AndironError("config_invalid", `${name(option, path)} holds ${problem}`, { cause });
  }
}

const name = (option: string, path: string): string => `${option} ${JSON.stringify(path)}`;
