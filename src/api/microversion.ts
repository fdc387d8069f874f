// Microversion negotiation (Cinder's rules; the header is OpenStack-API-Version). The major version is always 3, so inside
// api/ a microversion is its minor number: 27 means 3.27.

import type { IncomingMessage } from "node:http";
import { HttpFault, badRequest } from "./http-fault.ts";

export const minorMin = 0;
export const minorMax = 71;
export const versionHeader = "OpenStack-API-Version";

const versionPattern = /^([1-9][0-9]*)\.(0|[1-9][0-9]*)$/;

/**
 * The minor version that a request gets; `header` is OpenStack-API-Version as it came, with entries for several services
 * perhaps. Throws HttpFault: 400 when there is no version in it, 406 (with the asked version in its header) when we don't
 * have it.
 */
export function negotiateMinor(header: string | undefined): number {
  if (header === undefined) return minorMin;
  const entry = header.split(",").find((part) => part.includes("volume"));
  if (entry === undefined) {
    throw badRequest("The server could not comply with the request since it is either malformed or otherwise incorrect.");
  }
  const asked = entry.trim().split(/\s+/)[1] ?? "";
  if (asked === "latest") return minorMax;
  const match = versionPattern.exec(asked);
  if (match === null) {
    throw badRequest(`API Version String ${asked} is of invalid format. Must be of format MajorNum.MinorNum.`);
  }
  const minor = Number(match[2]);
  if (match[1] === "3" && minor <= minorMax) return minor;
  const message = `Version ${asked} is not supported by the API. Minimum is 3.${minorMin} and maximum is 3.${minorMax}.`;
  throw new HttpFault(406, message, isOfOldApi(asked) ? {} : { headers: versionHeaders(asked) });
}

/** Versions 1.0 and 2.0 had no header, and what contains them is taken for one of them. */
function isOfOldApi(version: string): boolean {
  return version.includes("1.0") || version.includes("2.0");
}

/** The minor version of a request. Throws as negotiateMinor() does. */
export function negotiateRequest({ headers }: IncomingMessage): number {
  const header = headers["openstack-api-version"];
  return negotiateMinor(Array.isArray(header) ? header.join(",") : header);
}

/** The headers of every answer that went through negotiation. */
export function versionHeaders(version: string): Record<string, string> {
  return { [versionHeader]: `volume ${version}`, Vary: versionHeader };
}

const headersByMinor = Array.from({ length: minorMax + 1 }, (_, minor) => versionHeaders(`3.${minor}`));

/** The same, for a minor version that was negotiated. */
export function minorHeaders(minor: number): Readonly<Record<string, string>> {
  return headersByMinor[minor]!;
}

/** "3.27" to 27; for tables, where a wrong version is a bug. */
export function parseMinor(version: string): number {
  const match = versionPattern.exec(version);
  if (match === null || match[1] !== "3" || Number(match[2]) > minorMax) throw new TypeError(`no microversion: ${version}`);
  return Number(match[2]);
}
