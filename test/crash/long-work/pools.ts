// The service that does the long work of the campaigns: two pools, each with a volume type of its name; one of them keeps images.
// The jobs' lease is short, so that what a dead process had is soon taken over; the rest is small, so that much happens soon.

import type { BlockStorage } from "../../harness/block-storage.ts";
import type { ConfigGroups } from "../../harness/service.ts";

export const pools = ["east", "west"] as const;
/** The next volumes of an image are clones here. */
export const cachingPool = "west";

const unlimited = { quota_backups: -1, quota_backup_gigabytes: -1, quota_groups: -1 };

export const poolConfig: ConfigGroups = {
  DEFAULT: { enabled_backends: pools.join(","), image_conversion_cpu_limit: 600, backup_driver: "posix", ...unlimited },
  [cachingPool]: { image_volume_cache_enabled: true, image_volume_cache_max_count: 2 },
  jobs: { lease_ttl: 2, running_max: 16, running_per_project_max: 16 },
  engine: { segment_bytes: 4 * 1024 * 1024, cleaner_interval: 0.2, retired_grace: 0.5 },
};

export async function makePoolTypes(api: BlockStorage): Promise<void> {
  for (const name of pools) {
    await api.call("POST", "/types", { volume_type: { name, extra_specs: { volume_backend_name: name } } });
  }
}
