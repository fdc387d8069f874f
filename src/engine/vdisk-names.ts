// Names of vDisks: what a user calls a volume, made safe for paths, logs and lists, and unique in its pool.

import { engineLimits } from "./limits.ts";

/** Letters, digits, dot, dash and underscore stay; everything else becomes a dash; never empty, never led by a dot or dash. */
export function safeVdiskName(wish: string): string {
  const safe = wish
    .normalize("NFKD")
    .replaceAll(/[^A-Za-z0-9._-]+/g, "-")
    .replace(/^[.-]+/, "")
    .slice(0, engineLimits.vdiskNameCharsMax)
    .replace(/[.-]+$/, "");
  return safe === "" ? "vdisk" : safe;
}

/** The name to take when `safe` is another disk's: the same for the same disk every time. */
export const clashingVdiskName = (safe: string, vdiskId: string): string =>
  `${safe.slice(0, engineLimits.vdiskNameCharsMax - vdiskId.length - 1)}-${vdiskId}`;
