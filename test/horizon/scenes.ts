// All scenes, in the order in which they are played.

import { adminVolumeScenes } from "./admin-volume-scenes.ts";
import { backupScenes } from "./backup-scenes.ts";
import { cloudScenes } from "./cloud-scenes.ts";
import { groupScenes } from "./group-scenes.ts";
import { groupTypeScenes } from "./group-type-scenes.ts";
import type { Scene } from "./scene.ts";
import { serverScenes } from "./server-scenes.ts";
import { snapshotScenes } from "./snapshot-scenes.ts";
import { volumeChangeScenes } from "./volume-change-scenes.ts";
import { volumeTypeScenes } from "./volume-type-scenes.ts";
import { volumeScenes } from "./volume-scenes.ts";

const scenes: readonly Scene[] = [
  ...volumeScenes,
  ...volumeChangeScenes,
  ...snapshotScenes,
  ...backupScenes,
  ...groupScenes,
  ...adminVolumeScenes,
  ...volumeTypeScenes,
  ...groupTypeScenes,
  ...cloudScenes,
  ...serverScenes,
];

/** Those whose names hold `text`; `withServers`: those too that need some. */
export function selectScenes(text: string, withServers: boolean): readonly Scene[] {
  return scenes.filter(({ name, needsServers }) => name.includes(text) && (withServers || needsServers === undefined));
}
