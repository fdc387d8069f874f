// Transfers as JSON. The key stands in the answer to create only.
//
//   3.55 no_snapshots · 3.57 source_project_id, destination_project_id, accepted

import type { Transfer } from "../../cinder/model.ts";
import type { JsonObject } from "../call.ts";
import type { Links } from "../links.ts";
import { formatUtcTime } from "../../common/utc-time.ts";

export function viewTransferEntry({ id, volumeId, name }: Transfer, links: Links): JsonObject {
  return { id, volume_id: volumeId, name, links: links.resource("os-volume-transfer", id) };
}

/** What ends with the acceptance is never shown as accepted. */
export function viewTransfer(transfer: Transfer, minor: number, links: Links): JsonObject {
  const view: Record<string, unknown> = {
    ...viewTransferEntry(transfer, links),
    created_at: formatUtcTime(transfer.createdAtMs),
  };
  if (minor >= 55) view["no_snapshots"] = transfer.noSnapshots;
  if (minor >= 57) {
    view["source_project_id"] = transfer.projectId;
    view["destination_project_id"] = null;
    view["accepted"] = false;
  }
  return view;
}
