// The API's side of a process: the verbs over the engine's records, the meaning of the Block Storage API, its HTTP server.

import { fileURLToPath } from "node:url";
import { countApi } from "../api/api-metrics.ts";
import { loadApiDocument } from "../api/operations.ts";
import type { ApiServer } from "../api/server.ts";
import { createApiServer } from "../api/server.ts";
import { createCinder } from "../cinder/cinder.ts";
import { type CinderSettings, type PoolSettings, defaultSettings } from "../cinder/settings.ts";
import { systemClock } from "../common/clock.ts";
import type { BackendValues, Config } from "../common/config.ts";
import type { Log } from "../common/log.ts";
import type { Metrics } from "../common/metrics.ts";
import { systemRandom } from "../common/random.ts";
import type { Service } from "../common/service.ts";
import { RouterDiskMoves } from "../copying/disk-moves.ts";
import type { ObjectBackend } from "../engine/backend/backend.ts";
import type { DiskMoves, ExportDirectory, SnapshotDirectory } from "../engine/device.ts";
import type { LiveCuts } from "../engine/live-cuts.ts";
import { RecordControl } from "../engine/record-control.ts";
import type { Registry } from "../registry/registry.ts";
import { makeBackupPart } from "./backup-part.ts";
import { makeNotificationPart } from "./notification-part.ts";
import { makeImagePart } from "./image-part.ts";
import { makeKeyPart } from "./key-part.ts";
import { makeKeystonePart } from "./keystone-part.ts";
import { countJobEvents, watchJobs } from "./job-metrics.ts";
import { readApiTls } from "./pem-files.ts";

export interface ApiPartOptions {
  readonly config: Config;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly registry: Registry;
  readonly backends: ReadonlyMap<string, ObjectBackend>;
  /** Exports as the router of this process has them. */
  readonly exports: ExportDirectory;
  readonly snapshots: SnapshotDirectory;
  readonly moves: DiskMoves;
  readonly cuts: LiveCuts;
  readonly version: string;
  readonly unfitReason: () => string | undefined;
}

export interface ApiPart {
  readonly server: ApiServer;
  /** In the order in which they are started. */
  readonly services: readonly Service[];
}

const documentPath = fileURLToPath(new URL("../../openapi.yaml", import.meta.url));

export async function makeApiPart(options: ApiPartOptions): Promise<ApiPart> {
  const { config, log, metrics, registry, backends, snapshots } = options;
  const shared = { registry, clock: systemClock, random: systemRandom };
  const capacities = new Map([...backends].map(([name, backend]) => [name, () => backend.capacity()]));
  const control = new RecordControl({ ...shared, log: log.part("engine"), pools: capacities, cuts: options.cuts });
  const keystone = makeKeystonePart(config, log);
  const images = makeImagePart({ config, ...keystone, directory: options.exports });
  const backups = await makeBackupPart({ config, registry, session: keystone.session, exports: options.exports, snapshots });
  const keys = makeKeyPart({ config, ...keystone });
  const notifications = await makeNotificationPart({ config, log, metrics, registry });
  const cinder = createCinder({
    ...shared,
    control,
    policy: keystone.policy,
    servers: keystone.servers,
    images: images.images,
    keys: keys.keys,
    backups: backups.bytes,
    copies: new RouterDiskMoves(options.exports, options.moves),
    projects: keystone.projects,
    outbox: notifications.outbox,
    log,
    settings: cinderSettings(config, options.version),
    onTrouble: (what, error) => log.part("cinder").warning(what, { error }),
    jobObserver: countJobEvents(metrics),
  });
  watchJobs(metrics, () => cinder.jobCounts());
  const { osapi_volume_listen, osapi_volume_listen_port, public_endpoint, osapi_max_limit, osapi_max_request_body_size } =
    config.DEFAULT;
  const tls = await readApiTls(config);
  const server = createApiServer({
    listen: { host: osapi_volume_listen, port: osapi_volume_listen_port, option: "[DEFAULT] osapi_volume_listen_port" },
    document: await loadApiDocument(documentPath),
    ...(tls === undefined ? {} : { tls }),
    publicEndpoint: public_endpoint,
    parsesProxyHeaders: config.oslo_middleware.enable_proxy_headers_parsing,
    listLimitMax: osapi_max_limit,
    bodyBytesMax: osapi_max_request_body_size,
    disableByFilePath: config.healthcheck.disable_by_file_path,
    cinder,
    authenticator: keystone.authenticator,
    unfitReason: options.unfitReason,
    log: log.part("api"),
    metrics: countApi(metrics),
    clock: systemClock,
    random: systemRandom,
  });
  const verbs: Service = { id: "engine-control", start: () => control.start(), stop: () => control.stop() };
  const parts = [keystone, images, keys, backups, notifications];
  return {
    server,
    services: [...parts.flatMap(({ services }) => services), verbs, cinder, server],
  };
}

function poolSettings(backend: BackendValues): PoolSettings {
  const { volume_backend_name, reserved_percentage, max_over_subscription_ratio } = backend;
  return {
    backendName: volume_backend_name,
    reservedPercentage: reserved_percentage,
    overSubscriptionRatio: max_over_subscription_ratio,
    ...(backend.image_volume_cache_enabled
      ? { imageCache: { countMax: backend.image_volume_cache_max_count, gibMax: backend.image_volume_cache_max_size_gb } }
      : {}),
  };
}

function cinderSettings(config: Config, version: string): CinderSettings {
  const { DEFAULT } = config;
  return {
    ...defaultSettings,
    backendHost: DEFAULT.host,
    host: DEFAULT.host,
    availabilityZone:
      DEFAULT.default_availability_zone === "" ? DEFAULT.storage_availability_zone : DEFAULT.default_availability_zone,
    allowZoneFallback: DEFAULT.allow_availability_zone_fallback,
    defaultVolumeType: DEFAULT.default_volume_type,
    quotas: {
      volumes: DEFAULT.quota_volumes,
      snapshots: DEFAULT.quota_snapshots,
      gigabytes: DEFAULT.quota_gigabytes,
      backups: DEFAULT.quota_backups,
      backup_gigabytes: DEFAULT.quota_backup_gigabytes,
      groups: DEFAULT.quota_groups,
      per_volume_gigabytes: DEFAULT.per_volume_size_limit,
    },
    snapshotsCountGigabytes: !DEFAULT.no_snapshot_gb_quota,
    verifiesImageSignatures: DEFAULT.verify_glance_signatures === "enabled",
    allowsForcedUpload: DEFAULT.enable_force_upload,
    serviceTokenRoles: config.keystone_authtoken.service_token_roles.map((role) => role.toLowerCase()),
    messageLifetimeMs: DEFAULT.message_ttl * 1000,
    backupTellingIntervalMs: DEFAULT.backup_timer_interval * 1000,
    jobs: {
      runningMax: config.jobs.running_max,
      runningPerProjectMax: config.jobs.running_per_project_max,
      waitingMax: config.jobs.waiting_max,
      waitingPerProjectMax: config.jobs.waiting_per_project_max,
      triesMax: config.jobs.tries_max,
      endedKept: config.jobs.ended_kept,
      endedTtlMs: config.jobs.ended_ttl * 1000,
      leaseTtlMs: config.jobs.lease_ttl * 1000,
    },
    serviceDownMs: DEFAULT.service_down_time * 1000,
    pools: Object.fromEntries([...config.backends].map(([name, backend]) => [name, poolSettings(backend)])),
    driverVersion: version,
  };
}
