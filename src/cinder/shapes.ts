// The fields that lists of each resource filter and sort by, under the API's names. Which of them a client may use at which
// microversion is decided by api/.

import type { Backup } from "./backups/backup.ts";
import { unknownMarker, type Shape } from "./collection-query.ts";
import { attachmentNotFound, groupNotFound, groupSnapshotNotFound, transferNotFound } from "./faults.ts";
import type {
  Attachment,
  Group,
  GroupSnapshot,
  GroupType,
  Message,
  QosSpecs,
  Snapshot,
  Transfer,
  Volume,
  VolumeType,
} from "./model.ts";

export const volumeShape: Shape<Volume> = {
  fields: {
    id: (volume) => volume.id,
    name: (volume) => volume.name,
    display_name: (volume) => volume.name,
    description: (volume) => volume.description,
    status: (volume) => volume.status,
    attach_status: (volume) => volume.attachStatus,
    migration_status: (volume) => volume.migrationStatus,
    size: (volume) => volume.sizeGib,
    availability_zone: (volume) => volume.availabilityZone,
    created_at: (volume) => volume.createdAtMs,
    updated_at: (volume) => volume.updatedAtMs,
    bootable: (volume) => volume.bootable,
    multiattach: (volume) => volume.multiattach,
    group_id: (volume) => volume.groupId,
    consumes_quota: (volume) => volume.consumesQuota,
    host: (volume) => volume.host,
    project_id: (volume) => volume.projectId,
    user_id: (volume) => volume.userId,
    snapshot_id: (volume) => volume.snapshotId,
    source_volid: (volume) => volume.sourceVolumeId,
    volume_type_id: (volume) => volume.typeId,
  },
  sortKeys: new Set([
    "id",
    "name",
    "display_name",
    "status",
    "size",
    "availability_zone",
    "created_at",
    "updated_at",
    "bootable",
    "host",
    "migration_status",
  ]),
  metadata: (volume) => volume.metadata,
  imageMetadata: (volume) => volume.imageMetadata,
  updatedAtMs: (volume) => volume.updatedAtMs,
  unknownMarker: unknownMarker("Volume"),
};

export const snapshotShape: Shape<Snapshot> = {
  fields: {
    id: (snapshot) => snapshot.id,
    name: (snapshot) => snapshot.name,
    display_name: (snapshot) => snapshot.name,
    description: (snapshot) => snapshot.description,
    status: (snapshot) => snapshot.status,
    volume_id: (snapshot) => snapshot.volumeId,
    size: (snapshot) => snapshot.sizeGib,
    volume_size: (snapshot) => snapshot.sizeGib,
    availability_zone: (snapshot) => snapshot.availabilityZone,
    created_at: (snapshot) => snapshot.createdAtMs,
    updated_at: (snapshot) => snapshot.updatedAtMs,
    project_id: (snapshot) => snapshot.projectId,
    user_id: (snapshot) => snapshot.userId,
    consumes_quota: (snapshot) => snapshot.consumesQuota,
    group_snapshot_id: (snapshot) => snapshot.groupSnapshotId,
  },
  sortKeys: new Set(["id", "name", "display_name", "status", "size", "volume_size", "volume_id", "created_at", "updated_at"]),
  metadata: (snapshot) => snapshot.metadata,
  updatedAtMs: (snapshot) => snapshot.updatedAtMs,
  unknownMarker: unknownMarker("Snapshot"),
};

export const backupShape: Shape<Backup> = {
  fields: {
    id: (backup) => backup.id,
    name: (backup) => backup.name,
    display_name: (backup) => backup.name,
    description: (backup) => backup.description,
    status: (backup) => backup.status,
    volume_id: (backup) => backup.volumeId,
    snapshot_id: (backup) => backup.snapshotId,
    parent_id: (backup) => backup.parentId,
    size: (backup) => backup.sizeGib,
    availability_zone: (backup) => backup.availabilityZone,
    container: (backup) => backup.container,
    object_count: (backup) => backup.objectCount,
    host: (backup) => backup.host,
    service: (backup) => backup.service,
    restore_volume_id: (backup) => backup.restoreVolumeId,
    project_id: (backup) => backup.projectId,
    user_id: (backup) => backup.userId,
    created_at: (backup) => backup.createdAtMs,
    updated_at: (backup) => backup.updatedAtMs,
    data_timestamp: (backup) => backup.dataTimestampMs,
  },
  sortKeys: new Set([
    "id",
    "name",
    "display_name",
    "status",
    "volume_id",
    "size",
    "availability_zone",
    "container",
    "object_count",
    "created_at",
    "updated_at",
    "data_timestamp",
  ]),
  metadata: (backup) => backup.metadata,
  updatedAtMs: (backup) => backup.updatedAtMs,
  unknownMarker: unknownMarker("Backup"),
};

export const attachmentShape: Shape<Attachment> = {
  fields: {
    id: (attachment) => attachment.id,
    volume_id: (attachment) => attachment.volumeId,
    instance_id: (attachment) => attachment.instanceId,
    instance_uuid: (attachment) => attachment.instanceId,
    status: (attachment) => attachment.status,
    attach_status: (attachment) => attachment.status,
    attached_host: (attachment) => attachment.attachedHost,
    project_id: (attachment) => attachment.projectId,
    created_at: (attachment) => attachment.createdAtMs,
    updated_at: (attachment) => attachment.updatedAtMs,
  },
  sortKeys: new Set(["id", "volume_id", "instance_uuid", "attach_status", "created_at", "updated_at"]),
  updatedAtMs: (attachment) => attachment.updatedAtMs,
  unknownMarker: attachmentNotFound,
};

export const typeShape: Shape<VolumeType> = {
  fields: {
    id: (type) => type.id,
    name: (type) => type.name,
    description: (type) => type.description,
    is_public: (type) => type.isPublic,
    qos_specs_id: (type) => type.qosSpecsId,
    created_at: (type) => type.createdAtMs,
    updated_at: (type) => type.updatedAtMs,
  },
  sortKeys: new Set(["id", "name", "is_public", "created_at", "updated_at"]),
  updatedAtMs: (type) => type.updatedAtMs,
  unknownMarker: unknownMarker("Volume type"),
};

export const groupTypeShape: Shape<GroupType> = {
  fields: {
    id: (type) => type.id,
    name: (type) => type.name,
    is_public: (type) => type.isPublic,
    created_at: (type) => type.createdAtMs,
    updated_at: (type) => type.updatedAtMs,
  },
  sortKeys: new Set(["id", "name", "is_public", "created_at", "updated_at"]),
  updatedAtMs: (type) => type.updatedAtMs,
  unknownMarker: unknownMarker("Group type"),
};

export const groupShape: Shape<Group> = {
  fields: {
    id: (group) => group.id,
    name: (group) => group.name,
    description: (group) => group.description,
    status: (group) => group.status,
    availability_zone: (group) => group.availabilityZone,
    group_type_id: (group) => group.groupTypeId,
    host: (group) => group.host,
    project_id: (group) => group.projectId,
    user_id: (group) => group.userId,
    group_snapshot_id: (group) => group.groupSnapshotId,
    source_group_id: (group) => group.sourceGroupId,
    created_at: (group) => group.createdAtMs,
    updated_at: (group) => group.updatedAtMs,
  },
  sortKeys: new Set(["id", "name", "status", "availability_zone", "group_type_id", "host", "created_at", "updated_at"]),
  updatedAtMs: (group) => group.updatedAtMs,
  unknownMarker: groupNotFound,
};

export const groupSnapshotShape: Shape<GroupSnapshot> = {
  fields: {
    id: (snapshot) => snapshot.id,
    name: (snapshot) => snapshot.name,
    description: (snapshot) => snapshot.description,
    status: (snapshot) => snapshot.status,
    group_id: (snapshot) => snapshot.groupId,
    group_type_id: (snapshot) => snapshot.groupTypeId,
    project_id: (snapshot) => snapshot.projectId,
    user_id: (snapshot) => snapshot.userId,
    created_at: (snapshot) => snapshot.createdAtMs,
    updated_at: (snapshot) => snapshot.updatedAtMs,
  },
  sortKeys: new Set(["id", "name", "status", "group_id", "group_type_id", "created_at", "updated_at"]),
  updatedAtMs: (snapshot) => snapshot.updatedAtMs,
  unknownMarker: groupSnapshotNotFound,
};

export const qosShape: Shape<QosSpecs> = {
  fields: {
    id: (qos) => qos.id,
    name: (qos) => qos.name,
    consumer: (qos) => qos.consumer,
    created_at: (qos) => qos.createdAtMs,
    updated_at: (qos) => qos.updatedAtMs,
  },
  sortKeys: new Set(["id", "name", "consumer", "created_at", "updated_at"]),
  updatedAtMs: (qos) => qos.updatedAtMs,
  unknownMarker: unknownMarker("QoS spec"),
};

export const transferShape: Shape<Transfer> = {
  fields: {
    id: (transfer) => transfer.id,
    name: (transfer) => transfer.name,
    display_name: (transfer) => transfer.name,
    volume_id: (transfer) => transfer.volumeId,
    project_id: (transfer) => transfer.projectId,
    created_at: (transfer) => transfer.createdAtMs,
  },
  sortKeys: new Set(["id", "name", "display_name", "volume_id", "created_at"]),
  updatedAtMs: () => null,
  unknownMarker: transferNotFound,
};

export const messageShape: Shape<Message> = {
  fields: {
    id: (message) => message.id,
    event_id: (message) => message.eventId,
    resource_type: (message) => message.resourceType,
    resource_uuid: (message) => message.resourceId,
    request_id: (message) => message.requestId,
    message_level: (message) => message.level,
    project_id: (message) => message.projectId,
    created_at: (message) => message.createdAtMs,
    guaranteed_until: (message) => message.guaranteedUntilMs,
  },
  sortKeys: new Set([
    "id",
    "event_id",
    "resource_type",
    "resource_uuid",
    "request_id",
    "message_level",
    "created_at",
    "guaranteed_until",
  ]),
  capitals: new Set(["resource_type"]),
  updatedAtMs: () => null,
  unknownMarker: unknownMarker("Message"),
};
