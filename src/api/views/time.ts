// Times as the API writes them: UTC without a zone, microseconds.

/** `atMs` in milliseconds since the Unix epoch: "2026-11-22T06:37:15.798000". */
export function formatTime(atMs: number): string {
  return `${new Date(atMs).toISOString().slice(0, -1)}000`;
}

export function formatTimeOrNull(atMs: number | null): string | null {
  return atMs === null ? null : formatTime(atMs);
}
