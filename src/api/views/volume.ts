// Volumes as JSON. A field that came with a microversion is left out below it: tempest's schemas refuse unknown fields.
//
//   3.13 group_id · 3.21 provider_id (A) · 3.48 shared_targets, service_uuid · 3.61 cluster_name (A) · 3.63 volume_type_id
//   3.64 encryption_key_id · 3.65 consumes_quota · A: for administrators only
//
// `fields` adds what only show and the detailed list have (os-vol-*, image metadata), not create and update; policy says which.

import { type Attachment, type Volume, visibleMetadata, type VolumeStatus } from "../../cinder/model.ts";
import { fixedKeyId } from "../../cinder/keys.ts";
import type { VolumeDetail, VolumeSummary } from "../../cinder/verbs.ts";
import type { JsonObject } from "../call.ts";
import type { Links } from "../links.ts";
import { formatUtcTime } from "../../common/utc-time.ts";
import { formatTimeOrNull } from "./time.ts";

export interface VolumeViewOptions {
  readonly minor: number;
  readonly isAdmin: boolean;
  readonly links: Links;
  /** Absent in the answers to create and update. */
  readonly fields: ExtendedFields | undefined;
}

/** Fields that policy shows or hides. */
export interface ExtendedFields {
  readonly host: boolean;
  readonly project: boolean;
  readonly migration: boolean;
  readonly imageMetadata: boolean;
}

/** Statuses that users see under another name. */
const shownStatus: Readonly<Partial<Record<VolumeStatus, string>>> = {
  managing: "creating",
  error_managing: "error",
  error_managing_deleting: "deleting",
};

export function viewVolume(detail: VolumeDetail, options: VolumeViewOptions): JsonObject {
  const { volume, typeName, consistencyGroupId = null, attachments } = detail;
  const { minor, isAdmin, links } = options;
  const view: Record<string, unknown> = {
    id: volume.id,
    status: shownStatus[volume.status] ?? volume.status,
    size: volume.sizeGib,
    availability_zone: volume.availabilityZone,
    created_at: formatUtcTime(volume.createdAtMs),
    updated_at: formatTimeOrNull(volume.updatedAtMs),
    attachments: attachments.map((attachment) => viewVolumeAttachment(attachment, isAdmin)),
    name: volume.name,
    description: volume.description,
    volume_type: typeName,
    snapshot_id: volume.snapshotId,
    source_volid: volume.sourceVolumeId,
    metadata: visibleMetadata(volume),
    links: links.resource("volumes", volume.id),
    user_id: volume.userId,
    bootable: String(volume.bootable),
    encrypted: volume.encryptionKeyId !== undefined,
    replication_status: null,
    consistencygroup_id: consistencyGroupId,
    multiattach: volume.multiattach,
  };
  if (isAdmin) view["migration_status"] = volume.migrationStatus;
  if (minor >= 13) view["group_id"] = volume.groupId;
  if (minor >= 21 && isAdmin) view["provider_id"] = null;
  if (minor >= 48) {
    view["shared_targets"] = false;
    view["service_uuid"] = null;
  }
  if (minor >= 61 && isAdmin) view["cluster_name"] = null;
  if (minor >= 63) view["volume_type_id"] = volume.typeId;
  if (minor >= 65) view["consumes_quota"] = volume.consumesQuota;
  if (options.fields !== undefined) addExtended(view, volume, options.fields, minor);
  return view;
}

function addExtended(view: Record<string, unknown>, volume: Volume, fields: ExtendedFields, minor: number): void {
  const { encryptionKeyId: keyId } = volume;
  if (minor >= 64 && keyId !== undefined && keyId !== fixedKeyId) view["encryption_key_id"] = keyId;
  if (fields.project) view["os-vol-tenant-attr:tenant_id"] = volume.projectId;
  if (fields.imageMetadata && Object.keys(volume.imageMetadata).length > 0) view["volume_image_metadata"] = volume.imageMetadata;
  if (fields.host) view["os-vol-host-attr:host"] = volume.host;
  if (!fields.migration) return;
  view["os-vol-mig-status-attr:migstat"] = volume.migrationStatus;
  view["os-vol-mig-status-attr:name_id"] = null;
}

function viewVolumeAttachment(attachment: Attachment, isAdmin: boolean): JsonObject {
  return {
    id: attachment.volumeId,
    attachment_id: attachment.id,
    volume_id: attachment.volumeId,
    server_id: attachment.instanceId,
    host_name: isAdmin ? attachment.attachedHost : null,
    device: attachment.mountpoint,
    attached_at: formatTimeOrNull(attachment.attachedAtMs),
  };
}

/** The short form of lists. */
export function viewVolumeEntry({ volume }: VolumeDetail, links: Links): JsonObject {
  return { id: volume.id, name: volume.name, links: links.resource("volumes", volume.id) };
}

/** Metadata came with 3.36. */
export function viewVolumeSummary({ count, totalGib, metadata }: VolumeSummary, minor: number): JsonObject {
  const view = { total_count: count, total_size: totalGib };
  return minor < 36 ? view : { ...view, metadata };
}
