// A whole engine in a temporary directory for tests: embedded registry, file backend, one storage router, the verbs over it.

import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../common/clock.ts";
import { systemRandom } from "../common/random.ts";
import type { Tx } from "../registry/atomic.ts";
import { atomically } from "../registry/atomic.ts";
import type { Registry } from "../registry/registry.ts";
import { openSqliteRegistry } from "../registry/sqlite/open.ts";
import type { ObjectBackend } from "./backend/backend.ts";
import { openFileBackend } from "./backend/file.ts";
import type { VdiskSource } from "./control.ts";
import type { ExportSession } from "./device.ts";
import type { EngineLog, EngineSettings } from "./engine-context.ts";
import { KiB, MiB } from "./limits.ts";
import type { LocalDisk } from "./local-disk.ts";
import { nodeDisk } from "./node-disk.ts";
import { RecordControl } from "./record-control.ts";
import { StorageRouter } from "./router.ts";

export const rigPool = "pool1";

export interface RigOptions {
  readonly settings?: Partial<EngineSettings>;
  /** Also served, each with a backend of its own. */
  readonly otherPools?: readonly string[];
  /** Wraps the backend, for fault injection. */
  readonly wrap?: (backend: ObjectBackend) => ObjectBackend;
  /** The disk of the journal, in place of the machine's. */
  readonly disk?: LocalDisk;
  /** The verbs take cuts of the router's open logs themselves. */
  readonly liveCuts?: boolean;
  /** Wraps the registry that the router sees. */
  readonly wrapRegistry?: (registry: Registry) => Registry;
  readonly drainMsMax?: number;
}

const quiet: EngineLog = { debug: () => undefined, info: () => undefined, warning: () => undefined, error: () => undefined };

/** Small everything, so that short tests rotate, fold and clean. */
export const smallSettings: EngineSettings = {
  segmentBytes: 256 * KiB,
  checkpointBytes: MiB,
  checkpointEntries: 400,
  journalBytesMax: 64 * MiB,
  cacheBytes: MiB,
  cacheDedupe: false,
  mapCacheBytes: MiB,
  readAheadBytes: 64 * KiB,
  cleanerDeadShare: 0.3,
  cleanerIntervalMs: 3_600_000,
  retiredGraceMs: 0,
  leaseTtlMs: 10_000,
};

export class EngineRig {
  readonly directory: string;
  readonly registry: Registry;
  readonly backend: ObjectBackend;
  readonly control: RecordControl;
  router: StorageRouter;
  readonly #settings: EngineSettings;
  readonly #disk: LocalDisk;
  readonly #routerRegistry: Registry;
  readonly #drainMsMax: number;
  readonly #backends: ReadonlyMap<string, ObjectBackend>;
  readonly #names = new Map<string, { readonly exportId: string; readonly name: string }>();

  private constructor(directory: string, registry: Registry, backends: ReadonlyMap<string, ObjectBackend>, options: RigOptions) {
    this.directory = directory;
    this.registry = registry;
    this.#backends = backends;
    this.backend = backends.get(rigPool)!;
    this.#settings = { ...smallSettings, ...options.settings };
    this.#disk = options.disk ?? nodeDisk;
    this.#drainMsMax = options.drainMsMax ?? 30_000;
    this.#routerRegistry = options.wrapRegistry?.(registry) ?? registry;
    this.control = new RecordControl({
      registry,
      clock: systemClock,
      random: systemRandom,
      log: quiet,
      pools: new Map([...backends].map(([name, backend]) => [name, () => backend.capacity()])),
      ...(options.liveCuts === true ? { cuts: { cutOf: (log) => this.router.cutOf(log) } } : {}),
    });
    this.router = this.#newRouter();
  }

  static async open(options: RigOptions = {}): Promise<EngineRig> {
    const directory = await mkdtemp(join(tmpdir(), "andiron-engine-"));
    const registry = await openSqliteRegistry({ path: join(directory, "registry.db"), random: systemRandom });
    const backends = new Map<string, ObjectBackend>();
    for (const pool of [rigPool, ...(options.otherPools ?? [])]) {
      const root = join(directory, pool === rigPool ? "backend" : `backend-${pool}`);
      await mkdir(root);
      const file = await openFileBackend({ root });
      backends.set(pool, options.wrap?.(file) ?? file);
    }
    const rig = new EngineRig(directory, registry, backends, options);
    await rig.control.start();
    await rig.router.start();
    return rig;
  }

  async close(): Promise<void> {
    await this.router.stop();
    await this.control.stop();
    await this.registry.close();
    for (const backend of this.#backends.values()) await backend.close();
    await rm(this.directory, { recursive: true, force: true });
  }

  /**
   * What kill -9 does to the router's memory: nothing is drained, a new router takes over from the files. `between` may do to
   * the files what it likes.
   */
  async crash(between?: () => void | Promise<void>): Promise<void> {
    this.router.exports.cutAll();
    const { AndironError } = await import("../common/errors.ts");
    await this.router.openLogs.abandonAll(new AndironError("shutting_down", "crash in a test"));
    await this.router.stop();
    await between?.();
    this.router = this.#newRouter();
    await this.router.start();
  }

  async atomically<T>(body: (tx: Tx) => Promise<T>): Promise<T> {
    return (await atomically(this.registry, { clock: systemClock, random: systemRandom }, body)).value;
  }

  async createDisk(sizeBytes: number, source?: VdiskSource, pool = rigPool): Promise<string> {
    const id = systemRandom.uuid();
    const request = { id, pool, name: `disk-${id}`, sizeBytes };
    await this.atomically((tx) => this.control.createVdisk(tx, source === undefined ? request : { ...request, source }));
    await this.settled(async () => (await this.control.vdisk(id))?.state);
    return id;
  }

  async snapshot(vdiskId: string): Promise<string> {
    const id = systemRandom.uuid();
    await this.atomically((tx) => this.control.createSnapshot(tx, { id, vdiskId, name: "snap" }));
    await this.settled(async () => (await this.control.snapshot(id))?.state);
    return id;
  }

  async snapshotTogether(vdiskIds: readonly string[]): Promise<string[]> {
    const requests = vdiskIds.map((vdiskId) => ({ id: systemRandom.uuid(), vdiskId, name: "together" }));
    await this.atomically((tx) => this.control.createSnapshots(tx, systemRandom.uuid(), requests));
    for (const { id } of requests) await this.settled(async () => (await this.control.snapshot(id))?.state);
    return requests.map((request) => request.id);
  }

  /** An exported, opened disk. */
  async open(vdiskId: string): Promise<ExportSession> {
    const exportId = systemRandom.uuid();
    const info = await this.atomically((tx) => this.control.createExport(tx, { id: exportId, vdiskId, readOnly: false }));
    this.#names.set(vdiskId, { exportId, name: info.exportName });
    return this.reopen(vdiskId);
  }

  /** Another session of the disk's export. */
  async reopen(vdiskId: string): Promise<ExportSession> {
    const session = await this.router.exports.open(this.#names.get(vdiskId)!.name);
    session.onRevoked(() => void session.close());
    return session;
  }

  /** Ends the disk's export; resolves when the router has confirmed and given the log back. */
  async detach(vdiskId: string): Promise<void> {
    const { exportId } = this.#names.get(vdiskId)!;
    this.#names.delete(vdiskId);
    await this.atomically((tx) => this.control.revokeExport(tx, exportId));
    await this.control.exportGone(exportId);
    while ((await this.control.vdisk(vdiskId))?.owner !== undefined) await systemClock.sleep(5);
  }

  async settled(state: () => Promise<string | undefined>): Promise<void> {
    while ((await state()) === "pending") await systemClock.sleep(2);
  }

  #newRouter(): StorageRouter {
    return new StorageRouter({
      registry: this.#routerRegistry,
      backends: this.#backends,
      settings: this.#settings,
      clock: systemClock,
      threadMs: () => 0,
      random: systemRandom,
      log: quiet,
      host: "rig",
      disk: this.#disk,
      stateDirectory: this.directory,
      journalDirectory: join(this.directory, "journal"),
      nbdAddress: () => ({ hosts: ["127.0.0.1"], port: 10809 }),
      drainMsMax: this.#drainMsMax,
    });
  }
}

/** Reads a range of an opened disk. */
export async function readRange(session: ExportSession, offset: number, length: number): Promise<Buffer> {
  const target = Buffer.alloc(length, 0xee);
  await session.device.read(offset, target);
  return target;
}
