// Moments as OpenStack writes them in JSON: UTC without a zone, microseconds. Pure: it reads no clock.

/** `atMs` in milliseconds since the Unix epoch: "2026-11-22T06:37:15.798000". */
export function formatUtcTime(atMs: number): string {
  return `${new Date(atMs).toISOString().slice(0, -1)}000`;
}

/** An ISO 8601 time, UTC where it names no zone; undefined for what is none. */
export function parseTime(text: string): number | undefined {
  if (!/^\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[-+]\d\d:?\d\d)?$/.test(text)) return undefined;
  const atMs = Date.parse(/(Z|[-+]\d\d:?\d\d)$/.test(text.slice(11)) ? text : `${text}Z`);
  return Number.isNaN(atMs) ? undefined : atMs;
}
