// What a user can read about a failure that came after the answer (GET /messages). A message is written in the transaction
// that writes the failure. Ids and sentences are Cinder's: VOLUME_<resource>_<action>_<detail>, "<action>:<detail>".

import type { Tx } from "../registry/atomic.ts";
import type { Message } from "./model.ts";
import type { CinderPorts } from "./ports.ts";
import { messageKind, writeRecord } from "./records.ts";

const actions = {
  "schedule-volume": ["001", "schedule allocate volume"],
  "copy-volume-to-image": ["003", "copy volume to image"],
  "copy-image-to-volume": ["005", "copy image to volume"],
  "create-volume": ["008", "create volume from backend storage"],
  "create-snapshot": ["009", "create snapshot"],
  "delete-snapshot": ["010", "delete snapshot"],
  "create-backup": ["013", "create backup"],
  "delete-backup": ["014", "delete backup"],
  "restore-backup": ["015", "restore backup"],
  /** Ours: Cinder tells of none. */
  "delete-group": ["099", "delete group"],
  "reimage-volume": ["016", "reimage volume"],
} as const;

const details = {
  unknown: ["001", "An unknown error occurred."],
  "failed-to-upload": ["004", "Failed to upload volume to image at backend."],
  signature: ["011", "Image signature verification failed."],
  "backup-failed": ["020", "Backup driver failed to create backup."],
  "backup-delete-failed": ["025", "Backup driver failed to delete backup."],
  "backup-restore-failed": ["026", "Backup driver failed to restore backup."],
  "reimage-failed": ["028", "Compute service failed to reimage volume."],
  "no-backend": ["003", "Could not find any available weighted backend."],
} as const;

export interface UserMessage {
  readonly action: keyof typeof actions;
  readonly detail: keyof typeof details;
  readonly resourceType: "VOLUME" | "VOLUME_SNAPSHOT" | "VOLUME_BACKUP" | "VOLUME_GROUP" | "VOLUME_GROUP_SNAPSHOT";
  readonly resourceId: string;
  readonly projectId: string;
  readonly requestId: string;
  /** What really happened, for a detail that says nothing. */
  readonly reason?: string;
}

/** Adds the message to the transaction. `id` is chosen outside of it, so that a retry writes the same. */
export function writeMessage(ports: CinderPorts, tx: Tx, id: string, message: UserMessage): void {
  const [actionId, action] = actions[message.action];
  const [detailId, detail] = details[message.detail];
  const nowMs = ports.clock.wallMs();
  const reason = message.reason === undefined ? "" : ` (${message.reason})`;
  const record: Message = {
    v: 1,
    id,
    projectId: message.projectId,
    requestId: message.requestId,
    eventId: `VOLUME_${message.resourceType}_${actionId}_${detailId}`,
    userMessage: `${action}:${detail}${reason}`.slice(0, 1000),
    level: "ERROR",
    resourceType: message.resourceType,
    resourceId: message.resourceId,
    createdAtMs: nowMs,
    guaranteedUntilMs: nowMs + ports.settings.messageLifetimeMs,
  };
  writeRecord(tx, messageKind, id, record);
}
