// What a snapshot counts for in the quota of its project.

import type { Snapshot } from "./model.ts";
import type { Charge } from "./quota-ledger.ts";
import type { CinderSettings } from "./settings.ts";

export function snapshotCharge(settings: CinderSettings, snapshot: Pick<Snapshot, "projectId" | "typeId" | "sizeGib">): Charge {
  const { projectId, typeId, sizeGib } = snapshot;
  return { projectId, typeId, snapshots: 1, gigabytes: settings.snapshotsCountGigabytes ? sizeGib : 0 };
}
