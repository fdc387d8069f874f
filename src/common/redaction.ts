// What must never reach a log: the names of fields that are removed, and the patterns that are removed from text.
// A new kind of secret is added here. It cannot see a secret that stands in a text without its name: callers do not put
// secrets into messages.

export const redacted = "***";

/** Fields of log records, in any spelling of case, `-` and `_`, at any depth, whose values are removed. */
const secretNames = new Set(
  [
    ["token", "auth_token", "x_auth_token", "x_service_token", "x_subject_token", "subject_token", "authorization", "cookie"],
    ["x_auth_key", "x_storage_token"],
    ["password", "admin_pass", "admin_password", "auth_password", "secret", "secret_key", "access_key", "private_key"],
    ["export_name", "exportName", "transport_url", "auth_key", "credentials", "fixed_key"],
  ]
    .flat()
    .map(fold),
);

const headerPattern =
  /\b(x-(?:auth|service|subject)-token|x-auth-key|authorization)(["']?\s*[:=]\s*["']?)[^\s"',]+(?: [A-Za-z0-9+/=._-]{16,})?/gi;
const assignmentPattern = /\b((?:[a-z]+_)?(?:password|secret|token|export_name))(["']?\s*[:=]\s*["']?)[^\s"'&,]+/gi;
const urlPattern = /\b([a-z][a-z0-9+.-]*:\/\/[^\s:/@]+):[^\s/@]+@/gi;

const depthMax = 6;

/** A copy of `value` without the values of secret fields; deeper than 6 levels it is cut. */
export function redactValue(value: unknown, depth = 0): unknown {
  if (typeof value === "string") return redactText(value);
  if (typeof value === "bigint") return value.toString();
  if (typeof value !== "object" || value === null) return value;
  if (value instanceof Error) return redactText(String(value));
  if (ArrayBuffer.isView(value)) return `<${value.byteLength} bytes>`;
  if (depth >= depthMax) return "<deeper>";
  if (Array.isArray(value)) return value.map((item) => redactValue(item, depth + 1));
  const copy: Record<string, unknown> = {};
  for (const [name, field] of Object.entries(value)) {
    copy[name] = secretNames.has(fold(name)) ? redacted : redactValue(field, depth + 1);
  }
  return copy;
}

/** `text` without what follows the name of a secret ("X-Auth-Token: ...", "password=...") or stands in a URL as password. */
export function redactText(text: string): string {
  return text
    .replaceAll(headerPattern, `$1$2${redacted}`)
    .replaceAll(assignmentPattern, `$1$2${redacted}`)
    .replaceAll(urlPattern, `$1:${redacted}@`);
}

function fold(name: string): string {
  return name.toLowerCase().replaceAll(/[-_]/g, "");
}
