// Which pool a new volume goes to, and what a pool says of itself in Cinder's capability form. Pure functions over what
// control.pools() reports. Filters are asked in this order, by Cinder's names; the emptiest pool that passes all wins:
//
//   Service ─► SameBackend, DifferentBackend ─► AvailabilityZone ─► Capabilities ─► Capacity
//
// With no pool left, the reasons name for each pool the filter that refused it, and the figures.

import { formatUtcTime } from "../common/utc-time.ts";
import type { PoolInfo } from "../engine/control.ts";
import { capabilityOf, meets } from "./extra-specs.ts";
import { gibBytes, type Metadata } from "./model.ts";
import { type CinderSettings, poolDefaults } from "./settings.ts";

export type Capability = string | number | boolean | null;
export type Capabilities = Readonly<Record<string, Capability>>;

export interface PoolDemand {
  readonly sizeGib: number;
  readonly extraSpecs: Metadata;
  readonly availabilityZone: string;
  /** The only pool it may be: that of its source. */
  readonly pool?: string;
  /** The pool that it is in already: there is room for it. */
  readonly presentPool?: string;
  /** Hints: every volume of `same` is in the pool, none of `different`. */
  readonly samePools?: ReadonlySet<string>;
  readonly differentPools?: ReadonlySet<string>;
}

export type PoolChoice = { readonly pool: string } | { readonly reasons: readonly string[] };

/** "host@vpool", the name of a backend. */
export function backendName(settings: CinderSettings, pool: string): string {
  return `${settings.backendHost}@${pool}`;
}

/** "host@vpool#vpool", the host of a volume. */
export function volumeHost(settings: CinderSettings, pool: string): string {
  return `${backendName(settings, pool)}#${pool}`;
}

/** "host@vpool" of a volume's host. */
export function backendOfHost(host: string): string {
  return host.replace(/#.*/, "");
}

/** The vPool of a volume's host. */
export function poolOfHost(host: string): string {
  return host.slice(host.indexOf("#") + 1);
}

/** What get_pools shows and extra specs are compared with. `timestamp`: when the figures were taken. */
export function poolCapabilities(settings: CinderSettings, pool: PoolInfo, timestampMs: number): Capabilities {
  const { backendName: given, reservedPercentage, overSubscriptionRatio } = settings.pools[pool.name] ?? poolDefaults;
  return {
    vendor_name: settings.vendorName,
    volume_backend_name: given ?? pool.name,
    pool_name: pool.name,
    storage_protocol: pool.protocol,
    driver_version: settings.driverVersion,
    timestamp: formatUtcTime(timestampMs),
    total_capacity_gb: capacityGib(pool.totalBytes),
    free_capacity_gb: capacityGib(pool.freeBytes),
    allocated_capacity_gb: toGib(pool.provisionedBytes),
    provisioned_capacity_gb: toGib(pool.provisionedBytes),
    total_volumes: pool.vdiskCount,
    reserved_percentage: reservedPercentage,
    max_over_subscription_ratio: String(overSubscriptionRatio),
    thin_provisioning_support: true,
    thick_provisioning_support: false,
    multiattach: true,
    QoS_support: true,
    replication_enabled: false,
    consistent_group_snapshot_enabled: true,
    location_info: `andiron:${settings.backendHost}:${pool.name}`,
    filter_function: null,
    goodness_function: null,
    backend_state: "up",
  };
}

export function choosePool(
  settings: CinderSettings,
  pools: readonly PoolInfo[],
  demand: PoolDemand,
  isDisabled: (pool: string) => boolean,
): PoolChoice {
  const reasons: string[] = [];
  let best: PoolInfo | undefined;
  for (const pool of pools) {
    const reason = isDisabled(pool.name) ? "ServiceFilter: it is disabled" : refusal(settings, pool, demand);
    if (reason !== undefined) reasons.push(`${pool.name}: ${reason}`);
    else if (best === undefined || pool.freeBytes > best.freeBytes) best = pool;
  }
  if (best !== undefined) return { pool: best.name };
  return { reasons: reasons.length === 0 ? ["there is no pool"] : reasons };
}

/** The emptiest pool that suits every one of the demands. */
export function chooseCommonPool(
  settings: CinderSettings,
  pools: readonly PoolInfo[],
  demands: readonly PoolDemand[],
  isDisabled: (pool: string) => boolean,
): PoolChoice {
  const reasons = new Set<string>();
  const suiting = pools.filter((pool) =>
    demands.every((demand) => {
      const choice = choosePool(settings, [pool], demand, isDisabled);
      if ("reasons" in choice) for (const reason of choice.reasons) reasons.add(reason);
      return "pool" in choice;
    }),
  );
  const best = suiting.reduce<PoolInfo | undefined>(
    (kept, pool) => (kept && kept.freeBytes >= pool.freeBytes ? kept : pool),
    undefined,
  );
  if (best !== undefined) return { pool: best.name };
  return { reasons: reasons.size === 0 ? ["there is no pool"] : [...reasons] };
}

/** Why the pool can't take the volume; undefined when it can. */
function refusal(settings: CinderSettings, pool: PoolInfo, demand: PoolDemand): string | undefined {
  return (
    refusalByPlace(pool, demand) ??
    refusalByCapabilities(settings, pool, demand.extraSpecs) ??
    (demand.presentPool === pool.name ? undefined : refusalByCapacity(settings, pool, demand))
  );
}

function refusalByPlace(pool: PoolInfo, { pool: only, samePools, differentPools, ...demand }: PoolDemand): string | undefined {
  if (only !== undefined && only !== pool.name) return `SameBackendFilter: the source is in pool ${only}`;
  if (samePools !== undefined && ![...samePools].every((name) => name === pool.name)) {
    return `SameBackendFilter: same_host asks for ${[...samePools].join(", ")}`;
  }
  if (differentPools?.has(pool.name) === true) return "DifferentBackendFilter: a volume of different_host is in it";
  const zones = demand.extraSpecs["RESKEY:availability_zones"];
  if (zones !== undefined && !zones.split(",").some((zone) => zone.trim() === demand.availabilityZone)) {
    return `AvailabilityZoneFilter: the type is for zones ${zones}, not for ${demand.availabilityZone}`;
  }
  return undefined;
}

function refusalByCapabilities(settings: CinderSettings, pool: PoolInfo, extraSpecs: Metadata): string | undefined {
  const capabilities = poolCapabilities(settings, pool, 0);
  for (const [key, requirement] of Object.entries(extraSpecs)) {
    const name = capabilityOf(key);
    if (name !== undefined && !meets(requirement, capabilities[name])) {
      return `CapabilitiesFilter: ${name} is ${String(capabilities[name] ?? "not known")}, not "${requirement}"`;
    }
  }
  return undefined;
}

/** As for any thin pool of Cinder: provisioned space has its ratio to the whole, and the request its ratio to what is free. */
function refusalByCapacity(settings: CinderSettings, pool: PoolInfo, { sizeGib }: PoolDemand): string | undefined {
  if (!Number.isFinite(pool.totalBytes)) return undefined;
  if (pool.totalBytes <= 0) return "CapacityFilter: its capacity is not known";
  const { overSubscriptionRatio: ratio, reservedPercentage } = settings.pools[pool.name] ?? poolDefaults;
  const provisionedGib = toGib(pool.provisionedBytes);
  if (pool.provisionedBytes + sizeGib * gibBytes > pool.totalBytes * ratio) {
    return (
      `CapacityFilter: ${provisionedGib} GiB are provisioned of ${toGib(pool.totalBytes)} GiB, and ${sizeGib} GiB more exceed ` +
      `max_over_subscription_ratio ${ratio}`
    );
  }
  const freeBytes = pool.freeBytes - (pool.totalBytes * reservedPercentage) / 100;
  if (freeBytes * ratio >= sizeGib * gibBytes) return undefined;
  return (
    `CapacityFilter: ${toGib(Math.max(freeBytes, 0))} GiB are free beside the ${reservedPercentage} % reserved, ` +
    `times ${ratio} less than the ${sizeGib} GiB asked for`
  );
}

function toGib(bytes: number): number {
  return Math.round((bytes / gibBytes) * 100) / 100;
}

/** Object stores have no end: Cinder's word for that is "infinite". */
function capacityGib(bytes: number): number | "infinite" {
  return Number.isFinite(bytes) ? toGib(bytes) : "infinite";
}
