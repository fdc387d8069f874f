// What is measured: servers of block devices over NBD on private Unix sockets, Andiron and its peers alike, all with their
// files below one directory (one disk). A peer runs one process for each disk, Andiron one for all.
//
//     openTarget(name, place) ─► openDisk ... openDisk ─► (measured) ─► stop
//
// - A process that is started here dies with the benchmark, however that ends.
// - Nothing here knows what is measured.

import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync, readFileSync } from "node:fs";
import { access, open, readFile } from "node:fs/promises";
import { join } from "node:path";
import { systemClock } from "../src/common/clock.ts";
import { BlockStorage } from "../test/harness/block-storage.ts";
import type { AndironProcess } from "../test/harness/service.ts";

export const peerNames = ["qemu-nbd", "nbdkit file", "nbdkit memory", "nbdkit null"] as const;
export type PeerName = (typeof peerNames)[number];
export const ourName = "andiron";
export type TargetName = typeof ourName | PeerName;

/** An export that a client can connect to. */
export interface Disk {
  readonly socketPath: string;
  readonly exportName: string;
  /** The export is to be had with TLS only. */
  readonly tls?: boolean;
}

export interface Target {
  readonly name: TargetName;
  /** A new disk of whole GiB, empty; preallocate where the server can. */
  openDisk(gibibytes: number): Promise<Disk>;
  /** Processor time that the server's processes have used, user and system, in seconds. */
  cpuSeconds(): number;
  stop(): Promise<void>;
}

/** A client that verifies would check a name, which a Unix socket has not: libnbd takes any certificate there. */
export const uriOf = ({ socketPath, exportName, tls }: Disk): string =>
  `${tls === true ? "nbds" : "nbd"}+unix:///${exportName}?socket=${socketPath}`;

/** The same, whose disks are to be had with TLS. */
export const withTls = (target: Target): Target => ({
  ...target,
  openDisk: async (gibibytes) => ({ ...(await target.openDisk(gibibytes)), tls: true }),
});

const ticksPerSecond = 100; // USER_HZ, what /proc counts in on every Linux of today
const startTimeoutMs = 10_000;

/** Processor seconds of a process and all its threads, from /proc/PID/stat. Throws when it has ended. */
export function readCpuSeconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond;
}

/** Andiron as it is configured in `service`, which runs and listens on `socketPath`; stop() ends and removes it. */
export async function openAndiron(service: AndironProcess, socketPath: string): Promise<Target> {
  const api = new BlockStorage(service);
  const lock = JSON.parse(await readFile(join(service.statePath, "lock.json"), "utf8")) as { pid: number };
  return {
    name: ourName,
    cpuSeconds: () => readCpuSeconds(lock.pid),
    stop: () => service.dispose(),
    async openDisk(gibibytes) {
      const attachment = await api.attach(await api.createVolume({ size: gibibytes }));
      return { socketPath, exportName: attachment.connection_info.name };
    },
  };
}

type Start = (path: string, socketPath: string, bytes: number) => readonly string[];

const commands: Readonly<Record<PeerName, Start>> = {
  "qemu-nbd": (path, socketPath) => {
    const cache = ["--cache=none", "--aio=native", "--discard=unmap"];
    return ["qemu-nbd", "-f", "raw", ...cache, "--persistent", "--shared=0", "-x", "disk", "-k", socketPath, path];
  },
  "nbdkit file": (path, socketPath) => ["nbdkit", "-f", "-e", "disk", "-U", socketPath, "file", path],
  "nbdkit memory": (_path, socketPath, bytes) => ["nbdkit", "-f", "-e", "disk", "-U", socketPath, "memory", String(bytes)],
  "nbdkit null": (_path, socketPath, bytes) => ["nbdkit", "-f", "-e", "disk", "-U", socketPath, "null", String(bytes)],
};

const fileless: readonly PeerName[] = ["nbdkit memory", "nbdkit null"];

/** What makes a peer insist on TLS, with the certificates in a folder. */
const tlsOptions = (name: PeerName, tlsFolder: string): readonly string[] =>
  name === "qemu-nbd"
    ? ["--object", `tls-creds-x509,id=tls0,endpoint=server,verify-peer=off,dir=${tlsFolder}`, "--tls-creds", "tls0"]
    : ["--tls=require", `--tls-certificates=${tlsFolder}`];

/** A peer with its sockets, files and logs in `folder`; with TLS when there is a folder with certificates. */
export function openPeer(name: PeerName, folder: string, tlsFolder?: string): Target {
  const processes: ChildProcess[] = [];
  return {
    name,
    cpuSeconds: () => processes.reduce((sum, { pid }) => sum + readCpuSeconds(pid!), 0),
    async openDisk(gibibytes) {
      const stem = join(folder, `${name.replace(" ", "-")}-${processes.length}`);
      const socketPath = `${stem}.sock`;
      const bytes = gibibytes * 2 ** 30;
      if (!fileless.includes(name)) await makeFile(`${stem}.raw`, bytes);
      const [program, ...options] = commands[name](`${stem}.raw`, socketPath, bytes);
      const tls = tlsFolder === undefined ? [] : tlsOptions(name, tlsFolder);
      const child = await startPeer([program!, ...tls, ...options], `${stem}.log`);
      processes.push(child);
      await waitForSocket(child, socketPath, `${stem}.log`);
      return { socketPath, exportName: "disk", tls: tlsFolder !== undefined };
    },
    async stop() {
      for (const child of processes) {
        if (child.exitCode !== null || child.signalCode !== null) continue;
        const ended = once(child, "exit");
        child.kill("SIGKILL");
        await ended;
      }
    },
  };
}

async function makeFile(path: string, bytes: number): Promise<void> {
  const file = await open(path, "wx");
  await file.truncate(bytes);
  await file.close();
}

async function startPeer(command: readonly string[], logPath: string): Promise<ChildProcess> {
  const log = openSync(logPath, "a");
  try {
    const child = spawn("setpriv", ["--pdeathsig", "KILL", ...command], { stdio: ["ignore", log, log] });
    await once(child, "spawn");
    return child;
  } finally {
    closeSync(log);
  }
}

async function waitForSocket(child: ChildProcess, socketPath: string, logPath: string): Promise<void> {
  const deadlineMs = systemClock.monotonicMs() + startTimeoutMs;
  while (!(await exists(socketPath))) {
    if (child.exitCode !== null || systemClock.monotonicMs() > deadlineMs) {
      throw new Error(`${child.spawnargs.join(" ")} does not serve\n${await readFile(logPath, "utf8")}`);
    }
    await systemClock.sleep(10);
  }
}

function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
