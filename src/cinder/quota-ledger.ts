// What each project uses and may use. One record a project holds the usage, and it changes only in the transaction that
// creates, grows or deletes what is counted: usage and things can't drift apart, and there are no reservations.
//
// Keys are those of the API, with the type's id in place of its name (a rename changes nothing): "volumes", "gigabytes",
// "snapshots", "volumes_<typeId>", ... A limit is the project's, else that of the class "default", else the setting; -1 is none.

import { AndironError } from "../common/errors.ts";
import type { Tx } from "../registry/atomic.ts";
import { overLimit } from "./faults.ts";
import type { QuotaRecord, QuotaUsage } from "./model.ts";
import { deleteRecord, quotaClassKind, quotaKind, quotaUsageKind, readRecord, typeKind, writeRecord } from "./records.ts";
import type { CinderSettings } from "./settings.ts";

export const defaultClass = "default";

/** Resources that are counted by type too. */
export const typedResources = ["volumes", "gigabytes", "snapshots"] as const;

export interface Charge {
  readonly projectId: string;
  readonly typeId: string | null;
  readonly volumes?: number;
  readonly snapshots?: number;
  readonly gigabytes?: number;
  readonly backups?: number;
  readonly backupGigabytes?: number;
  readonly groups?: number;
  /** What the project uses in all stays as it is: something changes its type. */
  readonly ofTypeOnly?: true;
}

/** The limit in force for `key`. */
export function limitOf(
  key: string,
  project: QuotaRecord | undefined,
  ofClass: QuotaRecord | undefined,
  settings: CinderSettings,
): number {
  const defaults: Readonly<Record<string, number>> = { ...settings.quotas };
  return project?.limits[key] ?? ofClass?.limits[key] ?? defaults[key] ?? -1;
}

export class QuotaLedger {
  readonly #settings: CinderSettings;

  constructor(settings: CinderSettings) {
    this.#settings = settings;
  }

  /** Adds to what the project uses; throws "over-limit" with Cinder's sentence when a limit would be exceeded. */
  async charge(tx: Tx, charge: Charge): Promise<void> {
    const changes = changesOf(charge);
    if (changes.length === 0) return;
    const usage = await readRecord(tx, quotaUsageKind, charge.projectId);
    const project = await readRecord(tx, quotaKind, charge.projectId);
    const ofClass = await readRecord(tx, quotaClassKind, defaultClass);
    for (const [key, amount] of changes) {
      const limit = limitOf(key, project, ofClass, this.#settings);
      const used = usage?.inUse[key] ?? 0;
      if (limit >= 0 && used + amount > limit) throw await this.#refusal(tx, charge, key, amount, limit, used);
    }
    write(tx, charge.projectId, usage, changes);
  }

  /** Takes from what the project uses. */
  async release(tx: Tx, charge: Charge): Promise<void> {
    const usage = await readRecord(tx, quotaUsageKind, charge.projectId);
    write(
      tx,
      charge.projectId,
      usage,
      changesOf(charge).map(([key, amount]) => [key, -amount]),
    );
  }

  /** Throws "over-limit" for a single volume beyond per_volume_gigabytes. */
  async checkVolumeSize(tx: Tx, projectId: string, sizeGib: number): Promise<void> {
    const project = await readRecord(tx, quotaKind, projectId);
    const ofClass = await readRecord(tx, quotaClassKind, defaultClass);
    const limit = limitOf("per_volume_gigabytes", project, ofClass, this.#settings);
    if (limit < 0 || sizeGib <= limit) return;
    throw overLimit(`VolumeSizeExceedsLimit: Requested volume size ${sizeGib}G is larger than maximum allowed limit ${limit}G.`);
  }

  async #refusal(tx: Tx, charge: Charge, key: string, amount: number, limit: number, used: number): Promise<Error> {
    const [resource, typeId] = splitKey(key);
    const type = typeId === undefined ? undefined : await readRecord(tx, typeKind, typeId);
    const name = typeId === undefined ? resource : `${resource}_${type?.name ?? typeId}`;
    if (resource === "gigabytes") {
      return overLimit(
        `VolumeSizeExceedsAvailableQuota: Requested volume or snapshot exceeds allowed ${name} quota. ` +
          `Requested ${charge.gigabytes ?? amount}G, quota is ${limit}G and ${used}G has been consumed.`,
      );
    }
    if (resource === "backup_gigabytes") {
      return overLimit(
        "VolumeBackupSizeExceedsAvailableQuota: Requested backup exceeds allowed Backup gigabytes quota. " +
          `Requested ${amount}G, quota is ${limit}G and ${used}G has been consumed.`,
      );
    }
    if (resource === "backups") {
      return overLimit(`BackupLimitExceeded: Maximum number of backups allowed (${limit}) exceeded`);
    }
    if (resource === "snapshots") {
      return overLimit(`SnapshotLimitExceeded: Maximum number of snapshots allowed (${limit}) exceeded`);
    }
    if (resource === "groups") return overLimit(`GroupLimitExceeded: Maximum number of groups allowed (${limit}) exceeded`);
    return overLimit(`VolumeLimitExceeded: Maximum number of volumes allowed (${limit}) exceeded for quota '${name}'.`);
  }
}

/** "gigabytes_<typeId>" as ["gigabytes", "<typeId>"]; a plain key alone. */
export function splitKey(key: string): readonly [string, string?] {
  for (const resource of typedResources) {
    if (key.startsWith(`${resource}_`)) return [resource, key.slice(resource.length + 1)];
  }
  return [key];
}

/** Gigabytes first: that is the refusal Cinder gives when several limits are exceeded. */
function changesOf(charge: Charge): (readonly [string, number])[] {
  const { backupGigabytes = 0, backups = 0 } = charge;
  const ofBackups: readonly (readonly [string, number])[] = [
    ["backup_gigabytes", backupGigabytes],
    ["backups", backups],
  ];
  const changes = ofBackups.filter(([, amount]) => amount !== 0);
  for (const resource of ["gigabytes", "snapshots", "volumes", "groups"] as const) {
    const amount = charge[resource] ?? 0;
    if (amount === 0) continue;
    if (charge.ofTypeOnly !== true) changes.push([resource, amount]);
    if (charge.typeId !== null) changes.push([`${resource}_${charge.typeId}`, amount]);
  }
  return changes;
}

function write(tx: Tx, projectId: string, usage: QuotaUsage | undefined, changes: readonly (readonly [string, number])[]): void {
  const inUse: Record<string, number> = { ...usage?.inUse };
  for (const [key, amount] of changes) {
    const used = (inUse[key] ?? 0) + amount;
    if (used < 0) throw new AndironError("internal", `quota usage ${key} of project ${projectId} would be negative`);
    if (used === 0) delete inUse[key];
    else inUse[key] = used;
  }
  if (Object.keys(inUse).length === 0) deleteRecord(tx, quotaUsageKind, projectId);
  else writeRecord(tx, quotaUsageKind, projectId, { v: 1, projectId, inUse });
}
