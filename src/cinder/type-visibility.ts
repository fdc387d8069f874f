// Who may see and use a volume type, and which of its extra specs. Pure.

import type { RequestContext } from "./context.ts";
import type { Metadata, VolumeType } from "./model.ts";

/** Extra specs that everybody sees; the rest is the operator's business. */
const userVisibleKeys: ReadonlySet<string> = new Set(["multiattach", "RESKEY:availability_zones", "replication_enabled"]);

export function isTypeVisible(context: RequestContext, type: VolumeType): boolean {
  return context.isAdmin || type.isPublic || type.access.includes(context.projectId);
}

/** For a new volume: visible, and not on its way out. */
export function isTypeUsable(context: RequestContext, type: VolumeType): boolean {
  return type.retiring === undefined && isTypeVisible(context, type);
}

export function userVisibleSpecs(type: VolumeType): Metadata {
  return Object.fromEntries(Object.entries(type.extraSpecs).filter(([key]) => userVisibleKeys.has(key)));
}
