// Tempest's configuration for the cloud of test/cloud. What the service is asked for is fixed: nothing is turned off here to
// get a test out of the way; what may fail or be skipped stands in the lists beside this file.

import type { Cloud } from "../test/cloud/cloud.ts";
import { poolNames } from "../test/cloud/cloud.ts";
import { password } from "../test/keystone/keystone.ts";

export interface TempestImages {
  readonly first: string;
  readonly second: string;
}

/** File of the accounts in the folder. */
export const accountsName = "accounts.yaml";

type Groups = Readonly<Record<string, Readonly<Record<string, string | number | boolean>>>>;

/** Tempest works as the users of the accounts' file, or makes users and projects for each class of tests. */
type Credentials = "accounts" | "dynamic";

/** What servers can do with volumes. */
const computeFeatures: Groups[string] = {
  live_migration: true,
  block_migration_for_live_migration: true,
  block_migrate_cinder_iscsi: true, // of volumes, whatever they are attached by
  volume_backed_live_migration: true,
  volume_multiattach: true,
  swap_volume: true,
  attach_encrypted_volume: true,
  stable_rescue: true,
};

const volumeFeatures: Groups[string] = {
  multi_backend: true,
  manage_volume: true,
  manage_snapshot: true,
  extend_attached_volume: true,
  extend_attached_encrypted_volume: true,
  snapshot: true,
  clone: true,
  backup: true,
  consistency_group: true,
  volume_revert: true,
  // The name that later releases of Tempest give to what release 33 tests without being asked.
  volume_image_dep_tests: true,
  enable_volume_image_dep_tests: true,
};

/** The text of tempest.conf; what Tempest writes goes below `folder`. */
export function writeConfiguration(cloud: Cloud, images: TempestImages, folder: string, credentials: Credentials): string {
  const { servers } = cloud;
  // A guest without KVM takes long to boot, and gives a disk back only when it has.
  const timeoutSeconds = servers === undefined ? 120 : 400;
  const groups: Groups = {
    DEFAULT: { log_file: `${folder}/tempest.log` },
    oslo_concurrency: { lock_path: `${folder}/locks` },
    auth: {
      use_dynamic_credentials: credentials === "dynamic",
      ...(credentials === "accounts" ? { test_accounts_file: `${folder}/${accountsName}` } : {}),
      create_isolated_networks: false,
      admin_username: "admin",
      admin_password: password,
      admin_project_name: "admin",
      admin_domain_name: "Default",
    },
    identity: { uri_v3: cloud.keystone.url, auth_version: "v3", region: "RegionOne", default_domain_id: "default" },
    service_available: {
      cinder: true,
      glance: true,
      nova: servers !== undefined,
      barbican: servers !== undefined,
      neutron: false,
      swift: false,
    },
    compute: {
      image_ref: images.first,
      image_ref_alt: images.second,
      ...(servers === undefined ? {} : { flavor_ref: servers.flavors[0], flavor_ref_alt: servers.flavors[1] }),
      ...(servers === undefined ? {} : { min_compute_nodes: servers.hosts, max_microversion: "latest" }),
      build_interval: 1,
      build_timeout: timeoutSeconds,
    },
    "compute-feature-enabled": computeFeatures,
    validation: { run_validation: false },
    volume: {
      catalog_type: "block-storage",
      min_microversion: "3.0",
      max_microversion: "latest",
      backend_names: poolNames.join(","),
      storage_protocol: "nbd",
      vendor_name: "Andiron",
      volume_size: 1,
      build_interval: 1,
      build_timeout: timeoutSeconds,
      manage_volume_ref: "source-name,volume-%s",
      manage_snapshot_ref: "source-name,snapshot-%s",
    },
    "volume-feature-enabled": volumeFeatures,
  };
  return Object.entries(groups)
    .map(([group, options]) => {
      const lines = Object.entries(options).map(([name, value]) => `${name} = ${value}\n`);
      return `[${group}]\n${lines.join("")}`;
    })
    .join("\n");
}
