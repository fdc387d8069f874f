// Serves a WSGI script of an OpenStack service with Debian's uWSGI on a port of 127.0.0.1 that the kernel chooses. One request
// at a time, unless options say otherwise: SQLite fails a transaction that has read, and then writes, when another one has
// written meanwhile. Resolves when the application is loaded.

import { readFile } from "node:fs/promises";
import { Daemon } from "./daemon.ts";

export interface WsgiOptions {
  /** The service's script, such as /usr/bin/glance-wsgi-api. */
  readonly script: string;
  readonly env: Readonly<Record<string, string>>;
  readonly logFile: string;
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
  ["--http-socket", "127.0.0.1:0"],
  ["--listen", "64"],
  ["--buffer-size", "65535"],
  // It closes each connection: a client that is not told so may send its next request into one that is being closed.
  ["--add-header", "Connection: close"],
  ["--enable-threads", "--need-app", "--disable-logging"],
].flat();

export async function serveWsgi({ script, env, logFile, args = [] }: WsgiOptions): Promise<WsgiServer> {
  const daemon = new Daemon("uwsgi-core", [...options, ...args, "--wsgi-file", script], { env, logFile });
  let port: string | undefined;
  try {
    await daemon.waitUntil(async () => {
      const log = await readFile(logFile, "utf8");
      port = /bound to TCP address 127\.0\.0\.1:(\d+) \(port auto-assigned\)/.exec(log)?.[1];
      return port !== undefined && /^WSGI app 0 \(mountpoint=''\) ready/m.test(log);
    });
  } catch (error) {
    await daemon.kill();
    throw error;
  }
  return { daemon, url: `http://127.0.0.1:${port}` };
}
