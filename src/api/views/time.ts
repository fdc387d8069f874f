// Times that may be absent, as the API writes them.

import { formatUtcTime } from "../../common/utc-time.ts";

export function formatTimeOrNull(atMs: number | null): string | null {
  return atMs === null ? null : formatUtcTime(atMs);
}
