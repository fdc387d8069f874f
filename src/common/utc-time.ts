// Moments as OpenStack writes them in JSON: UTC without a zone, microseconds. Pure: it reads no clock.

/** `atMs` in milliseconds since the Unix epoch: "2026-11-22T06:37:15.798000". */
export function formatUtcTime(atMs: number): string {
  return `${new Date(atMs).toISOString().slice(0, -1)}000`;
}
