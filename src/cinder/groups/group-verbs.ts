// The verbs of groups and their snapshots. The older API (consistencygroups, cgsnapshots) has the same verbs over the same
// records: it sees all groups, and makes those of the type default_cgsnapshot_type, which the newer one does not touch.
// The rules at the head of verbs.ts hold for them too.

import type { RequestContext } from "../context.ts";
import type { ListQuery, Page } from "../list-query.ts";
import type { Group, GroupSnapshot } from "../model.ts";

export interface CreateGroup {
  readonly name: string | null;
  readonly description: string | null;
  /** Id or name; the older API names none. */
  readonly groupType?: string;
  /** Ids or names. */
  readonly volumeTypes: readonly string[];
  readonly availabilityZone?: string;
}

/** One of the two sources is there. */
export interface CopyGroup {
  readonly name: string | null;
  readonly description: string | null;
  readonly groupSnapshotId?: string;
  readonly sourceGroupId?: string;
}

export interface GroupUpdate {
  readonly name?: string | null;
  readonly description?: string | null;
  /** Ids. */
  readonly addVolumes: readonly string[];
  readonly removeVolumes: readonly string[];
}

export type ReplicationVerb = "enable" | "disable" | "failover";

export interface Groups {
  create(context: RequestContext, request: CreateGroup): Promise<Group>;
  /** Resolves when the group, its volumes and the job that fills them are durable. */
  createFromSource(context: RequestContext, request: CopyGroup): Promise<Group>;
  list(context: RequestContext, query: ListQuery): Promise<Page<Group>>;
  show(context: RequestContext, id: string): Promise<Group>;
  update(context: RequestContext, id: string, update: GroupUpdate): Promise<void>;
  /** Resolves when the group is gone, or the job that deletes it with its volumes is durable. */
  delete(context: RequestContext, id: string, withVolumes: boolean): Promise<void>;
  resetStatus(context: RequestContext, id: string, status: string): Promise<void>;
  /** No pool replicates: always refused, as Cinder refuses a group that nothing replicates. */
  replicate(context: RequestContext, id: string, verb: ReplicationVerb): Promise<never>;
  /** Refused unless the types ask for replication; then there are none. */
  replicationTargets(context: RequestContext, id: string): Promise<Group>;
}

export interface CreateGroupSnapshot {
  readonly groupId: string;
  readonly name: string | null;
  readonly description: string | null;
}

export interface GroupSnapshots {
  create(context: RequestContext, request: CreateGroupSnapshot): Promise<GroupSnapshot>;
  list(context: RequestContext, query: ListQuery): Promise<Page<GroupSnapshot>>;
  show(context: RequestContext, id: string): Promise<GroupSnapshot>;
  delete(context: RequestContext, id: string): Promise<void>;
  resetStatus(context: RequestContext, id: string, status: string): Promise<void>;
}

export interface GroupVerbs {
  readonly groups: Groups;
  readonly groupSnapshots: GroupSnapshots;
  readonly consistencyGroups: Groups;
  readonly consistencyGroupSnapshots: GroupSnapshots;
}
