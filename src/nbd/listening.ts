// Listening for NBD on TCP and Unix sockets; common/listen.ts says who sits there when the place is taken.

import { createServer, type Server, type Socket } from "node:net";
import { listenOnPort, listenOnSocket } from "../common/listen.ts";

export type ListenAddress = { readonly host: string; readonly port: number } | { readonly path: string };

/**
 * Listens at `address`; `onConnection` gets sockets that have not been read. Rejects with address_in_use when it is taken,
 * config_invalid when it can't be listened at.
 */
export async function listenAt(address: ListenAddress, onConnection: (socket: Socket) => void): Promise<Server> {
  const server = createServer({ pauseOnConnect: true, allowHalfOpen: true }, onConnection);
  if ("path" in address) await listenOnSocket(server, address.path, "[nbd] unix_socket");
  else await listenOnPort(server, { ...address, option: "[nbd] port" });
  return server;
}
