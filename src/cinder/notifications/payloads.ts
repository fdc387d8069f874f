// What a notification says of a resource: Cinder's fields with Cinder's forms. Pure.
//
// - Times of resources are as Python's isoformat() has them, those of rows (attachments, types) as oslo.serialization does.
// - The name of an export is left out of connection_info: it lets whoever knows it into the disk.

import { formatUtcTime } from "../../common/utc-time.ts";
import type { Backup } from "../backups/backup.ts";
import type { Attachment, Group, GroupSnapshot, GroupType, Metadata, Snapshot, Volume, VolumeType } from "../model.ts";
import { pythonQuote, pythonText } from "./python-text.ts";

export type Payload = Readonly<Record<string, unknown>>;

/** "2026-11-25T07:00:00+00:00", with microseconds when there are any. */
function isoTime(ms: number): string {
  return `${formatUtcTime(ms).replace(/\.0{6}$/, "")}+00:00`;
}

const rowTimeOrNull = (ms: number | null | undefined): string | null => (ms == null ? null : formatUtcTime(ms));

export interface VolumeShown {
  readonly volume: Volume;
  readonly attachments: readonly Attachment[];
  readonly status: string;
  readonly nowMs: number;
  /** Fields over those of the volume. */
  readonly extra?: Payload;
}

export function volumePayload({ volume, attachments, status, nowMs, extra }: VolumeShown): Payload {
  const isMade = volume.host !== null && !["creating", "downloading"].includes(status);
  return {
    tenant_id: volume.projectId,
    host: volume.host,
    user_id: volume.userId,
    availability_zone: volume.availabilityZone,
    volume_id: volume.id,
    volume_type: volume.typeId,
    display_name: volume.name,
    // Cinder says the moment itself of what could not be used yet, and says that without a zone.
    launched_at: isMade ? isoTime(volume.launchedAtMs ?? volume.createdAtMs) : formatUtcTime(nowMs),
    created_at: isoTime(volume.createdAtMs),
    status,
    snapshot_id: volume.snapshotId,
    size: volume.sizeGib,
    replication_status: null,
    replication_extended_status: null,
    replication_driver_data: null,
    metadata: Object.entries(volume.metadata).map(([key, value]) => ({ key, value })),
    ...extra,
    volume_attachment: attachments.map(attachmentRow),
    ...glanceMetadata(volume),
  };
}

function glanceMetadata({ id, imageMetadata, createdAtMs }: Volume): Payload {
  const items = Object.entries(imageMetadata);
  if (items.length === 0) return {};
  const rest = { volume_id: id, snapshot_id: null, ...unchanged(createdAtMs) };
  return { glance_metadata: items.map(([key, value]) => ({ key, value, ...rest })) };
}

const unchanged = (createdAtMs: number): Payload => ({
  created_at: formatUtcTime(createdAtMs),
  updated_at: null,
  deleted_at: null,
  deleted: false,
});

/** JSON with the spaces that Python puts into it. */
function jsonText(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(jsonText).join(", ")}]`;
  if (value === null || typeof value !== "object") return JSON.stringify(value ?? null);
  const items = Object.entries(value).filter(([, inner]) => inner !== undefined);
  return `{${items.map(([key, inner]) => `${JSON.stringify(key)}: ${jsonText(inner)}`).join(", ")}}`;
}

function attachmentRow(row: Attachment): Payload {
  return {
    id: row.id,
    volume_id: row.volumeId,
    instance_uuid: row.instanceId,
    attached_host: row.attachedHost,
    mountpoint: row.mountpoint,
    attach_time: rowTimeOrNull(row.attachedAtMs),
    detach_time: null,
    attach_status: row.status,
    attach_mode: row.attachMode ?? "null",
    connection_info: row.connectionInfo === null ? null : jsonText({ ...row.connectionInfo, name: "***" }),
    connector: row.connector === null ? null : jsonText(row.connector),
    created_at: formatUtcTime(row.createdAtMs),
    updated_at: rowTimeOrNull(row.updatedAtMs),
    deleted_at: null,
    deleted: false,
  };
}

export function snapshotPayload(snapshot: Snapshot, status: string): Payload {
  return {
    tenant_id: snapshot.projectId,
    user_id: snapshot.userId,
    availability_zone: snapshot.availabilityZone,
    volume_id: snapshot.volumeId,
    volume_size: snapshot.sizeGib,
    snapshot_id: snapshot.id,
    display_name: snapshot.name,
    created_at: isoTime(snapshot.createdAtMs),
    status,
    deleted: status === "deleted" ? "True" : "",
    metadata: Object.keys(snapshot.metadata).length === 0 ? "" : pythonText(snapshot.metadata),
  };
}

export function backupPayload(backup: Backup, status: string, dependents: number): Payload {
  return {
    tenant_id: backup.projectId,
    user_id: backup.userId,
    availability_zone: backup.availabilityZone,
    backup_id: backup.id,
    host: backup.host,
    display_name: backup.name,
    created_at: isoTime(backup.createdAtMs),
    status,
    volume_id: backup.volumeId,
    size: backup.sizeGib,
    service_metadata: backup.location === null ? null : JSON.stringify(backup.location),
    service: backup.service,
    fail_reason: backup.failReason,
    parent_id: backup.parentId,
    num_dependent_backups: dependents,
    snapshot_id: backup.snapshotId,
  };
}

export function groupPayload(group: Group, status: string): Payload {
  return {
    tenant_id: group.projectId,
    user_id: group.userId,
    availability_zone: group.availabilityZone,
    group_id: group.id,
    group_type: group.groupTypeId,
    name: group.name,
    created_at: isoTime(group.createdAtMs),
    status,
  };
}

export function groupSnapshotPayload(snapshot: GroupSnapshot, status: string): Payload {
  return {
    tenant_id: snapshot.projectId,
    user_id: snapshot.userId,
    group_snapshot_id: snapshot.id,
    name: snapshot.name,
    group_id: snapshot.groupId,
    group_type: snapshot.groupTypeId,
    created_at: isoTime(snapshot.createdAtMs),
    status,
  };
}

export function typePayload(type: VolumeType, specs: Metadata = type.extraSpecs): Payload {
  return {
    volume_types: {
      id: type.id,
      name: type.name,
      description: type.description,
      is_public: type.isPublic,
      extra_specs: specs,
      qos_specs_id: type.qosSpecsId,
      ...changeTimes(type),
      deleted_at: null,
      deleted: false,
    },
  };
}

export function groupTypePayload(type: GroupType): Payload {
  return {
    group_types: {
      id: type.id,
      name: type.name,
      description: type.description,
      is_public: type.isPublic,
      group_specs: type.groupSpecs,
      ...changeTimes(type),
      deleted_at: null,
      deleted: false,
    },
  };
}

export function changeTimes(record: { readonly createdAtMs: number; readonly updatedAtMs: number | null }): Payload {
  return { created_at: formatUtcTime(record.createdAtMs), updated_at: rowTimeOrNull(record.updatedAtMs) };
}

/** That no pool was found: of what was asked for, what a consumer of Cinder's can read. */
export function unplacedPayload(volume: Volume, type: VolumeType, reason: string): Payload {
  const properties = {
    attach_status: volume.attachStatus,
    availability_zone: volume.availabilityZone,
    cgsnapshot_id: null,
    consistencygroup_id: null,
    group_id: volume.groupId,
    display_description: volume.description,
    display_name: volume.name,
    encryption_key_id: null,
    metadata: volume.metadata,
    multiattach: volume.multiattach,
    project_id: volume.projectId,
    qos_specs: null,
    reservations: [],
    size: volume.sizeGib,
    snapshot_id: volume.snapshotId,
    source_volid: volume.sourceVolumeId,
    status: "creating",
    user_id: volume.userId,
    volume_type_id: volume.typeId,
  };
  const request = {
    consistencygroup_id: null,
    group_id: volume.groupId,
    cgsnapshot_id: null,
    image_id: null,
    snapshot_id: volume.snapshotId,
    source_volid: volume.sourceVolumeId,
    volume_id: volume.id,
    volume_type: { ...(typePayload(type)["volume_types"] as Payload), projects: type.access },
    volume_properties: properties,
    backup_id: null,
    availability_zones: [volume.availabilityZone],
    resource_properties: properties,
  };
  return {
    request_spec: request,
    volume_properties: properties,
    volume_id: volume.id,
    state: "error",
    method: "create_volume",
    reason: `NoValidBackend(${pythonQuote(`No valid backend was found. ${reason}`)})`,
  };
}
