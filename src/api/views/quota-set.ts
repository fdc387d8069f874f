// Quota sets as JSON: limits by key, or limit, use and reservation of each with ?usage=True. The id stands in answers to
// GET only.

import type { QuotaSet } from "../../cinder/verbs.ts";
import type { JsonObject } from "../call.ts";

export function viewQuotaSet(quotas: QuotaSet, id: string | undefined, withUsage: boolean): JsonObject {
  const view: Record<string, unknown> = id === undefined ? {} : { id };
  for (const [key, { limit, inUse, reserved }] of Object.entries(quotas)) {
    view[key] = withUsage ? { limit, in_use: inUse, reserved } : limit;
  }
  return view;
}
