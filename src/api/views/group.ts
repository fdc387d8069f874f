// Groups and group snapshots as JSON, in the form of today and in that of consistency groups.
//
//   groups             3.14 group_snapshot_id, source_group_id · 3.25 volumes, when list_volume asks for them
//                      3.38 replication_status · 3.58 project_id (policy)
//   group snapshots    3.58 project_id (policy)

import type { Group, GroupSnapshot } from "../../cinder/model.ts";
import { formatUtcTime } from "../../common/utc-time.ts";
import type { JsonObject } from "../call.ts";

export interface GroupViewOptions {
  readonly minor: number;
  /** list_volume. */
  readonly withVolumes: boolean;
  /** Policy shows the project. */
  readonly withProject: boolean;
}

/** The short form, of all four kinds. */
export function viewGroupEntry({ id, name }: Group | GroupSnapshot): JsonObject {
  return { id, name };
}

export function viewGroup(group: Group, { minor, withVolumes, withProject }: GroupViewOptions): JsonObject {
  const view: Record<string, unknown> = { ...viewConsistencyGroup(group), group_type: group.groupTypeId };
  if (minor >= 14) {
    view["group_snapshot_id"] = group.groupSnapshotId;
    view["source_group_id"] = group.sourceGroupId;
  }
  if (minor >= 25 && withVolumes) view["volumes"] = group.volumeIds;
  if (minor >= 38) view["replication_status"] = "disabled";
  if (minor >= 58 && withProject) view["project_id"] = group.projectId;
  return view;
}

export function viewConsistencyGroup(group: Group): JsonObject {
  return {
    id: group.id,
    status: group.status,
    availability_zone: group.availabilityZone,
    created_at: formatUtcTime(group.createdAtMs),
    name: group.name,
    description: group.description,
    volume_types: group.volumeTypeIds,
  };
}

/** As the answer to create has it. */
export function viewNewGroupSnapshot(snapshot: GroupSnapshot): JsonObject {
  return { ...viewGroupEntry(snapshot), group_type_id: snapshot.groupTypeId };
}

export function viewGroupSnapshot(snapshot: GroupSnapshot, minor: number, withProject: boolean): JsonObject {
  const view = {
    ...viewNewGroupSnapshot(snapshot),
    group_id: snapshot.groupId,
    status: snapshot.status,
    created_at: formatUtcTime(snapshot.createdAtMs),
    description: snapshot.description,
  };
  return minor >= 58 && withProject ? { ...view, project_id: snapshot.projectId } : view;
}

export function viewCgsnapshot({ id, groupId, status, createdAtMs, name, description }: GroupSnapshot): JsonObject {
  return { id, consistencygroup_id: groupId, status, created_at: formatUtcTime(createdAtMs), name, description };
}
