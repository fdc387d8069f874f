// What an operator decides about the meaning of the API. Filled from the configuration by bin/; the comments name the
// option of cinder.conf with the same meaning.

export interface QuotaDefaults {
  readonly volumes: number; // quota_volumes
  readonly snapshots: number; // quota_snapshots
  readonly gigabytes: number; // quota_gigabytes
  readonly backups: number; // quota_backups
  readonly backup_gigabytes: number; // quota_backup_gigabytes
  readonly groups: number; // quota_groups
  readonly per_volume_gigabytes: number; // per_volume_size_limit
}

export interface JobSettings {
  /** Jobs at a time in this process, and of one project anywhere. */
  readonly runningMax: number;
  readonly runningPerProjectMax: number;
  /** Jobs that have not ended, in all and of one project. */
  readonly waitingMax: number;
  readonly waitingPerProjectMax: number;
  /** Failures without progress. */
  readonly triesMax: number;
  /** Ended jobs of a project, and for how long. */
  readonly endedKept: number;
  readonly endedTtlMs: number;
  /** After this time the jobs of a silent process are anybody's. */
  readonly leaseTtlMs: number;
}

/** Options of a backend's group. */
export interface PoolSettings {
  /** volume_backend_name. Absent: the vPool's own name. */
  readonly backendName?: string;
  /** reserved_percentage. */
  readonly reservedPercentage: number;
  /** max_over_subscription_ratio. */
  readonly overSubscriptionRatio: number;
  /** image_volume_cache_max_count, image_volume_cache_max_size_gb, 0 for no limit; absent without image_volume_cache_enabled. */
  readonly imageCache?: { readonly countMax: number; readonly gibMax: number };
}

export const poolDefaults: PoolSettings = { reservedPercentage: 0, overSubscriptionRatio: 20 };

export interface CinderSettings {
  /** backend_host: the name before "@vpool#vpool". One for the whole cluster: disks are not bound to a machine. */
  readonly backendHost: string;
  /** host: the name of this machine, for the rows of cinder-scheduler. */
  readonly host: string;
  /** storage_availability_zone. */
  readonly availabilityZone: string;
  /** allow_availability_zone_fallback. */
  readonly allowZoneFallback: boolean;
  /** default_volume_type: a name; created at the first start. */
  readonly defaultVolumeType: string;
  readonly quotas: QuotaDefaults;
  /** The opposite of no_snapshot_gb_quota. */
  readonly snapshotsCountGigabytes: boolean;
  /** message_ttl. */
  readonly messageLifetimeMs: number;
  /** backup_timer_interval. */
  readonly backupTellingIntervalMs: number;
  /** service_down_time. */
  readonly serviceDownMs: number;
  /** service_token_roles: a service token with one of them may detach what a server uses. */
  readonly serviceTokenRoles: readonly string[];
  /** report_interval. */
  readonly reportIntervalMs: number;
  /** How often unfinished work is looked for, beside the events that announce it. */
  readonly reconcileIntervalMs: number;
  readonly jobs: JobSettings;
  /** verify_glance_signatures: false for "disabled". */
  readonly verifiesImageSignatures: boolean;
  /** enable_force_upload: images of volumes in use. */
  readonly allowsForcedUpload: boolean;
  /** How long a read waits for the index before it is refused as unavailable. */
  readonly readWaitMs: number;
  /** By vPool. One that is not here is as `poolDefaults` say. */
  readonly pools: Readonly<Record<string, PoolSettings>>;
  readonly vendorName: string;
  readonly driverVersion: string;
}

export const defaultSettings: CinderSettings = {
  backendHost: "andiron",
  host: "andiron",
  availabilityZone: "nova",
  allowZoneFallback: false,
  defaultVolumeType: "__DEFAULT__",
  quotas: {
    volumes: 10,
    snapshots: 10,
    gigabytes: 1000,
    backups: 10,
    backup_gigabytes: 1000,
    groups: 10,
    per_volume_gigabytes: -1,
  },
  snapshotsCountGigabytes: true,
  messageLifetimeMs: 30 * 24 * 3600 * 1000,
  backupTellingIntervalMs: 120_000,
  serviceDownMs: 60_000,
  serviceTokenRoles: ["service"],
  reportIntervalMs: 10_000,
  reconcileIntervalMs: 30_000,
  jobs: {
    runningMax: 8,
    runningPerProjectMax: 4,
    waitingMax: 10_000,
    waitingPerProjectMax: 1000,
    triesMax: 10,
    endedKept: 100,
    endedTtlMs: 7 * 24 * 3600 * 1000,
    leaseTtlMs: 10_000,
  },
  verifiesImageSignatures: true,
  allowsForcedUpload: false,
  readWaitMs: 10_000,
  pools: {},
  vendorName: "Andiron",
  driverVersion: "1.0",
};
