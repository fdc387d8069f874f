// User messages as JSON (3.3).

import type { Message } from "../../cinder/model.ts";
import type { JsonObject } from "../call.ts";
import type { Links } from "../links.ts";
import { formatUtcTime } from "../../common/utc-time.ts";

export function viewMessage(message: Message, links: Links): JsonObject {
  return {
    id: message.id,
    event_id: message.eventId,
    user_message: message.userMessage,
    message_level: message.level,
    created_at: formatUtcTime(message.createdAtMs),
    guaranteed_until: formatUtcTime(message.guaranteedUntilMs),
    resource_type: message.resourceType,
    resource_uuid: message.resourceId,
    request_id: message.requestId,
    links: links.resource("messages", message.id),
  };
}
