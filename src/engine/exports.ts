// Exports on the router that serves them: from a secret name to a device, and the end of all that when it is revoked.
//
//     live ──open(name)──► sessions ──revoked (record)──► cut, last request out ──► record deleted = confirmed
//
// - A name is looked up by its hash at each connection: a revoked or unknown one is not found, with the same answer.
// - A session keeps the size it was opened with; a grown disk shows its new size to the next one.

import { AndironError } from "../common/errors.ts";
import { atomically } from "../registry/atomic.ts";
import type { Registry } from "../registry/registry.ts";
import type { Clock } from "../common/clock.ts";
import type { Random } from "../common/random.ts";
import type { ExportDirectory, ExportSession } from "./device.ts";
import type { OpenLogs } from "./open-logs.ts";
import type { ExportRecord, VdiskRecord } from "./records.ts";
import { hashExportName, keys, parseRecord } from "./records.ts";
import { VdiskDevice } from "./vdisk/device.ts";

interface ExportsOptions {
  readonly registry: Registry;
  readonly clock: Clock;
  readonly random: Random;
  readonly openLogs: OpenLogs;
}

class Session implements ExportSession {
  readonly device: VdiskDevice;
  readonly description: string;
  readonly closed: Promise<void>;
  readonly #end: () => void;
  #cut: (() => void) | undefined;
  #revoked = false;

  constructor(device: VdiskDevice, description: string, letGo: () => void) {
    this.device = device;
    this.description = description;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.closed = promise;
    this.#end = () => {
      letGo();
      resolve();
    };
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

  async close(): Promise<void> {
    this.#end();
  }
}

export class Exports implements ExportDirectory {
  readonly #options: ExportsOptions;
  readonly #sessions = new Map<string, Set<Session>>();
  readonly #confirming = new Map<string, Promise<void>>();

  constructor(options: ExportsOptions) {
    this.#options = options;
  }

  get sessionCount(): number {
    let count = 0;
    for (const sessions of this.#sessions.values()) count += sessions.size;
    return count;
  }

  async open(exportName: string): Promise<ExportSession> {
    const record = await this.#find(exportName);
    const vdisk = await this.#read<VdiskRecord>(keys.vdisk(record.vdisk));
    if (vdisk === undefined) throw unknownExport();
    const use = await this.#options.openLogs.use(vdisk.log);
    const device = new VdiskDevice(use.log, { readOnly: record.readOnly, sizeBytes: () => vdisk.sizeBytes });
    const session: Session = new Session(device, vdisk.name, () => {
      this.#forget(record.id, session);
      use.done();
    });
    const sessions = this.#sessions.get(record.id) ?? new Set();
    this.#sessions.set(record.id, sessions.add(session));
    // It may have been revoked, or the disk reverted, while the log was opened.
    const [stillExport, stillVdisk] = await Promise.all([
      this.#read<ExportRecord>(keys.export(record.id)),
      this.#read<VdiskRecord>(keys.vdisk(vdisk.id)),
    ]).catch(async (error: unknown) => {
      await session.close();
      throw error;
    });
    if (stillExport?.state !== "live" || stillVdisk?.log !== vdisk.log) {
      await session.close();
      throw unknownExport();
    }
    return session;
  }

  /** Cuts the export's sessions and, when the last is out, confirms by deleting the record. */
  revoked(record: ExportRecord): Promise<void> {
    const running = this.#confirming.get(record.id) ?? this.#confirm(record).finally(() => this.#confirming.delete(record.id));
    this.#confirming.set(record.id, running);
    return running;
  }

  /** Cuts everything: this router does not hold its disks any more. */
  cutAll(): void {
    for (const sessions of this.#sessions.values()) for (const session of sessions) session.revoke();
  }

  async #confirm(record: ExportRecord): Promise<void> {
    const sessions = [...(this.#sessions.get(record.id) ?? [])];
    for (const session of sessions) session.revoke();
    await Promise.all(sessions.map((session) => session.closed));
    const key = keys.export(record.id);
    await atomically(this.#options.registry, this.#options, async (tx) => {
      const text = await tx.get(key);
      if (text !== undefined && parseRecord<ExportRecord>(key, text).state === "revoked") tx.delete(key);
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

  #forget(exportId: string, session: Session): void {
    const sessions = this.#sessions.get(exportId);
    sessions?.delete(session);
    if (sessions?.size === 0) this.#sessions.delete(exportId);
  }
}

const unknownExport = (): AndironError => new AndironError("export_not_found", "no such export");
