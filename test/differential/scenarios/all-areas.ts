// All areas, in the order in which they are run.

import type { Area } from "../scenario.ts";
import { backupAreas } from "./backups.ts";
import { cloudAreas } from "./clouds.ts";
import { groupAreas } from "./groups.ts";
import { snapshotAreas } from "./snapshots.ts";
import { transferAreas } from "./transfers.ts";
import { typeAreas } from "./types.ts";
import { volumeActionAreas } from "./volume-actions.ts";
import { volumeMoveAreas } from "./volume-moves.ts";
import { volumeAreas } from "./volumes.ts";

export const allAreas: readonly Area[] = [
  ...cloudAreas,
  ...volumeAreas,
  ...volumeActionAreas,
  ...volumeMoveAreas,
  ...snapshotAreas,
  ...backupAreas,
  ...typeAreas,
  ...transferAreas,
  ...groupAreas,
];
