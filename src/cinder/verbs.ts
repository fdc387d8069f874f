// Everything api/ may call, one interface a resource; cinder.ts puts them together. The classes that implement them stand
// in the file named like the resource.
//
// - Each verb enforces its policy rule, throws CinderFault for a refusal (with Cinder's sentence) and lets AndironError pass.
// - A verb that changes something is one registry transaction; when it resolves, every later read of any process shows it.
// - Ids that do not exist, or belong to another project (for non-admins), are the same not-found.
// - Text and numbers were checked for type by api/; meaning and length are checked here.

import type { Backups } from "./backups/backup-verbs.ts";
import type { RequestContext } from "./context.ts";
import type { GroupVerbs } from "./groups/group-verbs.ts";
import type { EmptyImage, NewImage } from "./images.ts";
import type { ListQuery, Page } from "./list-query.ts";
import type { OperatorVerbs } from "./operator-verbs.ts";
import type { FieldPolicy } from "./policy.ts";
import type { Attachment, ConnectionInfo, Connector, Message, Metadata, Snapshot, Volume, VolumeType } from "./model.ts";

/** A volume with what its representation needs of other records. */
export interface VolumeDetail {
  readonly volume: Volume;
  readonly typeName: string | null;
  /** Its group, when the older API made that. */
  readonly consistencyGroupId?: string;
  /** Those that are attached or detaching: what "attachments" shows. */
  readonly attachments: readonly Attachment[];
}

export interface CreateVolume {
  /** Needed without a source; with one, the source's size is the default. */
  readonly sizeGib?: number;
  readonly name?: string | null;
  readonly description?: string | null;
  /** Id or name. */
  readonly volumeType?: string;
  readonly availabilityZone?: string;
  readonly snapshotId?: string;
  readonly sourceVolumeId?: string;
  readonly backupId?: string;
  /** An id, a URL that ends with one, or a name. */
  readonly imageReference?: string;
  /** From 3.46 on: an image of a server that started from a volume stands for the snapshot that was made of that volume. */
  readonly followsSnapshots?: boolean;
  readonly metadata?: Metadata;
  /** The group that it is to be in from the beginning. */
  readonly groupId?: string;
  /** Ids of volumes whose pool it shall share, or not. Unknown ones count for nothing. */
  readonly sameHost?: readonly string[];
  readonly differentHost?: readonly string[];
}

export type VolumeEncryption = Readonly<Record<string, string | number | null>>;

export interface NameUpdate {
  readonly name?: string | null;
  readonly description?: string | null;
  readonly metadata?: Metadata;
}

export interface VolumeSummary {
  readonly count: number;
  readonly totalGib: number;
  /** Distinct values by key, sorted. */
  readonly metadata: Readonly<Record<string, readonly string[]>>;
}

export interface MetadataVerbs {
  show(context: RequestContext, id: string): Promise<Metadata>;
  /** Adds and overwrites; answers with all of it. */
  merge(context: RequestContext, id: string, metadata: Metadata): Promise<Metadata>;
  /** `matches` is If-Match: precondition-failed when it says no to the present metadata. It must be pure. */
  replace(context: RequestContext, id: string, metadata: Metadata, matches?: (present: Metadata) => boolean): Promise<Metadata>;
  /** Value of one key; not-found with Cinder's sentence. */
  showKey(context: RequestContext, id: string, key: string): Promise<string>;
  setKey(context: RequestContext, id: string, key: string, value: string): Promise<void>;
  deleteKey(context: RequestContext, id: string, key: string): Promise<void>;
}

export interface Volumes {
  create(context: RequestContext, request: CreateVolume): Promise<VolumeDetail>;
  list(context: RequestContext, query: ListQuery): Promise<Page<VolumeDetail>>;
  show(context: RequestContext, id: string): Promise<VolumeDetail>;
  /** Always null: no volume is encrypted. */
  /** How it is encrypted, in the API's words; without an encryption the key's id alone, which is null. */
  encryption(context: RequestContext, id: string): Promise<VolumeEncryption>;
  update(context: RequestContext, id: string, update: NameUpdate): Promise<VolumeDetail>;
  delete(context: RequestContext, id: string, options: { readonly cascade: boolean; readonly force: boolean }): Promise<void>;
  summary(context: RequestContext, query: ListQuery): Promise<VolumeSummary>;
  readonly metadata: MetadataVerbs;
}

export interface StatusReset {
  readonly status?: string;
  readonly attachStatus?: string;
  readonly migrationStatus?: string;
}

export interface VolumeActions {
  /** `allowInUse`: the request's microversion is 3.42 or later. */
  extend(context: RequestContext, id: string, newSizeGib: number, allowInUse: boolean): Promise<void>;
  /** For extensions that wait for the client's host; ours never do: always "invalid". */
  completeExtension(context: RequestContext, id: string): Promise<never>;
  resetStatus(context: RequestContext, id: string, reset: StatusReset): Promise<void>;
  setReadOnly(context: RequestContext, id: string, readOnly: boolean): Promise<void>;
  setBootable(context: RequestContext, id: string, bootable: boolean): Promise<void>;
  revert(context: RequestContext, id: string, snapshotId: string): Promise<void>;
  forceDelete(context: RequestContext, id: string): Promise<void>;
  showImageMetadata(context: RequestContext, id: string): Promise<Metadata>;
  /** Answers with all of it. */
  setImageMetadata(context: RequestContext, id: string, metadata: Metadata): Promise<Metadata>;
  unsetImageMetadata(context: RequestContext, id: string, key: string): Promise<void>;
}

export interface UploadVolume {
  readonly force: boolean;
  readonly imageName: string;
  readonly diskFormat: string;
  readonly containerFormat: string;
  /** From 3.1 on. */
  readonly visibility?: NewImage["visibility"];
  readonly isProtected?: boolean;
}

export interface ReimageVolume {
  readonly imageId: string;
  /** Also of a volume that is reserved. */
  readonly reserved: boolean;
}

export interface UploadedVolume {
  readonly volume: Volume;
  readonly type: VolumeType | undefined;
  /** Those of the type that the caller may see. */
  readonly extraSpecs: Metadata;
  readonly image: EmptyImage;
}

/** Images of volumes. */
export interface VolumeImages {
  /** Other bytes for a volume, those of an image. Resolves when the job that brings them is durable. */
  reimage(context: RequestContext, id: string, request: ReimageVolume): Promise<void>;
  /** Resolves when the image is there, without bytes, and the job that fills it is durable. */
  upload(context: RequestContext, id: string, request: UploadVolume): Promise<UploadedVolume>;
}

export interface MigrateVolume {
  /** "host@vpool#vpool"; one of host and cluster is there. */
  readonly host?: string;
  readonly cluster?: string;
  /** The volume is in maintenance meanwhile. */
  readonly lock: boolean;
}

export interface VolumeMoves {
  /** `type`: id or name. `mayMigrate`: to another pool, when its own can't take the type. */
  retype(context: RequestContext, id: string, type: string, mayMigrate: boolean): Promise<void>;
  migrate(context: RequestContext, id: string, request: MigrateVolume): Promise<void>;
  /** Answers with the id of the volume to go on with. */
  completeMigration(context: RequestContext, id: string, newId: string, isFailed: boolean): Promise<string>;
}

export interface AttachRequest {
  readonly instanceId?: string;
  readonly hostName?: string;
  readonly mountpoint?: string;
  readonly mode?: "rw" | "ro";
}

/** The attach family of Cinder before 3.27, still used by old Nova attachments, Glance and scripts. */
export interface LegacyAttach {
  reserve(context: RequestContext, volumeId: string): Promise<void>;
  unreserve(context: RequestContext, volumeId: string): Promise<void>;
  beginDetaching(context: RequestContext, volumeId: string): Promise<void>;
  rollDetaching(context: RequestContext, volumeId: string): Promise<void>;
  attach(context: RequestContext, volumeId: string, request: AttachRequest): Promise<void>;
  detach(context: RequestContext, volumeId: string, attachmentId: string | undefined): Promise<void>;
  forceDetach(
    context: RequestContext,
    volumeId: string,
    request: { readonly attachmentId?: string; readonly connector?: Connector | null },
  ): Promise<void>;
  /** Flat; api/ nests everything but driver_volume_type in `data`. */
  initializeConnection(context: RequestContext, volumeId: string, connector: Connector): Promise<ConnectionInfo>;
  terminateConnection(context: RequestContext, volumeId: string, connector: Connector | null): Promise<void>;
}

export interface CreateSnapshot {
  readonly volumeId: string;
  readonly name?: string | null;
  readonly description?: string | null;
  readonly metadata?: Metadata;
  /** In-use volumes too: `force` of the body, or always from 3.66. */
  readonly allowInUse: boolean;
}

export interface Snapshots {
  create(context: RequestContext, request: CreateSnapshot): Promise<Snapshot>;
  list(context: RequestContext, query: ListQuery): Promise<Page<Snapshot>>;
  show(context: RequestContext, id: string): Promise<Snapshot>;
  update(context: RequestContext, id: string, update: NameUpdate): Promise<Snapshot>;
  delete(context: RequestContext, id: string): Promise<void>;
  forceDelete(context: RequestContext, id: string): Promise<void>;
  resetStatus(context: RequestContext, id: string, status: string): Promise<void>;
  /** os-update_snapshot_status. */
  updateStatus(context: RequestContext, id: string, status: string, progress: string | undefined): Promise<void>;
  readonly metadata: MetadataVerbs;
}

export interface CreateAttachment {
  readonly volumeId: string;
  readonly instanceId?: string | null;
  readonly connector?: Connector | null;
  readonly mode?: "rw" | "ro";
}

export interface Attachments {
  create(context: RequestContext, request: CreateAttachment): Promise<Attachment>;
  list(context: RequestContext, query: ListQuery): Promise<Page<Attachment>>;
  show(context: RequestContext, id: string): Promise<Attachment>;
  update(context: RequestContext, id: string, connector: Connector): Promise<Attachment>;
  complete(context: RequestContext, id: string): Promise<void>;
  /** Resolves when the export's connections are cut, with the attachments that the volume still has. */
  delete(context: RequestContext, id: string): Promise<readonly Attachment[]>;
}

export interface CreateVolumeType {
  readonly name: string;
  readonly description?: string | null;
  readonly isPublic?: boolean;
  readonly extraSpecs?: Metadata;
}

export interface VolumeTypes {
  /** `isPublic`: undefined shows what the project may use; admins may ask for one kind, or "any" for all. */
  list(
    context: RequestContext,
    query: ListQuery,
    options: { readonly isPublic?: boolean | "any"; readonly extraSpecs?: Metadata },
  ): Promise<Page<VolumeType>>;
  show(context: RequestContext, id: string): Promise<VolumeType>;
  showDefault(context: RequestContext): Promise<VolumeType>;
  create(context: RequestContext, request: CreateVolumeType): Promise<VolumeType>;
  update(
    context: RequestContext,
    id: string,
    update: { readonly name?: string; readonly description?: string | null; readonly isPublic?: boolean },
  ): Promise<VolumeType>;
  delete(context: RequestContext, id: string): Promise<void>;
  /** The extra specs that the caller may see (all for admins). */
  visibleExtraSpecs(context: RequestContext, type: VolumeType): Metadata;
  showExtraSpecs(context: RequestContext, id: string): Promise<Metadata>;
  showExtraSpec(context: RequestContext, id: string, key: string): Promise<string>;
  /** Answers with what was set. */
  setExtraSpecs(context: RequestContext, id: string, extraSpecs: Metadata): Promise<Metadata>;
  /** Unlike setExtraSpecs the key need not be new. */
  setExtraSpec(context: RequestContext, id: string, key: string, value: string): Promise<void>;
  deleteExtraSpec(context: RequestContext, id: string, key: string): Promise<void>;
  /** Projects with access; not-found for a public type. */
  showAccess(context: RequestContext, id: string): Promise<readonly string[]>;
  addAccess(context: RequestContext, id: string, projectId: string): Promise<void>;
  removeAccess(context: RequestContext, id: string, projectId: string): Promise<void>;
}

export interface QuotaValue {
  /** -1: no limit. */
  readonly limit: number;
  readonly inUse: number;
  /** Always 0: usage changes with the thing itself, nothing is reserved ahead. */
  readonly reserved: 0;
}

/** By the API's quota key: volumes, gigabytes, ..., volumes_<type name>, ... */
export type QuotaSet = Readonly<Record<string, QuotaValue>>;

export interface Limits {
  readonly maxTotalVolumes: number;
  readonly maxTotalVolumeGigabytes: number;
  readonly maxTotalSnapshots: number;
  readonly maxTotalBackups: number;
  readonly maxTotalBackupGigabytes: number;
  /** What is used: only for who may see it (limits_extension:used_limits). */
  readonly totalVolumesUsed?: number;
  readonly totalGigabytesUsed?: number;
  readonly totalSnapshotsUsed?: number;
  readonly totalBackupsUsed?: number;
  readonly totalBackupGigabytesUsed?: number;
}

export interface Quotas {
  show(context: RequestContext, projectId: string): Promise<QuotaSet>;
  showDefaults(context: RequestContext, projectId: string): Promise<QuotaSet>;
  set(context: RequestContext, projectId: string, limits: Readonly<Record<string, number>>): Promise<QuotaSet>;
  delete(context: RequestContext, projectId: string): Promise<void>;
  /** Limits by quota key. */
  showClass(context: RequestContext, className: string): Promise<Readonly<Record<string, number>>>;
  setClass(
    context: RequestContext,
    className: string,
    limits: Readonly<Record<string, number>>,
  ): Promise<Readonly<Record<string, number>>>;
  /** `projectId` (3.39) other than the own: administrators only. */
  limits(context: RequestContext, projectId: string | undefined): Promise<Limits>;
}

export interface ServiceRow {
  readonly binary: string;
  readonly host: string;
  readonly zone: string;
  readonly status: "enabled" | "disabled";
  readonly state: "up" | "down";
  readonly updatedAtMs: number | null;
  readonly disabledReason: string | null;
  /** For cinder-volume rows only. */
  readonly volume?: {
    readonly replicationStatus: string;
    readonly activeBackendId: null;
    readonly frozen: boolean;
    readonly backendState: "up" | "down";
  };
}

/** Who is meant: `binary` and `host`, as PUT /os-services/enable gives them. */
export interface ServiceTarget {
  readonly binary: string;
  readonly host: string;
}

export interface PoolRow {
  /** "host@vpool#vpool". */
  readonly name: string;
  /** In Cinder's capability form, ready to be shown. */
  readonly capabilities: Readonly<Record<string, string | number | boolean | null>>;
}

export interface HostUsage {
  readonly host: string;
  /** "(total)" for the first row. */
  readonly projectId: string;
  readonly volumeCount: number;
  readonly totalVolumeGib: number;
  readonly snapshotCount: number;
  readonly totalSnapshotGib: number;
}

export interface Topology {
  services(
    context: RequestContext,
    filters: { readonly host?: string; readonly binary?: string },
  ): Promise<readonly ServiceRow[]>;
  enableService(context: RequestContext, target: ServiceTarget): Promise<void>;
  disableService(context: RequestContext, target: ServiceTarget, reason: string | null): Promise<void>;
  /** `filters` by name and capability (3.28), `volumeType` is a name or an id (3.35). */
  pools(
    context: RequestContext,
    filters: { readonly name?: string; readonly volumeType?: string; readonly capabilities?: Readonly<Record<string, string>> },
  ): Promise<readonly PoolRow[]>;
  /** Of a backend "host@vpool". */
  capabilities(context: RequestContext, host: string): Promise<Readonly<Record<string, unknown>>>;
  /** Services that are not disabled. */
  hosts(context: RequestContext): Promise<readonly ServiceRow[]>;
  hostUsage(context: RequestContext, host: string): Promise<readonly HostUsage[]>;
  zones(context: RequestContext): Promise<readonly { readonly name: string; readonly available: boolean }[]>;
}

export interface Messages {
  list(context: RequestContext, query: ListQuery): Promise<Page<Message>>;
  show(context: RequestContext, id: string): Promise<Message>;
  delete(context: RequestContext, id: string): Promise<void>;
}

export interface Cinder extends OperatorVerbs, GroupVerbs {
  /** Which fields of the answers the caller may see. */
  readonly policy: FieldPolicy;
  readonly volumes: Volumes;
  readonly volumeActions: VolumeActions;
  readonly volumeImages: VolumeImages;
  readonly volumeMoves: VolumeMoves;
  readonly legacyAttach: LegacyAttach;
  readonly snapshots: Snapshots;
  readonly backups: Backups;
  readonly attachments: Attachments;
  readonly volumeTypes: VolumeTypes;
  readonly quotas: Quotas;
  readonly topology: Topology;
  readonly messages: Messages;
}
