// The records of the Block Storage API as they lie in the registry (JSON, `v: 1`), one type each. See
// docs/design/0004-cinder-records.md for their keys. All of them are values: never changed in place, always replaced.
//
// - Times are milliseconds since the Unix epoch; sizes are GiB, as in the API.
// - A volume's vDisk and a snapshot's cut have the id of the volume and of the snapshot; an export has the attachment's.
// - Names are text from users: any Unicode, at most 255 characters; null means that none was given.
// It knows no HTTP and no microversion: which field is shown when is for api/views.

/** Bytes of a GiB, in which sizes are counted. */
export const gibBytes = 2 ** 30;

export type Metadata = Readonly<Record<string, string>>;

export const volumeStatuses = [
  "attaching",
  "available",
  "awaiting-transfer",
  "backing-up",
  "creating",
  "deleting",
  "detaching",
  "downloading",
  "error",
  "error_backing-up",
  "error_deleting",
  "error_extending",
  "error_managing",
  "error_managing_deleting",
  "error_restoring",
  "extending",
  "in-use",
  "maintenance",
  "managing",
  "reserved",
  "restoring-backup",
  "retyping",
  "reverting",
  "unmanaging",
  "uploading",
] as const;
export type VolumeStatus = (typeof volumeStatuses)[number];

export const attachStatuses = [
  "attached",
  "attaching",
  "deleted",
  "detached",
  "detaching",
  "error_attaching",
  "error_detaching",
  "reserved",
] as const;
export type AttachStatus = (typeof attachStatuses)[number];

export const snapshotStatuses = [
  "available",
  "backing-up",
  "creating",
  "deleted",
  "deleting",
  "error",
  "error_deleting",
  "restoring",
  "unmanaging",
  "updating",
] as const;
export type SnapshotStatus = (typeof snapshotStatuses)[number];

/** A volume on its way to another pool. */
export interface VolumeMove {
  /** "host@vpool#vpool". */
  readonly host: string;
  /** The type that it is to be of; the quota of that type is charged already. */
  readonly typeId?: string;
}

export interface Volume {
  readonly v: 1;
  readonly id: string;
  readonly projectId: string;
  readonly userId: string;
  readonly name: string | null;
  readonly description: string | null;
  readonly sizeGib: number;
  readonly status: VolumeStatus;
  readonly attachStatus: AttachStatus;
  readonly migrationStatus: string | null;
  readonly previousStatus: string | null;
  readonly typeId: string | null;
  /** Cinder's "host@vpool#vpool"; null when no pool was found for it (then there is no vDisk). */
  readonly host: string | null;
  readonly availabilityZone: string;
  readonly createdAtMs: number;
  readonly updatedAtMs: number | null;
  readonly bootable: boolean;
  readonly multiattach: boolean;
  /** What it was made from. The source may be gone since. */
  readonly snapshotId: string | null;
  readonly sourceVolumeId: string | null;
  readonly groupId: string | null;
  readonly consumesQuota: boolean;
  readonly metadata: Metadata;
  /** "readonly" and "attached_mode"; see visibleMetadata(). */
  readonly adminMetadata: Metadata;
  /** Empty when the volume has no image metadata. */
  readonly imageMetadata: Metadata;
  /** Snapshots that exist of it. Every change of them writes this record: that is what guards a delete. */
  readonly snapshotCount: number;
  /** Attachments that exist, oldest first; at most cinderLimits.attachmentsPerVolumeMax. */
  readonly attachmentIds: readonly string[];
  /** In the key manager, of the volume alone; present for a volume that is encrypted. */
  readonly encryptionKeyId?: string;
  /** When it could be used first, where that was later than its making. */
  readonly launchedAtMs?: number;
  /** The job that works on it (jobs/job.ts), until it ends. */
  readonly jobId?: string;
  /** Where a job moves it (jobs/volume-migration.ts); no byte of it may change meanwhile. */
  readonly move?: VolumeMove;
  /** A delete that goes on in steps, as builds before `jobId` wrote it; the reconciler makes a job of it. */
  readonly intent?: "delete-cascade";
  /** The backup whose cut is kept on its disk, so that the next one can tell what changed since (backups/backup-cuts.ts). */
  readonly backupBaseId?: string;
  /** The transfer that offers it to another project. */
  readonly transferId?: string;
}

export interface Snapshot {
  readonly v: 1;
  readonly id: string;
  readonly projectId: string;
  readonly userId: string;
  readonly volumeId: string;
  readonly typeId: string | null;
  readonly name: string | null;
  readonly description: string | null;
  readonly sizeGib: number;
  readonly status: SnapshotStatus;
  /** "0%" to "100%". */
  readonly progress: string;
  readonly createdAtMs: number;
  readonly updatedAtMs: number | null;
  readonly groupSnapshotId: string | null;
  readonly consumesQuota: boolean;
  /** The volume's key. */
  readonly encryptionKeyId?: string;
  /** The volume's zone, for the filter. */
  readonly availabilityZone: string;
  readonly metadata: Metadata;
}

/** What an NBD client needs; flat, as the attachments API shows it. Ports are strings, as Nova wants them. */
export interface ConnectionInfo {
  readonly driver_volume_type: "nbd";
  readonly hosts: readonly string[];
  readonly ports: readonly string[];
  /** The export name: a secret that dies with the attachment. */
  readonly name: string;
  readonly access_mode: "rw" | "ro";
  readonly discard: true;
  /** What the client's side has to enforce, by libvirt's names; null for none. */
  readonly qos_specs: Metadata | null;
  readonly encrypted: boolean;
  readonly cacheable: false;
  readonly volume_id: string;
  readonly attachment_id: string;
  readonly enforce_multipath?: boolean;
}

/** What the client's host says of itself. Free-form JSON from Nova; we read host, ip, mountpoint and mode. */
export type Connector = Readonly<Record<string, unknown>>;

export interface Attachment {
  readonly v: 1;
  readonly id: string;
  readonly volumeId: string;
  readonly projectId: string;
  readonly userId: string;
  readonly status: "reserved" | "attaching" | "attached" | "detaching";
  readonly instanceId: string | null;
  /** The connector's host (attachments API) or the host_name of os-attach. */
  readonly attachedHost: string | null;
  readonly mountpoint: string | null;
  readonly attachMode: "rw" | "ro" | null;
  readonly connector: Connector | null;
  readonly connectionInfo: ConnectionInfo | null;
  /** Made by os-initialize_connection and not yet claimed by os-attach. */
  readonly unclaimed: boolean;
  readonly createdAtMs: number;
  readonly updatedAtMs: number | null;
  readonly attachedAtMs: number | null;
}

export interface VolumeType {
  readonly v: 1;
  readonly id: string;
  readonly name: string;
  readonly description: string | null;
  readonly isPublic: boolean;
  readonly extraSpecs: Metadata;
  /** Projects that may use it when it is not public; at most cinderLimits.typeAccessMax. */
  readonly access: readonly string[];
  readonly qosSpecsId: string | null;
  readonly encryption?: TypeEncryption;
  readonly createdAtMs: number;
  readonly updatedAtMs: number | null;
  /** Set while a delete makes sure that nobody uses it. */
  readonly retiring?: true;
}

/** How volumes of a type are to be encrypted. */
export interface TypeEncryption {
  readonly id: string;
  readonly provider: string;
  readonly controlLocation: "front-end" | "back-end";
  readonly cipher: string | null;
  readonly keySize: number | null;
  readonly createdAtMs: number;
  readonly updatedAtMs: number | null;
}

export const qosConsumers = ["front-end", "back-end", "both"] as const;

/** Quality of service that types may refer to (VolumeType.qosSpecsId). Written anew whenever a type is tied to it. */
export interface QosSpecs {
  readonly v: 1;
  readonly id: string;
  readonly name: string;
  readonly consumer: (typeof qosConsumers)[number];
  readonly specs: Metadata;
  readonly createdAtMs: number;
  readonly updatedAtMs: number | null;
}

export interface GroupType {
  readonly v: 1;
  readonly id: string;
  readonly name: string;
  readonly description: string | null;
  readonly isPublic: boolean;
  readonly groupSpecs: Metadata;
  readonly createdAtMs: number;
  readonly updatedAtMs: number | null;
}

export type GroupStatus = "available" | "creating" | "deleted" | "deleting" | "error" | "error_deleting" | "in-use" | "updating";

/** Volumes that are acted on together (docs/design/groups.md). Every change of its members writes it. */
export interface Group {
  readonly v: 1;
  readonly id: string;
  readonly projectId: string;
  readonly userId: string;
  readonly name: string | null;
  readonly description: string | null;
  readonly status: GroupStatus;
  readonly groupTypeId: string;
  /** What its volumes may be of. */
  readonly volumeTypeIds: readonly string[];
  /** "host@vpool#vpool"; null when no pool was found for it. */
  readonly host: string | null;
  readonly availabilityZone: string;
  /** At most cinderLimits.groupVolumesMax, oldest first. */
  readonly volumeIds: readonly string[];
  /** Group snapshots that exist of it. */
  readonly snapshotCount: number;
  /** What it was made from. The source may be gone since. */
  readonly groupSnapshotId: string | null;
  readonly sourceGroupId: string | null;
  readonly createdAtMs: number;
  readonly updatedAtMs: number | null;
  /** The job that works on it and its volumes, until it ends. */
  readonly jobId?: string;
}

export type GroupSnapshotStatus = Exclude<GroupStatus, "in-use">;

/** Snapshots of all volumes of a group at one instant. */
export interface GroupSnapshot {
  readonly v: 1;
  readonly id: string;
  readonly projectId: string;
  readonly userId: string;
  readonly name: string | null;
  readonly description: string | null;
  readonly groupId: string;
  readonly groupTypeId: string;
  readonly status: GroupSnapshotStatus;
  /** As many as the group had volumes. */
  readonly snapshotIds: readonly string[];
  readonly createdAtMs: number;
  readonly updatedAtMs: number | null;
}

/** The type of a project's volumes whose request names none. */
export interface DefaultType {
  readonly v: 1;
  readonly projectId: string;
  readonly typeId: string;
}

/** A vDisk with an image's bytes, to make volumes of (image-cache.ts). */
export interface ImageCacheEntry {
  readonly v: 1;
  /** Of the vDisk. */
  readonly id: string;
  readonly pool: string;
  readonly imageId: string;
  /** Of the vDisk. */
  readonly sizeGib: number;
  /** Of the image, as it was. */
  readonly checksum: string | null;
  readonly hash: { readonly algorithm: string; readonly value: string } | null;
  readonly sizeBytes: number;
  readonly createdAtMs: number;
  readonly usedAtMs: number;
}

/** A volume on offer to whoever knows the key; it ends with the acceptance. */
export interface Transfer {
  readonly v: 1;
  readonly id: string;
  /** Who offers. */
  readonly projectId: string;
  readonly volumeId: string;
  readonly name: string | null;
  readonly noSnapshots: boolean;
  /** Of the key: hex, and its salted hash. The key itself is shown once and kept by nobody. */
  readonly salt: string;
  readonly keyHash: string;
  readonly createdAtMs: number;
}

/** Limits set for one project or for a class: by key, only what was set. Per-type keys carry the type's id. */
export interface QuotaRecord {
  readonly v: 1;
  readonly limits: Readonly<Record<string, number>>;
}

/** What a project uses. Only ever changed in the transaction that changes what is counted. */
export interface QuotaUsage {
  readonly v: 1;
  readonly projectId: string;
  /** By quota key (volumes, gigabytes, snapshots, volumes_<typeId>, ...); zeroes are left out. */
  readonly inUse: Readonly<Record<string, number>>;
}

export const logLevels = ["DEBUG", "INFO", "WARNING", "ERROR"] as const;
export type LogLevel = (typeof logLevels)[number];

/** A service that reports (cinder-scheduler), and what an operator said about any service. */
export interface ServiceRecord {
  readonly v: 1;
  readonly binary: string;
  /** "name" or "name@backend". */
  readonly host: string;
  readonly disabled: boolean;
  readonly disabledReason: string | null;
  readonly updatedAtMs: number;
  /** Absent for services whose life is known from the routers. */
  readonly reportedAtMs?: number;
  /** No new volumes, by os-services/freeze. */
  readonly frozen?: boolean;
  /** What os-services/set-log asked for. */
  readonly logLevel?: LogLevel;
}

export interface Message {
  readonly v: 1;
  readonly id: string;
  readonly projectId: string;
  readonly requestId: string;
  /** Such as "VOLUME_VOLUME_001_003". */
  readonly eventId: string;
  readonly userMessage: string;
  readonly level: "ERROR";
  /** "VOLUME", "VOLUME_SNAPSHOT", "VOLUME_BACKUP", "VOLUME_GROUP" or "VOLUME_GROUP_SNAPSHOT". */
  readonly resourceType: string;
  readonly resourceId: string;
  readonly createdAtMs: number;
  readonly guaranteedUntilMs: number;
}

export const cinderLimits = {
  volumeGibMax: 2 ** 22, // 4 PiB: bytes stay exact integers
  nameLengthMax: 255,
  metadataItemsMax: 128,
  metadataTextMax: 255,
  extraSpecsMax: 128,
  typesMax: 1000,
  typeAccessMax: 1000,
  qosSpecsMax: 1000,
  groupTypesMax: 1000,
  typesPerStepMax: 20,
  transferSnapshotsMax: 40, // all move in one transaction
  retypeSnapshotsMax: 40, // all change in one transaction
  manageableMax: 10_000, // vDisks or snapshots of a pool that a list looks at
  attachmentsPerVolumeMax: 20, // each costs a compare and some writes of one transaction
  connectorBytesMax: 16 * 1024,
  messagesPerProjectMax: 1000,
  cascadeStepSnapshots: 4,
  groupVolumesMax: 20, // all are snapshot in one transaction
  groupStepVolumes: 4,
  groupVolumeTypesMax: 40,
  laneWaitersMax: 1000,
  listEntriesMax: 1000,
} as const;

/** User metadata with the admin keys that everybody may see; those win. */
export function visibleMetadata(volume: Volume): Metadata {
  return Object.keys(volume.adminMetadata).length === 0 ? volume.metadata : { ...volume.metadata, ...volume.adminMetadata };
}
