// Listening for NBD on TCP and Unix sockets. A Unix socket's file outlives a killed server: one that nobody answers at
// is removed and replaced, one that somebody answers at is somebody's.

import { unlink } from "node:fs/promises";
import { connect, createServer, type Server, type Socket } from "node:net";
import { AndironError } from "../common/errors.ts";

export type ListenAddress = { readonly host: string; readonly port: number } | { readonly path: string };

function listenOnce(server: Server, address: ListenAddress, backlog: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen({ ...address, backlog }, () => {
      server.off("error", reject);
      resolve();
    });
  });
}

/** True when a server accepts connections at `path`. */
function isServed(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = connect(path);
    probe.once("connect", () => {
      probe.destroy();
      resolve(true);
    });
    probe.once("error", (error: NodeJS.ErrnoException) => resolve(error.code !== "ECONNREFUSED"));
  });
}

function describe(address: ListenAddress): string {
  return "path" in address ? address.path : `${address.host}:${address.port}`;
}

/** Listens at `address`; `onConnection` gets sockets that have not been read. Throws config_invalid when it is taken. */
export async function listenAt(address: ListenAddress, onConnection: (socket: Socket) => void): Promise<Server> {
  const server = createServer({ pauseOnConnect: true, allowHalfOpen: true }, onConnection);
  const backlog = 511;
  try {
    await listenOnce(server, address, backlog);
  } catch (error) {
    const cause = error as NodeJS.ErrnoException;
    const hint = "stop what serves there, or configure another address";
    const stale = "path" in address && cause.code === "EADDRINUSE" && !(await isServed(address.path));
    if (!stale) throw new AndironError("config_invalid", `NBD can't listen at ${describe(address)}`, { cause, hint });
    await unlink(address.path);
    await listenOnce(server, address, backlog);
  }
  return server;
}
