// The ways to open the embedded registry: in a worker thread (what services do), within the caller's thread on a given
// clock (simulation, tests), and for reading only (tools).
//
// A handle keeps its process alive until close(). Several handles, in any number of processes of one machine, may be
// open on one file. The file must lie on a local file system: shared memory between its users is part of it.

import { readFileSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { Worker } from "node:worker_threads";
import type { Clock } from "../../common/clock.ts";
import { AndironError } from "../../common/errors.ts";
import type { Random } from "../../common/random.ts";
import type { Registry, RegistryReader } from "../registry.ts";
import { checkKey, checkRange } from "../request-check.ts";
import { EntryTable } from "./entry-table.ts";
import { fromWire } from "./protocol.ts";
import type { Link, LinkListener, Opening, Reply, Request } from "./protocol.ts";
import { asRegistryError, openDatabaseForReading } from "./schema.ts";
import { StoreServer } from "./server.ts";
import type { ServerOptions } from "./server.ts";
import { SqliteRegistry } from "./sqlite-registry.ts";

export interface SqliteRegistryOptions {
  /** The database file; SQLite puts `-wal` and `-shm` beside it. Its directory is made if need be. */
  readonly path: string;
  readonly random: Random;
  /** What identifies this boot of the machine; default the kernel's boot id. */
  readonly bootId?: string;
  /** How long a write waits for other processes before registry_unavailable; default 10,000. */
  readonly lockTimeoutMs?: number;
  /** Period of the look at other processes' work, where nothing tells of it, and of lease keeping; default 20. */
  readonly tickMs?: number;
  /** Revisions kept for watchers, default 50,000; and their bytes, default 256 MiB (the last 1,000 stay in any case). */
  readonly historyRevisionsMax?: number;
  readonly historyBytesMax?: number;
}

function serverOptionsOf(options: SqliteRegistryOptions): ServerOptions {
  return {
    path: resolve(options.path),
    bootId: options.bootId ?? readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim(),
    lockTimeoutMs: options.lockTimeoutMs ?? 10_000,
    tickMs: options.tickMs ?? 20,
    historyRevisionsMax: options.historyRevisionsMax ?? 50_000,
    historyBytesMax: options.historyBytesMax ?? 256 * 1024 * 1024,
  };
}

/** The worker, once it has opened the database. */
function startWorker(options: ServerOptions): Promise<Worker> {
  const worker = new Worker(new URL("./worker.ts", import.meta.url), { workerData: options, name: "andiron-registry" });
  return new Promise((resolveStarted, reject) => {
    const fail = (error: unknown): void => reject(asRegistryError(error, options.path));
    worker.once("error", fail);
    worker.once("message", (opening: Opening) => {
      worker.off("error", fail);
      if (opening.kind === "opened") return resolveStarted(worker);
      reject(fromWire(opening.error));
      void worker.terminate();
    });
  });
}

function linkWorker(worker: Worker, listener: LinkListener): Link {
  const fail = (reason: unknown): void => {
    listener.onFailure(new AndironError("registry_unavailable", "the registry's thread has ended", { cause: reason }));
  };
  worker.on("message", (replies: Reply[]) => listener.onReplies(replies));
  worker.on("error", fail);
  worker.on("exit", fail);
  return {
    send: (requests) => worker.postMessage(requests),
    end: async () => {
      worker.off("exit", fail);
      await worker.terminate();
    },
  };
}

/** Opens or creates the registry. Rejects with registry_damaged, registry_too_new, registry_unavailable. */
export async function openSqliteRegistry(options: SqliteRegistryOptions): Promise<Registry> {
  const serverOptions = serverOptionsOf(options);
  await makeDirectory(serverOptions.path);
  const worker = await startWorker(serverOptions);
  return new SqliteRegistry(options.random, (listener) => linkWorker(worker, listener));
}

export interface InlineRegistryOptions extends SqliteRegistryOptions {
  readonly clock: Clock;
  /** Default true; false for a store that no power loss concerns: commits then wait for no disk. */
  readonly durable?: boolean;
}

/** The same store in the caller's thread and on the caller's clock, which it blocks while it works: not for services. */
export async function openInlineRegistry(options: InlineRegistryOptions): Promise<Registry> {
  const serverOptions = { ...serverOptionsOf(options), durable: options.durable ?? true };
  await makeDirectory(serverOptions.path);
  let listener: LinkListener | undefined;
  const server = await StoreServer.open(serverOptions, options.clock, (replies) => listener?.onReplies(replies));
  return new SqliteRegistry(options.random, (handle) => {
    listener = handle;
    return { send: (requests: Request[]) => server.receive(requests), end: () => Promise.resolve() };
  });
}

async function makeDirectory(path: string): Promise<void> {
  try {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  } catch (error) {
    throw asRegistryError(error, path);
  }
}

/** For tools: opens an existing registry while services run, reads in the caller's thread. Same errors. */
export function openSqliteReader(path: string): RegistryReader {
  const database = openDatabaseForReading(path);
  const entries = new EntryTable(database);
  const attempt = <T>(read: () => T): Promise<T> => {
    try {
      return Promise.resolve(read());
    } catch (error) {
      return Promise.reject(asRegistryError(error, path));
    }
  };
  return {
    get: async (key) => {
      checkKey(key);
      return attempt(() => entries.get(key));
    },
    range: async (request) => {
      checkRange(request);
      return attempt(() => entries.range(request));
    },
    revision: () => attempt(() => entries.revision()),
    close: () => attempt(() => database.close()),
  };
}
