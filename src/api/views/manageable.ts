// What of a pool could be taken in, as JSON.

import type { ManageableRow } from "../../cinder/operator-verbs.ts";
import type { JsonObject } from "../call.ts";

export function viewManageable(row: ManageableRow, detailed: boolean): JsonObject {
  const view: Record<string, unknown> = {
    reference: { "source-name": row.name },
    size: row.sizeGib,
    safe_to_manage: row.reasonNotSafe === undefined,
  };
  if (row.sourceName !== undefined) view["source_reference"] = { "source-name": row.sourceName };
  if (!detailed) return view;
  return { ...view, reason_not_safe: row.reasonNotSafe ?? null, cinder_id: row.managedId ?? null, extra_info: null };
}
