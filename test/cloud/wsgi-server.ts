// Serves a WSGI script of an OpenStack service with Debian's uWSGI on a port of 127.0.0.1 that the kernel chooses, unless it is
// started again: clients have its URL then. One request at a time, unless options say otherwise: SQLite fails a transaction that
// has read, and then writes, when another one has written meanwhile. Resolves when the application is loaded.

import { readFile } from "node:fs/promises";
import { Daemon } from "./daemon.ts";

export interface WsgiOptions {
  /** The service's script, such as /usr/bin/glance-wsgi-api. */
  readonly script: string;
  readonly env: Readonly<Record<string, string>>;
  readonly logFile: string;
  /** Where it was before. */
  readonly url?: string;
  /** More of uWSGI's options. */
  readonly args?: readonly string[];
}

export interface WsgiServer {
  readonly daemon: Daemon;
  /** "http://127.0.0.1:PORT". */
  readonly url: string;
}

const options = [
  ["--plugin", "python3"],
  ["--listen", "64"],
  ["--buffer-size", "65535"],
  // It closes each connection: a client that is not told so may send its next request into one that is being closed.
  ["--add-header", "Connection: close"],
  ["--enable-threads", "--need-app", "--disable-logging"],
].flat();

export async function serveWsgi({ script, env, logFile, url, args = [] }: WsgiOptions): Promise<WsgiServer> {
  const address = `127.0.0.1:${url === undefined ? 0 : new URL(url).port}`;
  const before = (await readFile(logFile, "utf8").catch(() => "")).length;
  const started = ["--http-socket", address, ...options, ...args, "--wsgi-file", script];
  const daemon = new Daemon("uwsgi-core", started, { env, logFile });
  let port: string | undefined;
  try {
    await daemon.waitUntil(async () => {
      const log = (await readFile(logFile, "utf8")).slice(before);
      port = /bound to TCP address 127\.0\.0\.1:(\d+) /.exec(log)?.[1];
      return port !== undefined && /^WSGI app 0 \(mountpoint=''\) ready/m.test(log);
    });
  } catch (error) {
    await daemon.kill();
    throw error;
  }
  return { daemon, url: `http://127.0.0.1:${port}` };
}
