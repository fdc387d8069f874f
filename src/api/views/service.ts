// Services, and the same rows as hosts, as JSON.
//
//   3.7 cluster · 3.49 backend_state (cinder-volume rows)

import type { HostUsage, ServiceRow } from "../../cinder/verbs.ts";
import type { JsonObject } from "../call.ts";
import { formatTimeOrNull } from "./time.ts";

export function viewService(row: ServiceRow, minor: number): JsonObject {
  const view: Record<string, unknown> = {
    binary: row.binary,
    host: row.host,
    zone: row.zone,
    status: row.status,
    state: row.state,
    updated_at: formatTimeOrNull(row.updatedAtMs),
    disabled_reason: row.disabledReason,
  };
  if (minor >= 7) view["cluster"] = null;
  if (row.volume === undefined) return view;
  view["replication_status"] = row.volume.replicationStatus;
  view["active_backend_id"] = row.volume.activeBackendId;
  view["frozen"] = row.volume.frozen;
  // The scheduler says it, and leaves disabled pools out.
  if (minor >= 49) view["backend_state"] = row.status === "disabled" ? null : row.volume.backendState;
  return view;
}

export function viewHost(row: ServiceRow): JsonObject {
  return {
    "service-status": row.state === "up" ? "available" : "unavailable",
    service: row.binary,
    zone: row.zone,
    "service-state": row.status,
    host_name: row.host,
    "last-update": formatTimeOrNull(row.updatedAtMs),
  };
}

/** Numbers are text, as Cinder writes them. */
export function viewHostUsage(usage: HostUsage): JsonObject {
  return {
    resource: {
      host: usage.host,
      project: usage.projectId,
      volume_count: String(usage.volumeCount),
      total_volume_gb: String(usage.totalVolumeGib),
      snapshot_count: String(usage.snapshotCount),
      total_snapshot_gb: String(usage.totalSnapshotGib),
    },
  };
}
