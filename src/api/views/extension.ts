// The extensions that clients look for: Cinder's 32 names. They are fixed since the API has microversions; Horizon reads
// "Services" from here, and tempest compares the list.

import type { JsonObject } from "../call.ts";

type Row = readonly [alias: string, name: string, updated: string, description: string];

const rows: readonly Row[] = [
  ["OS-SCH-HNT", "SchedulerHints", "2013-04-18", "Hints to the scheduler when a volume is created."],
  ["backups", "Backups", "2012-12-12", "Backups of volumes."],
  ["capabilities", "Capabilities", "2015-08-31", "What a backend can do."],
  ["cgsnapshots", "Cgsnapshots", "2014-08-18", "Snapshots of consistency groups."],
  ["consistencygroups", "Consistencygroups", "2014-08-18", "Consistency groups."],
  ["encryption", "VolumeTypeEncryption", "2013-07-01", "Encryption of volumes by their type."],
  ["os-admin-actions", "AdminActions", "2012-08-25", "Actions for administrators: status reset, forced delete and detach."],
  ["os-availability-zone", "AvailabilityZones", "2013-06-27", "Availability zones."],
  ["os-extended-services", "ExtendedServices", "2014-01-10", "Reasons of disabled services."],
  ["os-extended-snapshot-attributes", "ExtendedSnapshotAttributes", "2012-06-19", "Progress and project of snapshots."],
  ["os-hosts", "Hosts", "2011-06-29", "Hosts and what they carry."],
  ["os-quota-class-sets", "QuotaClasses", "2012-03-12", "Default quotas."],
  ["os-quota-sets", "Quotas", "2011-08-08", "Quotas of projects."],
  ["os-services", "Services", "2012-10-28", "Services, to be listed, enabled and disabled."],
  ["os-snapshot-actions", "SnapshotActions", "2013-07-16", "Status updates of snapshots."],
  ["os-snapshot-manage", "SnapshotManage", "2014-12-31", "Taking existing snapshots in."],
  ["os-snapshot-unmanage", "SnapshotUnmanage", "2014-12-31", "Letting snapshots go without deleting them."],
  ["os-types-extra-specs", "TypesExtraSpecs", "2011-08-24", "Extra specs of volume types."],
  ["os-types-manage", "TypesManage", "2011-08-24", "Creating, changing and deleting volume types."],
  ["os-used-limits", "UsedLimits", "2013-10-03", "Use of limited resources."],
  ["os-vol-host-attr", "VolumeHostAttribute", "2011-11-03", "The host of a volume."],
  ["os-vol-image-meta", "VolumeImageMetadata", "2012-12-07", "Image metadata of volumes."],
  ["os-vol-mig-status-attr", "VolumeMigStatusAttribute", "2013-08-08", "Migration status of a volume."],
  ["os-vol-tenant-attr", "VolumeTenantAttribute", "2011-11-03", "The project of a volume."],
  ["os-volume-actions", "VolumeActions", "2012-05-31", "Actions on volumes."],
  ["os-volume-encryption-metadata", "VolumeEncryptionMetadata", "2013-07-10", "How a volume is encrypted."],
  ["os-volume-manage", "VolumeManage", "2014-02-10", "Taking existing volumes in."],
  ["os-volume-transfer", "VolumeTransfer", "2013-05-29", "Handing volumes to another project."],
  ["os-volume-type-access", "VolumeTypeAccess", "2014-06-26", "Projects that may use a private type."],
  ["os-volume-unmanage", "VolumeUnmanage", "2012-05-31", "Letting volumes go without deleting them."],
  ["qos-specs", "Qos_specs_manage", "2013-08-02", "Quality of service by type."],
  ["scheduler-stats", "Scheduler_stats", "2014-09-07", "Pools and their capacity."],
];

export const extensionViews: readonly JsonObject[] = rows.map(([alias, name, updated, description]) => ({
  alias,
  name,
  updated: `${updated}T00:00:00+00:00`,
  description,
  links: [],
}));
