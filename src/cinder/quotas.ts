// Quota sets, quota classes and limits, as the API shows them: usage and limits by key, per-type keys by the type's name.
// The figures are quota-ledger.ts's; nothing is counted here.

import type { RequestContext } from "./context.ts";
import { invalidInput } from "./faults.ts";
import type { QuotaRecord } from "./model.ts";
import { ownTarget } from "./policy.ts";
import type { CinderPorts } from "./ports.ts";
import { defaultClass, limitOf, splitKey, typedResources } from "./quota-ledger.ts";
import { deleteRecord, quotaClassKind, quotaKind, readRecord, writeRecord, type Kind } from "./records.ts";
import type { Limits, QuotaSet, Quotas, QuotaValue } from "./verbs.ts";

type LimitsByKey = Readonly<Record<string, number>>;

const noLimits: QuotaRecord = { v: 1, limits: {} };

export class QuotaService implements Quotas {
  readonly #ports: CinderPorts;

  constructor(ports: CinderPorts) {
    this.#ports = ports;
  }

  async show(context: RequestContext, projectId: string): Promise<QuotaSet> {
    this.#ports.policy.enforce(context, "volume_extension:quotas:show", { projectId });
    await this.#ports.index.fresh();
    return this.#setOf(projectId, this.#ports.index.quotas.get(projectId));
  }

  async showDefaults(context: RequestContext, projectId: string): Promise<QuotaSet> {
    this.#ports.policy.enforce(context, "volume_extension:quotas:show", { projectId });
    await this.#ports.index.fresh();
    return this.#setOf(projectId, undefined);
  }

  async set(context: RequestContext, projectId: string, limits: LimitsByKey): Promise<QuotaSet> {
    this.#ports.policy.enforce(context, "volume_extension:quotas:update", { projectId });
    await this.#write(quotaKind, projectId, limits);
    await this.#ports.index.fresh();
    return this.#setOf(projectId, this.#ports.index.quotas.get(projectId));
  }

  async delete(context: RequestContext, projectId: string): Promise<void> {
    this.#ports.policy.enforce(context, "volume_extension:quotas:delete", { projectId });
    await this.#ports.store.commit(projectId, async (tx) => {
      if ((await readRecord(tx, quotaKind, projectId)) !== undefined) deleteRecord(tx, quotaKind, projectId);
    });
  }

  async showClass(context: RequestContext, className: string): Promise<LimitsByKey> {
    this.#ports.policy.enforce(context, "volume_extension:quota_classes:get", ownTarget(context));
    await this.#ports.index.fresh();
    return this.#classLimits(className);
  }

  async setClass(context: RequestContext, className: string, limits: LimitsByKey): Promise<LimitsByKey> {
    this.#ports.policy.enforce(context, "volume_extension:quota_classes:update", ownTarget(context));
    await this.#write(quotaClassKind, className, limits);
    await this.#ports.index.fresh();
    return this.#classLimits(className);
  }

  async limits(context: RequestContext, projectId: string | undefined): Promise<Limits> {
    const target = projectId ?? context.projectId;
    if (target !== context.projectId) this.#ports.policy.enforce(context, "limits_extension:used_limits", { projectId: target });
    await this.#ports.index.fresh();
    const set = this.#setOf(target, this.#ports.index.quotas.get(target));
    const value = (key: string): QuotaValue => set[key] ?? { limit: -1, inUse: 0, reserved: 0 };
    const limits: Limits = {
      maxTotalVolumes: value("volumes").limit,
      maxTotalVolumeGigabytes: value("gigabytes").limit,
      maxTotalSnapshots: value("snapshots").limit,
      maxTotalBackups: value("backups").limit,
      maxTotalBackupGigabytes: value("backup_gigabytes").limit,
    };
    if (!this.#ports.policy.allows(context, "limits_extension:used_limits", { projectId: target })) return limits;
    return {
      ...limits,
      totalVolumesUsed: value("volumes").inUse,
      totalGigabytesUsed: value("gigabytes").inUse,
      totalSnapshotsUsed: value("snapshots").inUse,
      totalBackupsUsed: value("backups").inUse,
      totalBackupGigabytesUsed: value("backup_gigabytes").inUse,
    };
  }

  #setOf(projectId: string, project: QuotaRecord | undefined): QuotaSet {
    const { index, settings } = this.#ports;
    const ofClass = index.quotaClasses.get(defaultClass);
    const usage = index.quotaUsages.get(projectId);
    const set: Record<string, QuotaValue> = {};
    for (const [name, key] of this.#keys()) {
      set[name] = { limit: limitOf(key, project, ofClass, settings), inUse: usage?.inUse[key] ?? 0, reserved: 0 };
    }
    return set;
  }

  #classLimits(className: string): LimitsByKey {
    const { index, settings } = this.#ports;
    const ofClass = index.quotaClasses.get(className);
    return Object.fromEntries([...this.#keys()].map(([name, key]) => [name, limitOf(key, undefined, ofClass, settings)]));
  }

  /** Names as the API has them, with the keys of the records. */
  #keys(): ReadonlyMap<string, string> {
    const keys = new Map<string, string>(Object.keys(this.#ports.settings.quotas).map((key) => [key, key]));
    for (const type of this.#ports.index.types.values()) {
      for (const resource of typedResources) keys.set(`${resource}_${type.name}`, `${resource}_${type.id}`);
    }
    return keys;
  }

  /** Merges `limits` into the record; keys of types that are gone are dropped on the way. */
  async #write(kind: Kind<QuotaRecord>, id: string, limits: LimitsByKey): Promise<void> {
    await this.#ports.index.fresh();
    const keys = this.#keys();
    const unknown = Object.keys(limits).filter((name) => !keys.has(name));
    if (unknown.length > 0)
      throw invalidInput(`Bad key(s) in quota ${kind === quotaKind ? "set" : "class set"}: ${unknown.join(", ")}`);
    const changes: Record<string, number> = {};
    for (const [name, limit] of Object.entries(limits)) {
      if (!Number.isSafeInteger(limit) || limit < -1) throw invalidInput(`Quota limit ${name} must be -1 or greater.`);
      changes[keys.get(name)!] = limit;
    }
    await this.#ports.store.commit(id, async (tx) => {
      const present = (await readRecord(tx, kind, id)) ?? noLimits;
      const kept = Object.entries(present.limits).filter(([key]) => {
        const [, typeId] = splitKey(key);
        return typeId === undefined || this.#ports.index.types.get(typeId) !== undefined;
      });
      writeRecord(tx, kind, id, { v: 1, limits: { ...Object.fromEntries(kept), ...changes } });
    });
  }
}
