// The engine's side of a process: backends with their decorators, the storage router, the NBD server in front of it.

import { mkdir, stat } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { dirname, join } from "node:path";
import { systemClock } from "../common/clock.ts";
import type { BackendValues, Config } from "../common/config.ts";
import { AndironError } from "../common/errors.ts";
import type { Logger } from "../common/log.ts";
import type { Metrics } from "../common/metrics.ts";
import { systemRandom } from "../common/random.ts";
import type { Service } from "../common/service.ts";
import { systemCodeOf } from "../common/system-errors.ts";
import type { ObjectBackend } from "../engine/backend/backend.ts";
import { withReadCache } from "../engine/backend/read-cache.ts";
import { BlockStore, storeBlockBytes } from "../engine/cache/block-store.ts";
import { withDeadline } from "../engine/backend/deadline.ts";
import { openFileBackend } from "../engine/backend/file.ts";
import { withMeter } from "../engine/backend/metered.ts";
import { withRetries } from "../engine/backend/retrying.ts";
import type { EngineSettings } from "../engine/engine-context.ts";
import { cachedNodeDisk, nodeDisk } from "../engine/node-disk.ts";
import { keys } from "../engine/records.ts";
import { StorageRouter } from "../engine/router.ts";
import { NbdServer } from "../nbd/server.ts";
import type { ServerTls } from "../nbd/tls.ts";
import { atomically } from "../registry/atomic.ts";
import type { Registry } from "../registry/registry.ts";
import { nbdMetrics } from "./nbd-metrics.ts";
import { readPemFile } from "./pem-files.ts";
import { operationsOfBackend } from "./thread-pool.ts";

export interface EnginePartOptions {
  readonly config: Config;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly registry: Registry;
}

export interface EnginePart {
  readonly backends: ReadonlyMap<string, ObjectBackend>;
  readonly router: StorageRouter;
  readonly nbd: NbdServer;
  /** In the order in which they are started. */
  readonly services: readonly Service[];
}

/**
 * Opens the backend of each vPool. One that was in use before is never made anew: what looks like an empty one is a file
 * system that is not mounted, and segments stored there would vanish with the mount. Rejects with backend_unavailable then.
 */
export async function openBackends(
  { config, registry }: Pick<EnginePartOptions, "config" | "registry">,
  metrics: Metrics | undefined,
  store?: BlockStore,
): Promise<Map<string, ObjectBackend>> {
  const backends = new Map<string, ObjectBackend>();
  const journalDevice = await deviceOf(config.engine.journal_path);
  for (const [name, values] of config.backends) {
    const key = keys.pool(name);
    const isNew = (await registry.get(key)) === undefined;
    if (isNew) await makeDirectory(name, values);
    const isBesideJournal = journalDevice !== undefined && (await deviceOf(values.file_path)) === journalDevice;
    const concurrentOperationsMax = operationsOfBackend(config.backends.size, isBesideJournal);
    const file = await openFileBackend({ root: values.file_path, isNew, concurrentOperationsMax });
    const decorated = decorate(file, config, metrics);
    backends.set(name, store === undefined ? decorated : withReadCache(decorated, { store, pool: name }));
    if (isNew) {
      const tools = { clock: systemClock, random: systemRandom };
      await atomically(registry, tools, async (tx) => tx.put(key, JSON.stringify({ v: 1 })));
    }
  }
  return backends;
}

function threadMs(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1000;
}

export function engineSettings(config: Config): EngineSettings {
  const { engine } = config;
  return {
    segmentBytes: engine.segment_bytes,
    checkpointBytes: Math.min(engine.checkpoint_bytes, Math.floor(engine.journal_bytes_max / 4)),
    checkpointEntries: engine.checkpoint_entries,
    journalBytesMax: engine.journal_bytes_max,
    cacheBytes: engine.cache_bytes,
    cacheDedupe: engine.cache_dedupe,
    mapCacheBytes: engine.map_cache_bytes,
    readAheadBytes: engine.read_ahead_bytes,
    cleanerDeadShare: engine.cleaner_dead_percent / 100,
    cleanerIntervalMs: engine.cleaner_interval * 1000,
    retiredGraceMs: engine.retired_grace * 1000,
    leaseTtlMs: engine.lease_ttl * 1000,
  };
}

export async function makeEnginePart({ config, log, metrics, registry }: EnginePartOptions): Promise<EnginePart> {
  const store = await openStore(config, log);
  const backends = await openBackends({ config, registry }, metrics, store);
  let nbdPort = config.nbd.port;
  const router = new StorageRouter({
    registry,
    backends,
    settings: engineSettings(config),
    clock: systemClock,
    threadMs,
    random: systemRandom,
    log: log.part("engine"),
    host: config.DEFAULT.host,
    disk: config.engine.journal_direct_io ? nodeDisk : cachedNodeDisk,
    stateDirectory: config.DEFAULT.state_path,
    journalDirectory: config.engine.journal_path,
    nbdAddress: () => ({ hosts: config.nbd.advertised_hosts, port: nbdPort }),
    drainMsMax: config.DEFAULT.graceful_shutdown_timeout * 1000,
  });
  const nbd = await makeNbdServer(config, router, log, metrics);
  metrics.gaugeFrom("andiron_open_disks", {}, () => router.openLogs.openCount);
  metrics.gaugeFrom("andiron_nbd_sessions", {}, () => router.exports.sessionCount);
  metrics.gaugeFrom("andiron_journal_bytes", {}, () => router.budget.bytes);
  metrics.gaugeFrom("andiron_journal_flushes", {}, () => router.journalCounts.flushes);
  metrics.gaugeFrom("andiron_journal_syncs", {}, () => router.journalCounts.syncs);
  metrics.gaugeFrom("andiron_journal_filled_bytes", {}, () => router.journalCounts.filledBytes);
  metrics.gaugeFrom("andiron_cache_clusters", {}, () => router.cache.clusterCount);
  metrics.gaugeFrom("andiron_cache_hits", {}, () => router.cache.hits);
  metrics.gaugeFrom("andiron_cache_misses", {}, () => router.cache.misses);
  metrics.gaugeFrom("andiron_read_cache_blocks", {}, () => store?.blockCount ?? 0);
  metrics.gaugeFrom("andiron_read_cache_hits", {}, () => store?.hits ?? 0);
  metrics.gaugeFrom("andiron_read_cache_misses", {}, () => store?.misses ?? 0);
  // The router tells others where clients reach it: the NBD server listens first.
  const listening: Service = {
    id: nbd.id,
    async start() {
      await nbd.start();
      for (const address of nbd.addresses()) if ("port" in address) nbdPort = address.port;
    },
    drain: () => nbd.drain(),
    stop: () => nbd.stop(),
  };
  return { backends, router, nbd, services: [listening, router] };
}

/** The read cache on the local SSD, if one is configured. */
async function openStore({ engine }: Config, log: Logger): Promise<BlockStore | undefined> {
  const { read_cache_path: directory, read_cache_bytes: bytes } = engine;
  if (bytes === 0) return undefined;
  if (bytes < storeBlockBytes)
    throw new AndironError("config_invalid", `[engine] read_cache_bytes = ${bytes} is less than a block of ${storeBlockBytes}`);
  const failed = (error: unknown): void => log.part("engine").warning(`the read cache in ${directory} is given up`, { error });
  try {
    await nodeDisk.makeDirectory(directory);
    return await BlockStore.open({ disk: nodeDisk, path: join(directory, "blocks"), bytesMax: bytes, failed });
  } catch (cause) {
    throw new AndironError("config_invalid", `cannot make the read cache in ${directory} of [engine] read_cache_path`, { cause });
  }
}

/** The file system that a path is on, or will be; undefined when that can't be told. */
async function deviceOf(path: string): Promise<number | undefined> {
  try {
    return (await stat(path)).dev;
  } catch (error) {
    return systemCodeOf(error) === "ENOENT" && dirname(path) !== path ? deviceOf(dirname(path)) : undefined;
  }
}

async function makeDirectory(name: string, { file_path }: BackendValues): Promise<void> {
  try {
    await mkdir(file_path, { recursive: true, mode: 0o700 });
  } catch (cause) {
    throw new AndironError("config_invalid", `cannot make the directory ${file_path} of [${name}] file_path`, { cause });
  }
}

function decorate(file: ObjectBackend, config: Config, metrics: Metrics | undefined): ObjectBackend {
  const patient = withDeadline(file, {
    clock: systemClock,
    timeoutMs: config.engine.backend_timeout * 1000,
    perMebibyteMs: 1000,
  });
  const retrying = withRetries(patient, { clock: systemClock, random: systemRandom });
  return metrics === undefined ? retrying : withMeter(retrying, { clock: systemClock, meter: backendMeter(metrics) });
}

function backendMeter(metrics: Metrics): Parameters<typeof withMeter>[1]["meter"] {
  const operations = metrics.counter("andiron_backend_operations_total");
  const moved = metrics.counter("andiron_backend_bytes_total");
  const times = metrics.histogram("andiron_backend_operation_seconds");
  const reads = { count: operations.tally({ verb: "read", result: "ok" }), bytes: moved.tally({ verb: "read" }) };
  return {
    operationStarted: () => undefined,
    operationEnded({ verb, durationMs, bytes, errorCode }) {
      times.observe({ verb }, durationMs / 1000);
      if (verb === "read" && errorCode === undefined) {
        reads.count.add();
        reads.bytes.add(bytes);
        return;
      }
      operations.add({ verb, result: errorCode ?? "ok" });
      moved.add({ verb }, bytes);
    },
  };
}

async function makeNbdServer(config: Config, router: StorageRouter, log: Logger, metrics: Metrics): Promise<NbdServer> {
  const { nbd } = config;
  const tcp = { host: nbd.listen, port: nbd.port };
  const tls = nbd.tls_mode === "off" ? undefined : await readTls(config);
  return new NbdServer({
    listen: nbd.unix_socket === "" ? [tcp] : [tcp, { path: nbd.unix_socket }],
    directory: router.exports,
    clock: systemClock,
    tlsMode: nbd.tls_mode,
    ...(tls === undefined ? {} : { tls }),
    logger: log.part("nbd"),
    metrics: nbdMetrics(metrics),
    limits: {
      connectionsMax: nbd.connections_max,
      handshakeTimeoutMs: nbd.handshake_timeout * 1000,
      // With one processor who stays awake keeps those who work for him from it.
      busyPollMs: availableParallelism() > 1 ? nbd.busy_poll / 1000 : 0,
    },
  });
}

async function readTls(config: Config): Promise<ServerTls> {
  const { tls_cert_file, tls_key_file, tls_ca_file, tls_verify_peer } = config.nbd;
  const read = (option: string, path: string): Promise<Buffer> => readPemFile(`[nbd] ${option}`, path);
  const cert = await read("tls_cert_file", tls_cert_file);
  const key = await read("tls_key_file", tls_key_file);
  return tls_verify_peer ? { cert, key, clientCa: await read("tls_ca_file", tls_ca_file) } : { cert, key };
}

/** Where the running process is reached: `endpoints.json` in the state directory. */
export const endpointsPath = (config: Config): string => join(config.DEFAULT.state_path, "endpoints.json");
