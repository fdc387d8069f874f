// A private HAProxy in front of one service, as a cloud has it: it ends TLS and serves the API below a prefix. It dies with
// the test's process.

import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Daemon } from "../cloud/daemon.ts";
import type { Certificates } from "./certificates.ts";
import { run } from "./command.ts";

export interface ProxyOptions {
  /** Gets configuration, key and log. */
  readonly folder: string;
  readonly certificates: Certificates;
  /** From findFreePort(). */
  readonly port: number;
  /** Where the requests go: "127.0.0.1:8776". */
  readonly target: string;
  /** Whether the service behind speaks TLS too. */
  readonly targetTls?: boolean;
  /** "/volume". */
  readonly prefix: string;
  /** Whether the prefix is taken away, and told in a header. */
  readonly strips: boolean;
}

export interface Proxy {
  /** "https://127.0.0.1:PORT/volume". */
  readonly url: string;
  stop(): Promise<void>;
}

/** Resolves once it answers. */
export async function startProxy(options: ProxyOptions): Promise<Proxy> {
  const { folder, certificates, port, prefix } = options;
  const pem = join(folder, "haproxy.pem");
  const [cert, key] = await Promise.all([readFile(certificates.serverCertFile), readFile(certificates.serverKeyFile)]);
  await writeFile(pem, Buffer.concat([cert, key]), { mode: 0o600 });
  const file = join(folder, "haproxy.cfg");
  await writeFile(file, describe(options, pem));
  const daemon = new Daemon("haproxy", ["-db", "-f", file], { logFile: join(folder, "haproxy.log") });
  await daemon.waitUntil(async () => (await run("curl", ["-sk", "-o", "/dev/null", `https://127.0.0.1:${port}/`])).code === 0);
  return { url: `https://127.0.0.1:${port}${prefix}`, stop: () => daemon.kill() };
}

function describe({ port, target, targetTls, prefix, strips, certificates }: ProxyOptions, pem: string): string {
  const secure = targetTls === true ? ` ssl verify required ca-file ${certificates.authorityFile}` : "";
  const stripping = [
    `  http-request set-header X-Forwarded-Prefix ${prefix}`,
    `  http-request replace-path ^${prefix}/?(.*)$ /\\1`,
  ];
  return [
    "global",
    "  maxconn 200",
    "  tune.bufsize 65536", // so that the service's own limit on heads is the first to be met
    "defaults",
    "  mode http",
    "  timeout connect 30s",
    "  timeout client 120s",
    "  timeout server 120s",
    "frontend cloud",
    `  bind 127.0.0.1:${port} ssl crt ${pem} ssl-min-ver TLSv1.2`,
    "  http-request del-header Forwarded",
    "  http-request set-header X-Forwarded-Proto https",
    "  http-request set-header X-Forwarded-Host %[req.hdr(host)]",
    "  http-request set-header X-Forwarded-For %[src]",
    "  http-request del-header X-Forwarded-Port",
    "  http-request del-header X-Forwarded-Prefix",
    `  http-request return status 404 unless { path ${prefix} } or { path_beg ${prefix}/ }`,
    "  default_backend storage",
    "backend storage",
    ...(strips ? stripping : []),
    `  server andiron ${target}${secure}`,
    "",
  ].join("\n");
}
