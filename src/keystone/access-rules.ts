// Access rules of application credentials: which requests a token may be used for. The patterns are Keystone's: `{name}` and `*`
// are one part of a path, `**` is any number of them; everything else is itself. Pure.

import type { AccessRule } from "./keystone-token.ts";

/** What is asked of us, and as which service the rules know us ([keystone_authtoken] service_type). */
export interface RequestedAccess {
  readonly serviceType: string;
  readonly method: string;
  /** Without the query. */
  readonly path: string;
}

export function isAllowed(rules: readonly AccessRule[], { serviceType, method, path }: RequestedAccess): boolean {
  if (serviceType === "") return false;
  return rules.some((rule) => rule.service === serviceType && rule.method === method && matches(rule.path, path));
}

function matches(pattern: string, path: string): boolean {
  const expression = pattern.replaceAll(/\{[^}]*\}|\*\*|\*|[\\^$.|?*+()[\]{}/]/g, (part) => {
    if (part === "**") return ".*";
    return part === "*" || (part.startsWith("{") && part.length > 1) ? "[^/]+" : `\\${part}`;
  });
  return new RegExp(`^${expression}$`).test(path);
}
