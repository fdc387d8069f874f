// Binds a server to an address or a Unix socket, and says in the operator's words why it could not: which option named the
// address, and which process sits there (read from /proc).
//
// - A Unix socket's file that no one answers on is what a dead process left: it is removed. One that answers is in use.
// It does not accept, limit or close connections: that is the server's.

import { lstatSync, readdirSync, readFileSync, readlinkSync, rmSync } from "node:fs";
import { type Server, connect, isIP } from "node:net";
import { AndironError } from "./errors.ts";
import { identifyProcess } from "./process-identity.ts";

export interface ListenAddress {
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  /** The option that names the port, for messages: "[nbd] port". */
  readonly option: string;
}

/** Resolves with the bound port once `server` listens. Rejects with address_in_use or config_invalid. */
export async function listenOnPort(server: Server, { host, port, option }: ListenAddress): Promise<number> {
  try {
    await listen(server, { host, port });
  } catch (cause) {
    throw explain(cause, {
      target: `${isIP(host) === 6 ? `[${host}]` : host}:${port}`,
      option,
      holder: () => findPortHolder(port),
    });
  }
  const address = server.address();
  if (address === null || typeof address === "string") throw new AndironError("internal", "a TCP server without a port");
  return address.port;
}

/** Resolves once `server` listens on the Unix socket `path`. Rejects with address_in_use or config_invalid. */
export async function listenOnSocket(server: Server, path: string, option: string): Promise<void> {
  try {
    if (await isAbandoned(path)) rmSync(path, { force: true });
    await listen(server, { path });
  } catch (cause) {
    throw explain(cause, { target: path, option, holder: () => findSocketHolder(path) });
  }
}

function listen(server: Server, where: { path: string } | { host: string; port: number }): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(where, () => {
      server.off("error", reject);
      resolve();
    });
  });
}

/** True when `path` is a socket whose server is gone. Any other kind of file refuses connections too, and is not ours. */
function isAbandoned(path: string): Promise<boolean> {
  if (lstatSync(path, { throwIfNoEntry: false })?.isSocket() !== true) return Promise.resolve(false);
  return new Promise((resolve) => {
    const probe = connect({ path });
    probe.once("connect", () => {
      probe.destroy();
      resolve(false);
    });
    probe.once("error", (error) => resolve(codeOf(error) === "ECONNREFUSED"));
  });
}

interface Refusal {
  readonly target: string;
  readonly option: string;
  readonly holder: () => string | undefined;
}

function explain(cause: unknown, { target, option, holder }: Refusal): AndironError {
  const what = `cannot listen on ${target} (${option})`;
  switch (codeOf(cause)) {
    case "EADDRINUSE": {
      const who = holder() ?? "a process that cannot be named (another user's, or another container's)";
      const hint = `stop that process, or set ${option} to a free one`;
      return new AndironError("address_in_use", `${what}: in use by ${who}`, { cause, hint });
    }
    case "EACCES":
      return new AndironError("config_invalid", `${what}: this user may not`, { cause });
    case "EADDRNOTAVAIL":
      return new AndironError("config_invalid", `${what}: that is no address of this machine`, { cause });
    default:
      return new AndironError("config_invalid", `${what}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  }
}

/** The process that listens on TCP `port`, as "pid 12 (command)". */
function findPortHolder(port: number): string | undefined {
  const suffix = `:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  const inodes = ["/proc/net/tcp", "/proc/net/tcp6"].flatMap((table) => {
    const rows = readTable(table).map((row) => row.trim().split(/\s+/));
    return rows.filter((row) => row[1]?.endsWith(suffix) === true && row[3] === "0A").map((row) => row[9]!);
  });
  return findInodeHolder(new Set(inodes));
}

function findSocketHolder(path: string): string | undefined {
  const rows = readTable("/proc/net/unix").filter((row) => row.endsWith(` ${path}`));
  return findInodeHolder(new Set(rows.map((row) => row.trim().split(/\s+/)[6]!)));
}

function readTable(path: string): string[] {
  try {
    return readFileSync(path, "utf8").split("\n").slice(1);
  } catch {
    return []; // no IPv6, or no /proc
  }
}

/** The process that has one of the sockets `inodes` open, as far as we may look. */
function findInodeHolder(inodes: ReadonlySet<string>): string | undefined {
  if (inodes.size === 0) return undefined;
  for (const name of readdirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    const open = listSockets(`/proc/${name}/fd`);
    if (!open.some((inode) => inodes.has(inode))) continue;
    const { pid, command } = identifyProcess(Number(name)) ?? { pid: Number(name), command: "just ended" };
    return `pid ${pid} (${command})`;
  }
  return undefined;
}

function listSockets(directory: string): string[] {
  try {
    return readdirSync(directory).flatMap((fd) => /^socket:\[(\d+)\]$/.exec(readFd(`${directory}/${fd}`))?.[1] ?? []);
  } catch {
    return []; // another user's process, or it just ended
  }
}

function readFd(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return "";
  }
}

function codeOf(error: unknown): string | undefined {
  return error instanceof Error && "code" in error ? String(error.code) : undefined;
}
