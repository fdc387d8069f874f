// The verbs that are mostly an operator's: what types carry beside extra specs, group types, transfers, taking vDisks in and
// letting them go, clusters and clean-up. The rules at the head of verbs.ts hold for them too.

import type { RequestContext } from "./context.ts";
import type { ListQuery, Page } from "./list-query.ts";
import type {
  DefaultType,
  GroupType,
  LogLevel,
  Metadata,
  QosSpecs,
  Snapshot,
  Transfer,
  TypeEncryption,
  VolumeType,
} from "./model.ts";
import type { ServiceTarget, VolumeDetail } from "./verbs.ts";

export type EncryptionChange = Partial<Pick<TypeEncryption, "provider" | "controlLocation" | "cipher" | "keySize">>;
export type NewEncryption = Pick<TypeEncryption, "provider" | "controlLocation"> & EncryptionChange;

export interface TypeEncryptions {
  /** Undefined for a type without. */
  show(context: RequestContext, typeId: string): Promise<TypeEncryption | undefined>;
  create(context: RequestContext, typeId: string, request: NewEncryption): Promise<TypeEncryption>;
  update(context: RequestContext, typeId: string, change: EncryptionChange): Promise<void>;
  delete(context: RequestContext, typeId: string): Promise<void>;
}

/** `consumer` among the pairs says who enforces it; what the request calls `name` is the name. */
export interface QosSpecsVerbs {
  list(context: RequestContext, query: ListQuery): Promise<Page<QosSpecs>>;
  show(context: RequestContext, id: string): Promise<QosSpecs>;
  create(context: RequestContext, name: string, consumer: string | undefined, specs: Metadata): Promise<QosSpecs>;
  update(context: RequestContext, id: string, consumer: string | undefined, specs: Metadata): Promise<void>;
  deleteKeys(context: RequestContext, id: string, keys: readonly string[]): Promise<void>;
  /** `force`: types that refer to it are let go first. */
  delete(context: RequestContext, id: string, force: boolean): Promise<void>;
  associations(context: RequestContext, id: string): Promise<readonly VolumeType[]>;
  associate(context: RequestContext, id: string, typeId: string): Promise<void>;
  disassociate(context: RequestContext, id: string, typeId: string): Promise<void>;
  disassociateAll(context: RequestContext, id: string): Promise<void>;
}

export interface CreateGroupType {
  readonly name: string;
  readonly description?: string | null;
  readonly isPublic?: boolean;
  readonly groupSpecs?: Metadata;
}

export interface GroupTypes {
  /** `isPublic` counts for administrators: undefined is all. Others see the public ones. */
  list(context: RequestContext, query: ListQuery, isPublic: boolean | undefined): Promise<Page<GroupType>>;
  show(context: RequestContext, id: string): Promise<GroupType>;
  create(context: RequestContext, request: CreateGroupType): Promise<GroupType>;
  update(
    context: RequestContext,
    id: string,
    update: { readonly name?: string; readonly description?: string | null; readonly isPublic?: boolean },
  ): Promise<GroupType>;
  delete(context: RequestContext, id: string): Promise<void>;
  /** Undefined when the caller may not see them. */
  visibleSpecs(context: RequestContext, type: GroupType): Metadata | undefined;
  showSpecs(context: RequestContext, id: string): Promise<Metadata>;
  showSpec(context: RequestContext, id: string, key: string): Promise<string>;
  setSpecs(context: RequestContext, id: string, specs: Metadata): Promise<void>;
  setSpec(context: RequestContext, id: string, key: string, value: string): Promise<void>;
  deleteSpec(context: RequestContext, id: string, key: string): Promise<void>;
}

export interface DefaultTypes {
  list(context: RequestContext): Promise<readonly DefaultType[]>;
  show(context: RequestContext, projectId: string): Promise<DefaultType>;
  /** `type`: id or name. */
  set(context: RequestContext, projectId: string, type: string): Promise<DefaultType>;
  unset(context: RequestContext, projectId: string): Promise<void>;
}

export interface CreateTransfer {
  readonly volumeId: string;
  readonly name: string | null;
  readonly noSnapshots: boolean;
  /** Also a volume that is encrypted (3.70). */
  readonly allowsEncrypted?: boolean;
}

export interface CreatedTransfer {
  readonly transfer: Transfer;
  /** Nobody can ask for it again. */
  readonly authKey: string;
}

export interface Transfers {
  list(context: RequestContext, query: ListQuery): Promise<Page<Transfer>>;
  show(context: RequestContext, id: string): Promise<Transfer>;
  create(context: RequestContext, request: CreateTransfer): Promise<CreatedTransfer>;
  /** The volume, its snapshots unless they stay, and their quota go to the caller's project in one transaction. */
  accept(context: RequestContext, id: string, authKey: string): Promise<Transfer>;
  delete(context: RequestContext, id: string): Promise<void>;
}

export interface ServiceLogLevels {
  readonly binary: string;
  readonly host: string;
  readonly levels: Readonly<Record<string, LogLevel>>;
}

/** Empty or absent: all. */
export interface LogTarget {
  readonly binary?: string;
  readonly server?: string;
  /** Of a logger's name: "andiron". */
  readonly prefix?: string;
}

export interface CleanupRequest {
  readonly binary?: string;
  readonly host?: string;
  readonly isUp?: boolean;
  readonly disabled?: boolean;
  /** Position of the service in the list of services, from 1. */
  readonly serviceId?: number;
}

export interface CleanedService extends ServiceTarget {
  readonly id: number;
}

export interface ServiceActions {
  /** Keeps new volumes away from a backend "host@vpool", until thaw(). */
  freeze(context: RequestContext, host: string): Promise<void>;
  thaw(context: RequestContext, host: string): Promise<void>;
  /** No backend replicates by itself: always "invalid", as Cinder says it of such a backend. */
  failover(context: RequestContext, host: string): Promise<never>;
  /** An action of services that there is none of: always "invalid". */
  refuseServiceAction(context: RequestContext): Promise<never>;
  /** All services of the host, on or off; undefined changes nothing. */
  setHostEnabled(context: RequestContext, host: string, enabled: boolean | undefined): Promise<void>;
  logLevels(context: RequestContext, target: LogTarget): Promise<readonly ServiceLogLevels[]>;
  /** Processes elsewhere follow with their next report. */
  setLogLevel(context: RequestContext, target: LogTarget, level: string): Promise<void>;
  /** Looks for unfinished work now. Answers with the services that are down, for which it is done. */
  cleanUp(context: RequestContext, request: CleanupRequest): Promise<readonly CleanedService[]>;
  /** There are none, so that these only check who asks; `name` is never found. */
  clusters(context: RequestContext): Promise<readonly []>;
  showCluster(context: RequestContext, name: string, binary: string): Promise<never>;
  updateCluster(context: RequestContext, name: string, binary: string): Promise<never>;
  /** An action of clusters that there is none of: always "not_found". */
  refuseClusterAction(context: RequestContext): Promise<never>;
}

/** How a backend's thing is named by who wants to have it managed. */
export interface Reference {
  readonly sourceName?: string;
  readonly sourceId?: string;
}

export interface ManageableRow {
  readonly name: string;
  readonly sizeGib: number;
  /** Why it can't be taken in; undefined when it can. */
  readonly reasonNotSafe?: string;
  /** Id of the volume or snapshot that it is. */
  readonly managedId?: string;
  /** Name of a snapshot's vDisk. */
  readonly sourceName?: string;
}

export interface ManageVolume {
  readonly host: string;
  readonly reference: Reference;
  readonly name?: string | null;
  readonly description?: string | null;
  readonly metadata?: Metadata;
  readonly volumeType?: string;
  readonly availabilityZone?: string;
  readonly bootable: boolean;
}

export interface ManageSnapshot {
  readonly volumeId: string;
  readonly reference: Reference;
  readonly name?: string | null;
  readonly description?: string | null;
  readonly metadata?: Metadata;
}

export interface Management {
  /** vDisks of a pool "host@vpool#vpool", managed or not, by name. */
  manageableVolumes(context: RequestContext, host: string): Promise<readonly ManageableRow[]>;
  manageableSnapshots(context: RequestContext, host: string): Promise<readonly ManageableRow[]>;
  /** The volume has the id of the vDisk. */
  manageVolume(context: RequestContext, request: ManageVolume): Promise<VolumeDetail>;
  manageSnapshot(context: RequestContext, request: ManageSnapshot): Promise<Snapshot>;
  /** Forgets the volume and keeps its vDisk. */
  unmanageVolume(context: RequestContext, id: string): Promise<void>;
  unmanageSnapshot(context: RequestContext, id: string): Promise<void>;
}

export interface OperatorVerbs {
  readonly typeEncryptions: TypeEncryptions;
  readonly qosSpecs: QosSpecsVerbs;
  readonly groupTypes: GroupTypes;
  readonly defaultTypes: DefaultTypes;
  readonly transfers: Transfers;
  readonly serviceActions: ServiceActions;
  readonly management: Management;
}
