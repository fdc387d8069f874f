// Backups as JSON. A field that came with a microversion is left out below it.
//
//   3.18 os-backup-project-attr:project_id (P) · 3.43 metadata · 3.56 user_id (P) · 3.64 encryption_key_id, where there is one
//   P: where the policy shows it

import type { Backup } from "../../cinder/backups/backup.ts";
import type { BackupDetail } from "../../cinder/backups/backup-verbs.ts";
import { formatUtcTime } from "../../common/utc-time.ts";
import type { JsonObject } from "../call.ts";
import type { Links } from "../links.ts";
import { formatTimeOrNull } from "./time.ts";

export function viewBackupEntry({ id, name }: Pick<Backup, "id" | "name">, links: Links): JsonObject {
  return { id, name, links: links.resource("backups", id) };
}

export interface BackupViewOptions {
  readonly minor: number;
  readonly links: Links;
  /** The policy shows whose it is. */
  readonly showsOwner: boolean;
}

export function viewBackup({ backup, hasDependents }: BackupDetail, { minor, links, showsOwner }: BackupViewOptions): JsonObject {
  const view: Record<string, unknown> = {
    ...viewBackupEntry(backup, links),
    status: backup.status,
    size: backup.sizeGib,
    object_count: backup.objectCount,
    availability_zone: backup.availabilityZone,
    container: backup.container,
    created_at: formatUtcTime(backup.createdAtMs),
    updated_at: formatTimeOrNull(backup.updatedAtMs),
    description: backup.description,
    fail_reason: backup.failReason,
    volume_id: backup.volumeId,
    is_incremental: backup.parentId !== null,
    has_dependent_backups: hasDependents,
    snapshot_id: backup.snapshotId,
    data_timestamp: formatUtcTime(backup.dataTimestampMs),
  };
  if (minor >= 18 && showsOwner) view["os-backup-project-attr:project_id"] = backup.projectId;
  if (minor >= 43) view["metadata"] = backup.metadata;
  if (minor >= 56 && showsOwner) view["user_id"] = backup.userId;
  if (minor >= 64 && backup.encryptionKeyId !== null) view["encryption_key_id"] = backup.encryptionKeyId;
  return view;
}
