// Every handler by the operationId of openapi.yaml. The server refuses to start when one is missing.

import type { Handlers } from "../call.ts";
import { attachmentHandlers } from "./attachments.ts";
import { backupHandlers } from "./backups.ts";
import { consistencyGroupHandlers } from "./consistency-groups.ts";
import { groupSnapshotHandlers } from "./group-snapshots.ts";
import { groupHandlers } from "./groups.ts";
import { groupTypeHandlers } from "./group-types.ts";
import { managementHandlers } from "./management.ts";
import { messageHandlers } from "./messages.ts";
import { metadataHandlers } from "./metadata.ts";
import { qosHandlers } from "./qos-specs.ts";
import { quotaHandlers } from "./quotas.ts";
import { serviceActionHandlers } from "./service-actions.ts";
import { snapshotHandlers } from "./snapshots.ts";
import { discoveryHandlers, poolHandlers, serviceHandlers } from "./topology.ts";
import { extraSpecHandlers, typeAccessHandlers, typeHandlers } from "./types.ts";
import { transferHandlers } from "./transfers.ts";
import { defaultTypeHandlers, typeEncryptionHandlers } from "./type-parts.ts";
import { legacyAttachHandlers, volumeActionHandlers } from "./volume-actions.ts";
import { volumeImageHandlers } from "./volume-images.ts";
import { volumeMoveHandlers } from "./volume-moves.ts";
import { volumeHandlers } from "./volumes.ts";

export const allHandlers: Handlers = {
  ...volumeHandlers,
  ...volumeActionHandlers,
  ...volumeImageHandlers,
  ...volumeMoveHandlers,
  ...legacyAttachHandlers,
  ...metadataHandlers,
  ...snapshotHandlers,
  ...backupHandlers,
  ...attachmentHandlers,
  ...typeHandlers,
  ...extraSpecHandlers,
  ...typeAccessHandlers,
  ...quotaHandlers,
  ...serviceHandlers,
  ...poolHandlers,
  ...discoveryHandlers,
  ...messageHandlers,
  ...typeEncryptionHandlers,
  ...defaultTypeHandlers,
  ...qosHandlers,
  ...groupTypeHandlers,
  ...groupHandlers,
  ...groupSnapshotHandlers,
  ...consistencyGroupHandlers,
  ...transferHandlers,
  ...serviceActionHandlers,
  ...managementHandlers,
};
