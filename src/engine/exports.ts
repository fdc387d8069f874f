// Exports on the router that serves them: from a secret name to a device, and the end of all that when it is revoked.
//
//     live ──open(name)──► sessions ──revoked (record)──► cut, last request out ──► record deleted = confirmed
//
// - A name is looked up by its hash at each connection: a revoked or unknown one is not found, with the same answer.
// - An export that is gone may be made again under its id (each claim of a job does); its name's hash tells which one is meant.
// - A session keeps the size it was opened with; a grown disk shows its new size to the next one.
// - A disk may move to another log under its sessions (disk-move.ts): they go along.

import { AndironError } from "../common/errors.ts";
import { atomically } from "../registry/atomic.ts";
import type { Registry } from "../registry/registry.ts";
import type { Clock } from "../common/clock.ts";
import type { Random } from "../common/random.ts";
import type { ExportDirectory, ExportSession } from "./device.ts";
import type { LogUse, OpenLogs } from "./open-logs.ts";
import type { ExportRecord, VdiskRecord } from "./records.ts";
import { hashExportName, keys, parseRecord } from "./records.ts";
import { Throttles, type ThrottleUse } from "./throttle.ts";
import { type RevocableDevice, ThrottledDevice } from "./throttled-device.ts";
import { VdiskDevice } from "./vdisk/device.ts";

interface ExportsOptions {
  readonly registry: Registry;
  readonly clock: Clock;
  readonly random: Random;
  readonly openLogs: OpenLogs;
}

/** An opening that meets a disk which changes its log is done again. */
const openTriesMax = 5;

class Session implements ExportSession {
  readonly device: RevocableDevice;
  readonly description: string;
  readonly closed: Promise<void>;
  readonly #vdisk: VdiskRecord;
  readonly #onClose: (session: Session) => void;
  readonly #throttled: ThrottleUse | undefined;
  readonly #resolveClosed: () => void;
  #use: LogUse;
  #cut: (() => void) | undefined;
  #revoked = false;
  #isClosed = false;

  constructor(
    vdisk: VdiskRecord,
    use: LogUse,
    options: {
      readonly readOnly: boolean;
      readonly throttled: ThrottleUse | undefined;
      readonly onClose: (session: Session) => void;
    },
  ) {
    const device = new VdiskDevice(use.log, { readOnly: options.readOnly, sizeBytes: () => vdisk.sizeBytes });
    this.#throttled = options.throttled;
    this.device = this.#throttled === undefined ? device : new ThrottledDevice(device, this.#throttled.throttle);
    this.description = vdisk.name;
    this.#vdisk = vdisk;
    this.#use = use;
    this.#onClose = options.onClose;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.closed = promise;
    this.#resolveClosed = resolve;
  }

  isOf(vdiskId: string, logId: string): boolean {
    return this.#vdisk.id === vdiskId && this.#use.log.id === logId;
  }

  /** The log that keeps the device open from now on; `use` is done with when the session is, or was. */
  goAlong(use: LogUse): void {
    const before = this.#isClosed ? use : this.#use;
    if (!this.#isClosed) this.#use = use;
    before.done();
  }

  onRevoked(cut: () => void): void {
    this.#cut = cut;
    if (this.#revoked) cut();
  }

  revoke(): void {
    this.#revoked = true;
    this.device.revoke();
    this.#cut?.();
  }

  clientGone(): void {
    this.device.revoke();
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#onClose(this);
    this.#throttled?.done();
    this.#use.done();
    this.#resolveClosed();
  }
}

export class Exports implements ExportDirectory {
  readonly #options: ExportsOptions;
  /** Both by the name's hash. */
  readonly #sessions = new Map<string, Set<Session>>();
  readonly #confirming = new Map<string, Promise<void>>();
  readonly #throttles: Throttles;

  constructor(options: ExportsOptions) {
    this.#options = options;
    this.#throttles = new Throttles(options.clock);
  }

  get sessionCount(): number {
    let count = 0;
    for (const sessions of this.#sessions.values()) count += sessions.size;
    return count;
  }

  async open(exportName: string): Promise<ExportSession> {
    for (let tries = 0; tries < openTriesMax; tries++) {
      const session = await this.#tryOpen(await this.#find(exportName));
      if (session !== undefined) return session;
    }
    throw unknownExport();
  }

  /** Has the sessions of the disk that are open at one log keep the other one open. */
  async moved(vdiskId: string, from: string, to: string): Promise<void> {
    for (const session of [...this.#sessions.values()].flatMap((sessions) => [...sessions])) {
      if (session.isOf(vdiskId, from)) session.goAlong(await this.#options.openLogs.use(to));
    }
  }

  /** Undefined when the disk moved to another log while this one was opened. */
  async #tryOpen(record: ExportRecord): Promise<Session | undefined> {
    const vdisk = await this.#read<VdiskRecord>(keys.vdisk(record.vdisk));
    if (vdisk === undefined) throw unknownExport();
    const use = await this.#options.openLogs.use(vdisk.log);
    const onClose = (closed: Session): void => this.#forget(record.nameHash, closed);
    const throttled = record.limits === undefined ? undefined : this.#throttles.use(vdisk.id, record.limits);
    const session = new Session(vdisk, use, { readOnly: record.readOnly, throttled, onClose });
    const sessions = this.#sessions.get(record.nameHash) ?? new Set();
    this.#sessions.set(record.nameHash, sessions.add(session));
    // It may have been revoked, or the disk reverted or moved, while the log was opened.
    const [stillExport, stillVdisk] = await Promise.all([
      this.#read<ExportRecord>(keys.export(record.id)),
      this.#read<VdiskRecord>(keys.vdisk(vdisk.id)),
    ]).catch(async (error: unknown) => {
      await session.close();
      throw error;
    });
    const isLive = stillExport?.state === "live" && stillExport.nameHash === record.nameHash;
    if (isLive && stillVdisk?.log === vdisk.log) return session;
    await session.close();
    if (!isLive || stillVdisk === undefined) throw unknownExport();
    return undefined;
  }

  /** Cuts the export's sessions and, when the last is out, confirms by deleting the record. */
  revoked(record: ExportRecord): Promise<void> {
    const { nameHash } = record;
    const running = this.#confirming.get(nameHash) ?? this.#confirm(record).finally(() => this.#confirming.delete(nameHash));
    this.#confirming.set(nameHash, running);
    return running;
  }

  /** Cuts everything: this router does not hold its disks any more. */
  cutAll(): void {
    for (const sessions of this.#sessions.values()) for (const session of sessions) session.revoke();
  }

  async #confirm(record: ExportRecord): Promise<void> {
    const sessions = [...(this.#sessions.get(record.nameHash) ?? [])];
    for (const session of sessions) session.revoke();
    await Promise.all(sessions.map((session) => session.closed));
    const key = keys.export(record.id);
    await atomically(this.#options.registry, this.#options, async (tx) => {
      const text = await tx.get(key);
      if (text !== undefined && parseRecord<ExportRecord>(key, text).nameHash === record.nameHash) tx.delete(key);
    });
    const vdisk = await this.#read<VdiskRecord>(keys.vdisk(record.vdisk));
    if (vdisk !== undefined) await this.#options.openLogs.release(vdisk.log);
  }

  async #find(exportName: string): Promise<ExportRecord> {
    const name = await this.#read<{ v: 1; export: string }>(keys.exportName(hashExportName(exportName)));
    const record = name === undefined ? undefined : await this.#read<ExportRecord>(keys.export(name.export));
    if (record === undefined || record.state !== "live") throw unknownExport();
    return record;
  }

  async #read<T extends { readonly v: 1 }>(key: string): Promise<T | undefined> {
    const entry = await this.#options.registry.get(key);
    return entry === undefined ? undefined : parseRecord<T>(key, entry.value);
  }

  #forget(nameHash: string, session: Session): void {
    const sessions = this.#sessions.get(nameHash);
    sessions?.delete(session);
    if (sessions?.size === 0) this.#sessions.delete(nameHash);
  }
}

const unknownExport = (): AndironError => new AndironError("export_not_found", "no such export");
