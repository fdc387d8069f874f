// Snapshots as JSON. The short form is wide; show and the detailed list add progress and project.
//
//   3.14 group_snapshot_id · 3.41 user_id · 3.65 consumes_quota (not in the short form)

import type { Snapshot } from "../../cinder/model.ts";
import type { JsonObject } from "../call.ts";
import { formatUtcTime } from "../../common/utc-time.ts";
import { formatTimeOrNull } from "./time.ts";

/** The short form of lists, the same at every microversion. */
export function viewSnapshotEntry(snapshot: Snapshot): Record<string, unknown> {
  return {
    id: snapshot.id,
    name: snapshot.name,
    description: snapshot.description,
    created_at: formatUtcTime(snapshot.createdAtMs),
    updated_at: formatTimeOrNull(snapshot.updatedAtMs),
    status: snapshot.status,
    size: snapshot.sizeGib,
    volume_id: snapshot.volumeId,
    metadata: snapshot.metadata,
  };
}

/** `extended`: as show and the detailed list have it, not create and update. */
export function viewSnapshot(snapshot: Snapshot, minor: number, extended: boolean): JsonObject {
  const view = viewSnapshotEntry(snapshot);
  if (minor >= 14) view["group_snapshot_id"] = snapshot.groupSnapshotId;
  if (minor >= 41) view["user_id"] = snapshot.userId;
  if (minor >= 65) view["consumes_quota"] = snapshot.consumesQuota;
  if (extended) {
    view["os-extended-snapshot-attributes:project_id"] = snapshot.projectId;
    view["os-extended-snapshot-attributes:progress"] = snapshot.progress;
  }
  return view;
}
