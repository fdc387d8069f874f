// What Keystone says of a token (Identity API v3, "Validate and show information for token"), reduced to what is asked later. The
// token itself is not in it. Pure.

import { AndironError } from "../common/errors.ts";

export interface AccessRule {
  readonly service: string;
  readonly method: string;
  readonly path: string;
}

export interface KeystoneToken {
  readonly userId: string;
  readonly userDomainId: string | undefined;
  /** Absent for a token of a domain, of the system, or of nothing. */
  readonly projectId: string | undefined;
  readonly projectName: string | undefined;
  readonly projectDomainId: string | undefined;
  readonly domainId: string | undefined;
  /** "all" for a token of the system. */
  readonly systemScope: string | undefined;
  /** Absent unless Keystone knows of an admin project. */
  readonly isAdminProject: boolean | undefined;
  /** Lower case. */
  readonly roles: readonly string[];
  readonly expiresAtMs: number;
  /** Of the application credential that the token was had for; undefined when all requests are allowed. */
  readonly accessRules: readonly AccessRule[] | undefined;
}

/** One service of a catalogue with where it is. */
export interface CatalogEntry {
  readonly type: string;
  readonly endpoints: readonly { readonly interface: string; readonly region: string; readonly url: string }[];
}

type Json = Readonly<Record<string, unknown>>;

/** Reads the body of an answer of Keystone. Throws keystone_unavailable when it is no token: nobody can say who asks then. */
export function parseToken(body: unknown): KeystoneToken {
  const token = tokenOf(body);
  const user = objectAt(token, "user");
  const project = objectAt(token, "project");
  const userId = textAt(user, "id");
  const expiresAtMs = Date.parse(textAt(token, "expires_at") ?? "");
  if (userId === undefined || Number.isNaN(expiresAtMs)) throw unreadable();
  const isAdminProject = token["is_admin_project"];
  return {
    userId,
    userDomainId: textAt(objectAt(user, "domain"), "id"),
    projectId: textAt(project, "id"),
    projectName: textAt(project, "name"),
    projectDomainId: textAt(objectAt(project, "domain"), "id"),
    domainId: textAt(objectAt(token, "domain"), "id"),
    systemScope: objectAt(token, "system")["all"] === true ? "all" : undefined,
    isAdminProject: typeof isAdminProject === "boolean" ? isAdminProject : undefined,
    roles: listAt(token, "roles").flatMap((role) => textAt(role, "name")?.toLowerCase() ?? []),
    expiresAtMs,
    accessRules: parseAccessRules(objectAt(token, "application_credential")),
  };
}

/** The catalogue in the answer to an authentication. */
export function parseCatalog(body: unknown): readonly CatalogEntry[] {
  return listAt(tokenOf(body), "catalog").map((service) => ({
    type: textAt(service, "type") ?? "",
    endpoints: listAt(service, "endpoints").map((endpoint) => ({
      interface: textAt(endpoint, "interface") ?? "",
      region: textAt(endpoint, "region_id") ?? textAt(endpoint, "region") ?? "",
      url: textAt(endpoint, "url") ?? "",
    })),
  }));
}

/** A rule that cannot be read allows nothing. */
function parseAccessRules(credential: Json): AccessRule[] | undefined {
  if (credential["access_rules"] == null) return undefined;
  return listAt(credential, "access_rules").map((rule) => ({
    service: textAt(rule, "service") ?? "",
    method: textAt(rule, "method") ?? "",
    path: textAt(rule, "path") ?? "",
  }));
}

function tokenOf(body: unknown): Json {
  const token = asObject(asObject(body)["token"]);
  if (Object.keys(token).length === 0) throw unreadable();
  return token;
}

function unreadable(): AndironError {
  return new AndironError("keystone_unavailable", "what Keystone answered is no token");
}

function asObject(value: unknown): Json {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Json) : {};
}

function objectAt(value: Json, key: string): Json {
  return asObject(value[key]);
}

function listAt(value: Json, key: string): Json[] {
  const list = value[key];
  return Array.isArray(list) ? list.map(asObject) : [];
}

function textAt(value: Json, key: string): string | undefined {
  const text = value[key];
  return typeof text === "string" && text !== "" ? text : undefined;
}
