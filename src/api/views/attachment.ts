// Attachments as JSON (3.27). connection_info is flat here and nested for os-initialize_connection. What is not known yet
// is written as Cinder writes it: "" for a time, "null" for the mode, {} for the connection.

import type { Attachment, ConnectionInfo } from "../../cinder/model.ts";
import type { JsonObject } from "../call.ts";
import { formatUtcTime } from "../../common/utc-time.ts";

export function viewAttachmentEntry(attachment: Attachment): JsonObject {
  return {
    id: attachment.id,
    status: attachment.status,
    instance: attachment.instanceId,
    volume_id: attachment.volumeId,
  };
}

export function viewAttachment(attachment: Attachment): JsonObject {
  return {
    ...viewAttachmentEntry(attachment),
    attached_at: attachment.attachedAtMs === null ? "" : formatUtcTime(attachment.attachedAtMs),
    detached_at: "",
    attach_mode: attachment.attachMode ?? "null",
    connection_info: attachment.connectionInfo ?? {},
  };
}

/** For os-initialize_connection: everything but the type goes into `data`. */
export function viewConnectionInfo({ driver_volume_type, ...data }: ConnectionInfo): JsonObject {
  return { driver_volume_type, data };
}
