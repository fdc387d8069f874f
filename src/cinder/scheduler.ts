// Which pool a new volume goes to, and what a pool says of itself in Cinder's capability form. Pure functions over what
// control.pools() reports; the emptiest pool that meets everything wins. With none, the reasons tell why, pool by pool.

import { formatUtcTime } from "../common/utc-time.ts";
import type { PoolInfo } from "../engine/control.ts";
import { capabilityOf, meets } from "./extra-specs.ts";
import type { Metadata } from "./model.ts";
import type { CinderSettings } from "./settings.ts";

const gibBytes = 2 ** 30;

export type Capability = string | number | boolean | null;
export type Capabilities = Readonly<Record<string, Capability>>;

export interface PoolDemand {
  readonly sizeGib: number;
  readonly extraSpecs: Metadata;
  readonly availabilityZone: string;
  /** The only pool it may be: that of its source. */
  readonly pool?: string;
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

/** The vPool of a volume's host. */
export function poolOfHost(host: string): string {
  return host.slice(host.indexOf("#") + 1);
}

/** What get_pools shows and extra specs are compared with. `timestamp`: when the figures were taken. */
export function poolCapabilities(settings: CinderSettings, pool: PoolInfo, timestampMs: number): Capabilities {
  return {
    vendor_name: settings.vendorName,
    volume_backend_name: pool.name,
    pool_name: pool.name,
    storage_protocol: pool.protocol,
    driver_version: settings.driverVersion,
    timestamp: formatUtcTime(timestampMs),
    total_capacity_gb: capacityGib(pool.totalBytes),
    free_capacity_gb: capacityGib(pool.freeBytes),
    allocated_capacity_gb: toGib(pool.provisionedBytes),
    provisioned_capacity_gb: toGib(pool.provisionedBytes),
    total_volumes: pool.vdiskCount,
    reserved_percentage: settings.reservedPercentage,
    max_over_subscription_ratio: String(settings.overSubscriptionRatio),
    thin_provisioning_support: true,
    thick_provisioning_support: false,
    multiattach: true,
    QoS_support: false,
    replication_enabled: false,
    consistent_group_snapshot_enabled: false,
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
    const reason = isDisabled(pool.name) ? "it is disabled" : refusal(settings, pool, demand);
    if (reason !== undefined) reasons.push(`${pool.name}: ${reason}`);
    else if (best === undefined || pool.freeBytes > best.freeBytes) best = pool;
  }
  if (best !== undefined) return { pool: best.name };
  return { reasons: reasons.length === 0 ? ["there is no pool"] : reasons };
}

/** Why the pool can't take the volume; undefined when it can. */
function refusal(settings: CinderSettings, pool: PoolInfo, demand: PoolDemand): string | undefined {
  if (demand.pool !== undefined && demand.pool !== pool.name) return "the source is in another pool";
  const zones = demand.extraSpecs["RESKEY:availability_zones"];
  if (zones !== undefined && !zones.split(",").some((zone) => zone.trim() === demand.availabilityZone)) {
    return `the type is not for zone ${demand.availabilityZone}`;
  }
  const capabilities = poolCapabilities(settings, pool, 0);
  for (const [key, requirement] of Object.entries(demand.extraSpecs)) {
    const name = capabilityOf(key);
    if (name !== undefined && !meets(requirement, capabilities[name])) {
      return `${name} is ${String(capabilities[name] ?? "not known")}, not "${requirement}"`;
    }
  }
  if (!Number.isFinite(pool.totalBytes) || pool.totalBytes <= 0) return undefined;
  const sizeBytes = demand.sizeGib * gibBytes;
  const usableBytes = pool.totalBytes * (1 - settings.reservedPercentage / 100) * settings.overSubscriptionRatio;
  if (pool.provisionedBytes + sizeBytes > usableBytes) {
    return `${toGib(pool.provisionedBytes)} GiB of at most ${toGib(usableBytes)} GiB are provisioned`;
  }
  return undefined;
}

function toGib(bytes: number): number {
  return Math.round((bytes / gibBytes) * 100) / 100;
}

/** Object stores have no end: Cinder's word for that is "infinite". */
function capacityGib(bytes: number): number | "infinite" {
  return Number.isFinite(bytes) ? toGib(bytes) : "infinite";
}
